/**
 * The voice assistant's mind, whatever protocol it is spoken to by: an utterance goes in, and
 * within a bound comes what is to be said, or an intent to be carried out. It never fails:
 * whatever goes wrong becomes a sentence.
 */
import type { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { defaultSampling } from '../model/sampler.ts'
import type { Clock, Random, WallClock } from '../ports.ts'
import type { Conversations } from '../requests/conversations.ts'
import type { CoreListener, CoreRequest, QueuePlace } from '../requests/core.ts'
import type { Answer } from '../requests/generation.ts'
import { completedBy, completedBySpeech, hasRoom } from './completion.ts'
import { askWhere, hearTurn, type TurnBefore } from './dialogue.ts'
import { judge, readIntent } from './guard.ts'
import type { Intent, Trust } from './intent.ts'
import { clockSentence, reasonSentence, sentences, templateOf } from './speech.ts'
import { withoutTemplates } from './words.ts'

export type Utterance = {
  text: string
  /** Whose it is, for fairness: a device, a satellite, an address. */
  client: string
  /** Turns of the same conversation share it; absent: it stands alone. */
  conversation?: string | undefined
  /** As the release sent it; older ones than 2026.11 send none. */
  language?: string | undefined
  /** Whether whoever asks can carry intents out. */
  intents: boolean
}

/** What an utterance came to. */
export type Reply =
  | { kind: 'handled'; text: string }
  /** Said too, as something that did not work. */
  | { kind: 'failed'; text: string }
  | { kind: 'intent'; intent: Intent; text: string }

export type Settings = {
  /** `[voice] intents`, `allow_unlock`, `prompt` and `seconds`. */
  intents: boolean
  allowUnlock: boolean
  prompt: string | undefined
  seconds: number
}

export type AssistantOptions = {
  core: { submit(request: CoreRequest, listener: CoreListener): void; cancel(id: string): unknown }
  conversations: Conversations<TurnBefore>
  clock: Clock
  wallClock: WallClock
  random: Random
  /** Asked for each utterance: some may be changed while it runs. */
  settings(): Settings
  /** What the loaded model's file tells of when its intents are to be trusted. */
  trust?(): Trust
  /** One line for every intent that was sent or withheld. */
  audit(line: string): void
}

/** Follows one utterance. */
export type Listening = {
  /** Speech as it comes; never an intent, and all of it is in the reply too. */
  text(text: string): void
  reply(reply: Reply): void
}

/** Told apart in the log, never longer than a line, and nothing in it ends the line. */
const quoted = (text: string): string =>
  JSON.stringify(text.slice(0, 200)).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

export class Assistant {
  readonly #options: AssistantOptions

  constructor(options: AssistantOptions) {
    this.#options = options
  }

  /**
   * Hears an utterance. Exactly one reply comes, unless it is given up.
   * @returns gives it up: whoever asked is gone
   */
  hear(utterance: Utterance, listening: Listening): () => void {
    const { conversation } = utterance
    const said = utterance.text.trim()
    const long = Buffer.byteLength(said) > limits.utteranceBytes
    const before =
      conversation === undefined
        ? {}
        : hearTurn(this.#options.conversations, conversation, long ? '' : said)
    if (said === '' || long) {
      listening.reply({ kind: 'failed', text: long ? sentences.tooLong : sentences.notUnderstood })
      return () => {}
    }
    const turn = new Turn(this.#options, { ...utterance, text: said }, before, listening)
    turn.start()
    return () => turn.giveUp()
  }
}

/** One utterance on its way. */
class Turn {
  readonly #options: AssistantOptions
  readonly #settings: Settings
  readonly #utterance: Utterance
  readonly #before: TurnBefore
  readonly #listening: Listening
  readonly #id: string
  /** All that the model said. */
  #heard = ''
  /** How much of it was told as speech, with its templates broken up. */
  #told = 0
  /** Log-probability of its first line, where it was told. */
  #logprob: number | undefined
  #place: QueuePlace | undefined
  #stopTimer: () => void = () => {}
  #over = false

  constructor(
    options: AssistantOptions,
    utterance: Utterance,
    before: TurnBefore,
    listening: Listening,
  ) {
    this.#options = options
    this.#settings = options.settings()
    this.#utterance = utterance
    this.#before = before
    this.#listening = listening
    const part = () => options.random.uint32().toString(16).padStart(8, '0')
    this.#id = `voice-${part()}${part()}`
  }

  start(): void {
    const { core, clock, conversations } = this.#options
    const { client, conversation, text } = this.#utterance
    const { prompt, seconds } = this.#settings
    this.#stopTimer = clock.after(seconds * 1000, () => this.#late())
    const before = conversation === undefined ? [] : conversations.messages(conversation)
    const messages = [
      ...(prompt === undefined ? [] : [{ role: 'system', content: prompt }]),
      ...before,
      { role: 'user', content: text },
    ]
    core.submit(
      {
        client,
        text: {
          id: this.#id,
          input: { messages },
          sampling: { ...defaultSampling, temperature: 0 },
          maxTokens: limits.spokenTokens,
          stop: [],
          lineLogprob: ({ intentProbability }) => intentProbability !== undefined,
        },
      },
      {
        queued: (place) => {
          this.#place = place
        },
        started: () => {
          this.#place = undefined
        },
        text: (piece) => this.#text(piece),
        end: (answer) => this.#end(answer),
        error: (error) => this.#failed(error),
      },
    )
  }

  giveUp(): void {
    if (!this.#finish()) return
    this.#options.core.cancel(this.#id)
  }

  #finish(): boolean {
    if (this.#over) return false
    this.#over = true
    this.#stopTimer()
    return true
  }

  /** Whether what was heard so far can be no intent. */
  get #isSpeech(): boolean {
    const start = this.#heard.trimStart()
    return start !== '' && !start.startsWith('{')
  }

  #text(piece: string): void {
    if (this.#over) return
    this.#heard += piece
    // After "Which room?" what the model says may turn out to be the answer's place alone.
    if (!this.#isSpeech || this.#before.unplaced) return
    // Braces at the end may become a template's with the next piece.
    this.#tell(this.#heard.replace(/\{+$/, ''))
  }

  /** Tells what was not told yet of all that may be told. */
  #tell(all: string): void {
    const safe = withoutTemplates(all)
    if (safe.length > this.#told) this.#listening.text(safe.slice(this.#told))
    this.#told = Math.max(this.#told, safe.length)
  }

  #end(answer: Answer): void {
    if (!this.#finish()) return
    if (answer.reason === 'cancelled')
      this.#listening.reply({ kind: 'failed', text: sentences.notReady })
    else {
      this.#logprob = answer.lineLogprob
      this.#conclude()
    }
  }

  #failed(error: MdiError): void {
    if (!this.#finish()) return
    const { spoken } = error.row
    const text = spoken === 'message' ? error.message : sentences[spoken]
    this.#listening.reply({ kind: 'failed', text })
  }

  /** Time is up: what was said so far is better than nothing. */
  #late(): void {
    if (!this.#finish()) return
    this.#options.core.cancel(this.#id)
    const spoken = this.#isSpeech ? lastWhole(this.#heard) : ''
    if (spoken !== '') {
      this.#say(spoken)
      return
    }
    const wait = this.#place && Math.max(1, Math.ceil(this.#place.waitMs / 1000))
    const text = wait ? `I am busy. Please try again in about ${wait} seconds.` : sentences.tooLate
    this.#listening.reply({ kind: 'failed', text })
  }

  #conclude(): void {
    const text = this.#heard.trim()
    if (text === '') {
      this.#listening.reply({ kind: 'failed', text: sentences.notUnderstood })
      return
    }
    const { unplaced } = this.#before
    if (!text.startsWith('{')) {
      const completed = unplaced && completedBySpeech(unplaced.intent, this.#utterance.text, text)
      if (completed) {
        this.#intent(completed, unplaced.reply)
        return
      }
      this.#tell(this.#heard)
      this.#say(text)
      return
    }
    const end = text.indexOf('\n')
    const intent = readIntent(end < 0 ? text : text.slice(0, end))
    const reply = end < 0 ? '' : text.slice(end + 1).trim()
    const completed =
      intent && unplaced && completedBy(unplaced.intent, this.#utterance.text, intent)
    if (completed) this.#intent(completed, completed.name === intent.name ? reply : unplaced.reply)
    else if (intent) this.#intent(intent, reply)
    else {
      this.#audit('withheld', 'an answer that is no intent')
      this.#say(sentences.notUnderstood)
    }
  }

  #remember(answered: string): void {
    const { conversation, text } = this.#utterance
    if (conversation !== undefined) this.#options.conversations.add(conversation, text, answered)
  }

  #say(text: string): void {
    this.#remember(text)
    this.#listening.reply({ kind: 'handled', text: withoutTemplates(text) })
  }

  #intent(intent: Intent, reply: string): void {
    const { wallClock } = this.#options
    const { text: said, language } = this.#utterance
    const recent = language !== undefined
    const allowed = this.#settings.intents && this.#utterance.intents
    const clock = clockSentence(intent.name, wallClock.now())
    // The clock is asked where nothing is rendered: in text-only use, and by older releases.
    if (clock !== undefined && !(allowed && recent)) {
      this.#audit('answered here', describe(intent))
      this.#say(clock)
      return
    }
    if (!allowed) {
      this.#audit('withheld', `${describe(intent)}: intents are not allowed`)
      this.#say(templateOf(intent) ? sentences.cannotTell : sentences.noCommands)
      return
    }
    const { said: saidBefore } = this.#before
    const { allowUnlock } = this.#settings
    const verdict = judge(intent, {
      ...{ said, saidBefore, recent, allowUnlock },
      trust: this.#options.trust?.(),
      logprob: this.#logprob,
    })
    if (!verdict.ok) {
      this.#audit('withheld', `${describe(intent)}: ${verdict.reason}, ${verdict.detail}`)
      if (verdict.reason === 'no place') this.#askPlace(intent, reply)
      else this.#say(reasonSentence(verdict.reason))
      return
    }
    if (verdict.row.asks && !recent) {
      this.#audit('withheld', `${describe(intent)}: its answer is not rendered by this release`)
      this.#say(sentences.cannotTell)
      return
    }
    this.#audit('sent', describe(intent))
    this.#remember(
      `${JSON.stringify({ intent: intent.name, slots: intent.slots })}\n${reply}`.trim(),
    )
    const text = verdict.row.asks ? templateOf(intent) : withoutTemplates(reply) || sentences.done
    this.#listening.reply({ kind: 'intent', intent, text: text ?? sentences.done })
  }

  #askPlace(intent: Intent, reply: string): void {
    const { conversation } = this.#utterance
    this.#say(hasRoom(intent) ? sentences.whichRoom : sentences.whichOne)
    if (conversation !== undefined)
      askWhere(this.#options.conversations, conversation, { intent, reply })
  }

  #audit(what: 'sent' | 'withheld' | 'answered here', line: string): void {
    const { client, conversation, text, language } = this.#utterance
    const [by, within, tongue] = [client, conversation ?? 'none', language ?? 'none'].map(quoted)
    const where = `client ${by}, conversation ${within}, language ${tongue}`
    this.#options.audit(`Intent ${what}: ${line} (said ${quoted(text)}; ${where}).`)
  }
}

const describe = ({ name, slots }: Intent): string =>
  `${/^\w{1,60}$/.test(name) ? name : quoted(name)} ${quoted(JSON.stringify(slots))}`

/** A text up to its last whole sentence; all of it where there is none. */
const lastWhole = (text: string): string => {
  const end = Math.max(...['.', '!', '?'].map((mark) => text.lastIndexOf(mark)))
  return (end > 0 ? text.slice(0, end + 1) : text).trim()
}
