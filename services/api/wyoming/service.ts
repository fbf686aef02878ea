/**
 * Wyoming's `handle` service: what Home Assistant calls with each utterance. It always ends in
 * a full `handled`, an `intent`, or a spoken `not-handled`; never in `error`, with which older
 * releases wait without end.
 */
import { MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { Caller, CallerSession, Clock } from '../../ports.ts'
import type { Assistant, Reply } from '../../voice/assistant.ts'
import { sentences } from '../../voice/speech.ts'
import { type WyomingEvent, WyomingReader, writeEvent } from './codec.ts'

export type WyomingOptions = {
  assistant: Pick<Assistant, 'hear'>
  clock: Clock
  /** Asked at each `describe`. */
  about(): { cluster: string; version: string; model: string | undefined; languages: string[] }
}

/** How often one who sends no more is written to while it waits. */
const PROBE_MS = 25

const attribution = { name: 'mdi-llm', url: '' }

/** The answer to `describe`; only the first program becomes Home Assistant's agent. */
const info = (about: ReturnType<WyomingOptions['about']>): Record<string, unknown> => {
  const { cluster, version, model, languages } = about
  return {
    asr: [],
    tts: [],
    handle: [
      {
        name: cluster,
        description: 'A language model on a ring of small boards',
        attribution,
        installed: true,
        version,
        models: [
          {
            name: model ?? cluster,
            description: model === undefined ? 'No model is loaded' : model,
            attribution,
            installed: true,
            version,
            languages,
          },
        ],
        supports_handled_streaming: true,
        supports_home_control: true,
      },
    ],
    intent: [],
    wake: [],
    mic: [],
    snd: [],
  }
}

/** A text for keys and logs: what has control characters in it is none. */
const textOf = (value: unknown, most: number): string | undefined =>
  typeof value === 'string' && value !== '' && value.length <= most && !/\p{C}|\p{Zl}/u.test(value)
    ? value
    : undefined

/** Answers one caller after the other's events, in their order. */
class Session implements CallerSession {
  readonly #options: WyomingOptions
  readonly #caller: Caller
  readonly #reader = new WyomingReader()
  #stopTimer: () => void = () => {}
  #stopProbe: () => void = () => {}
  #giveUp: (() => void) | undefined
  /** Utterances that came while one was being answered. */
  #waiting: WyomingEvent[] = []
  #streaming = false
  #halfClosed = false
  #closed = false

  constructor(options: WyomingOptions, caller: Caller) {
    this.#options = options
    this.#caller = caller
    this.#watch()
  }

  get idle(): boolean {
    return this.#giveUp === undefined && !this.#reader.midway
  }

  data(bytes: Uint8Array): void {
    if (this.#closed) return
    const begun = this.#reader.midway
    try {
      const events = this.#reader.push(bytes)
      for (const event of events) this.#event(event)
      // The time that an event may take does not begin again with each of its pieces.
      if (begun && events.length === 0 && this.#reader.midway) return
    } catch (error) {
      if (!(error instanceof MdiError)) throw error
      this.#refuse(sentences.garbled)
      return
    }
    this.#watch()
  }

  halfClosed(): void {
    this.#halfClosed = true
    if (this.#giveUp) this.#probe()
    else if (this.#reader.midway) this.#refuse(sentences.garbled)
    else this.#caller.finish()
  }

  leave(): void {
    if (this.#closed) return
    const unanswered = (this.#giveUp ? 1 : 0) + this.#waiting.length
    for (let i = 0; i < unanswered; i++) this.#send('not-handled', { text: sentences.notReady })
    this.#caller.finish()
    this.closed()
  }

  /**
   * One who is gone altogether resets the connection when it is written to, which the next
   * writing is told.
   */
  #probe(): void {
    if (this.#closed || !this.#giveUp) return
    this.#send('ping')
    this.#stopProbe = this.#options.clock.after(PROBE_MS, () => this.#probe())
  }

  closed(): void {
    this.#closed = true
    this.#stopTimer()
    this.#stopProbe()
    this.#giveUp?.()
    this.#giveUp = undefined
    this.#waiting = []
  }

  #send(type: string, data: Record<string, unknown> = {}): void {
    this.#caller.send(writeEvent(type, data))
  }

  /** Nobody may keep us waiting in the middle of an event, or for ever. */
  #watch(): void {
    this.#stopTimer()
    const ms = this.#reader.midway ? limits.wyomingEventMs : limits.wyomingIdleMs
    this.#stopTimer = this.#options.clock.after(ms, () => {
      if (this.#giveUp) this.#watch()
      else if (this.#reader.midway) this.#refuse(sentences.garbled)
      else this.#caller.finish()
    })
  }

  #refuse(text: string): void {
    this.#giveUp?.()
    this.#giveUp = undefined
    this.#send('not-handled', { text })
    this.#caller.finish()
    this.closed()
  }

  #event(event: WyomingEvent): void {
    if (event.type === 'describe') this.#send('info', info(this.#options.about()))
    else if (event.type === 'ping') this.#send('pong', event.data)
    else if (event.type === 'transcript') {
      if (!this.#giveUp) this.#utterance(event)
      else if (this.#waiting.length < 8) this.#waiting.push(event)
      else this.#send('not-handled', { text: sentences.crowded })
    }
    // Whatever else is said to a service of another kind is let pass.
  }

  #utterance({ data }: WyomingEvent): void {
    const context = Object(data.context) as Record<string, unknown>
    const conversation = textOf(context.conversation_id, 128)
    const device = textOf(context.device_id, 128) ?? textOf(context.satellite_id, 128)
    this.#streaming = false
    let replied = false
    const giveUp = this.#options.assistant.hear(
      {
        text: typeof data.text === 'string' ? data.text : '',
        client: `wyoming ${device ?? conversation ?? this.#caller.address}`,
        conversation,
        language: textOf(data.language, 32),
        intents: true,
      },
      {
        text: (text) => {
          if (!this.#streaming) this.#send('handled-start')
          this.#streaming = true
          this.#send('handled-chunk', { text })
        },
        reply: (reply) => {
          replied = true
          this.#reply(reply)
        },
      },
    )
    if (!replied) this.#giveUp = giveUp
  }

  #reply(reply: Reply): void {
    this.#giveUp = undefined
    const { text } = reply
    if (reply.kind === 'handled') {
      if (!this.#streaming) {
        this.#send('handled-start')
        this.#send('handled-chunk', { text })
      }
      this.#send('handled', { text })
      this.#send('handled-stop')
    } else if (reply.kind === 'failed') this.#send('not-handled', { text })
    else {
      const { name, slots } = reply.intent
      const entities = Object.entries(slots).map(([slot, value]) => ({ name: slot, value }))
      this.#send('intent', { name, entities, text })
    }
    if (this.#closed) return
    this.#watch()
    const next = this.#waiting.shift()
    if (next) this.#utterance(next)
    else if (this.#halfClosed) this.#caller.finish()
  }
}

/** What is done with each caller at the service's door. */
export const wyomingVisits =
  (options: WyomingOptions) =>
  (caller: Caller): CallerSession =>
    new Session(options, caller)

/** What is said to one too many. */
export const wyomingCrowded = (): Uint8Array =>
  writeEvent('not-handled', { text: sentences.crowded })
