/**
 * Hermes (Rhasspy): the fallback skill. What Rhasspy heard and did not recognize is answered.
 * Topics here are Hermes' own.
 */

import type { Bus, BusMessage, Clock } from '../../ports.ts'
import type { Assistant } from '../../voice/assistant.ts'

const DIALOGUE = 'hermes/dialogueManager/intentNotRecognized'
const END_SESSION = 'hermes/dialogueManager/endSession'
const NLU = 'hermes/nlu/intentNotRecognized'
const SAY = 'hermes/tts/say'

/** In a session both topics tell of the same utterance. The dialogue's is waited for. */
const DIALOGUE_MS = 300
const FORGET_MS = 5_000

type Heard = { input: string; siteId: string; sessionId?: string; id?: string; lang?: string }

const read = ({ payload }: BusMessage): Heard | undefined => {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
  } catch {
    return undefined
  }
  const { input, siteId, sessionId, id, lang } = Object(value) as Record<string, unknown>
  if (typeof input !== 'string') return undefined
  const text = (key: string, given: unknown) =>
    typeof given === 'string' && given !== '' && given.length <= 200 ? { [key]: given } : {}
  return {
    input,
    siteId: typeof siteId === 'string' && siteId.length <= 200 ? siteId : 'default',
    ...text('sessionId', sessionId),
    ...text('id', id),
    ...text('lang', lang),
  }
}

export class HermesSkill {
  readonly #bus: Bus
  readonly #assistant: Pick<Assistant, 'hear'>
  readonly #clock: Clock
  /** Sessions of which only the recognizer's message has come. */
  readonly #waiting = new Map<string, () => void>()
  /** Sessions that are being answered, or were a moment ago. */
  readonly #answering = new Set<string>()

  constructor(bus: Bus, assistant: Pick<Assistant, 'hear'>, clock: Clock) {
    this.#bus = bus
    this.#assistant = assistant
    this.#clock = clock
  }

  start(): void {
    this.#bus.subscribe(DIALOGUE, (message) => {
      const heard = message.retained ? undefined : read(message)
      if (heard?.sessionId !== undefined) this.#dialogue(heard, heard.sessionId)
    })
    this.#bus.subscribe(NLU, (message) => {
      const heard = message.retained ? undefined : read(message)
      if (heard) this.#recognizer(heard)
    })
  }

  #dialogue(heard: Heard, sessionId: string): void {
    this.#waiting.get(sessionId)?.()
    this.#waiting.delete(sessionId)
    if (this.#answering.has(sessionId)) return
    this.#answering.add(sessionId)
    this.#hear(heard, (text) => {
      this.#clock.after(FORGET_MS, () => this.#answering.delete(sessionId))
      this.#publish(END_SESSION, { sessionId, text })
    })
  }

  #recognizer(heard: Heard): void {
    const { sessionId, siteId, id, lang } = heard
    const answer = () =>
      this.#hear(heard, (text) =>
        this.#publish(SAY, {
          text,
          siteId,
          ...(id !== undefined && { id }),
          ...(lang !== undefined && { lang }),
          ...(sessionId !== undefined && { sessionId }),
        }),
      )
    if (sessionId === undefined) {
      answer()
      return
    }
    if (this.#answering.has(sessionId) || this.#waiting.has(sessionId)) return
    this.#waiting.set(
      sessionId,
      this.#clock.after(DIALOGUE_MS, () => {
        this.#waiting.delete(sessionId)
        answer()
      }),
    )
  }

  #hear({ input, siteId, sessionId }: Heard, say: (text: string) => void): void {
    this.#assistant.hear(
      // Nobody there carries Home Assistant's intents out.
      {
        text: input,
        client: `hermes ${siteId}`,
        conversation: `hermes ${siteId} ${sessionId ?? ''}`,
        intents: false,
      },
      { text: () => {}, reply: ({ text }) => say(text) },
    )
  }

  #publish(topic: string, value: Record<string, unknown>): void {
    this.#bus.publish(topic, JSON.stringify(value), { qos: 1, retain: false })
  }
}
