/**
 * From tokens to text while they come: no half characters, no part of a stop string, and
 * thoughts apart from the answer.
 */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { type ThinkingMarks, type ThoughtSplit, ThoughtSplitter } from './thinking.ts'
import type { Tokenizer } from './tokenizer.ts'

/** Why no more text comes: an end token, or a stop string. */
export type StopReason = 'end' | 'stop'

export type StreamOptions = {
  /** Texts that end the answer; they are not part of it. See `checkStops`. */
  stops?: readonly string[]
  /** Tokens that end the answer. */
  endIds?: readonly number[]
  /**
   * `text`: the tokens are a text of their own (an answer), without the space that
   * SentencePiece puts before one; `continuation`: they go on from a text.
   */
  start?: 'text' | 'continuation'
  /** What stands around thoughts, and whether the prompt opened them; absent: there are none. */
  thoughts?: { marks: ThinkingMarks; open: boolean } | undefined
}

/** What is certain after a token. */
export type StreamPiece = {
  text: string
  /** What the model thought, which is not part of the answer. */
  thought: string
  /** Whether it was the last token. */
  stopped: StopReason | false
}

/** Checks stop strings. @throws MdiError `bad-value` */
export const checkStops = (stops: readonly unknown[]): string[] => {
  if (stops.length > limits.stopStrings)
    throw new MdiError('bad-value', `There can be at most ${limits.stopStrings} stop strings.`)
  return stops.map((stop) => {
    const fits =
      typeof stop === 'string' &&
      stop !== '' &&
      stop.isWellFormed() &&
      Buffer.byteLength(stop) <= limits.stopStringBytes
    if (!fits)
      throw new MdiError(
        'bad-value',
        `A stop string must be a text of 1 to ${limits.stopStringBytes} bytes.`,
      )
    return stop
  })
}

/** Text that may be the start of a stop string; control tokens in it are not shown. */
type Held = { text: string; hidden: [start: number, end: number][] }

/** A part of held text without its control tokens. */
const shown = ({ text, hidden }: Held, end: number): string => {
  let visible = ''
  let at = 0
  for (const [from, to] of hidden) {
    if (from >= end) break
    visible += text.slice(at, from)
    at = to
  }
  return at < end ? visible + text.slice(at, end) : visible
}

const after = ({ text, hidden }: Held, start: number): Held => ({
  text: text.slice(start),
  hidden: hidden.flatMap(([from, to]): [number, number][] =>
    to > start ? [[Math.max(0, from - start), to - start]] : [],
  ),
})

export class TextStream {
  readonly #tokenizer: Tokenizer
  readonly #stops: readonly string[]
  readonly #endIds: ReadonlySet<number>
  /** Holds back bytes of a character that is not whole yet. */
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  readonly #thoughts: ThoughtSplitter | undefined
  readonly #marks: readonly string[]
  #held: Held = { text: '', hidden: [] }
  #dropSpace: boolean
  #stopped: StopReason | false = false

  constructor(tokenizer: Tokenizer, options: StreamOptions = {}) {
    this.#tokenizer = tokenizer
    this.#stops = checkStops(options.stops ?? [])
    this.#endIds = new Set(options.endIds)
    this.#dropSpace = (options.start ?? 'text') === 'text' && tokenizer.spacePrefix
    const { thoughts } = options
    this.#thoughts = thoughts && new ThoughtSplitter(thoughts.marks, thoughts.open)
    this.#marks = thoughts ? [thoughts.marks.open, thoughts.marks.close] : []
  }

  /** Whether what comes now are thoughts, or may turn out to be. */
  get thinking(): boolean {
    return this.#thoughts?.thinking === true
  }

  /** Takes the next token. */
  push(token: number): StreamPiece {
    if (this.#stopped) return { text: '', thought: '', stopped: this.#stopped }
    if (this.#endIds.has(token)) {
      const rest = this.flush()
      this.#stopped = 'end'
      return { ...rest, stopped: 'end' }
    }
    const control = this.#tokenizer.isControl(token) ? this.#tokenizer.tokenText(token) : undefined
    if (control !== undefined) return this.#control(control)
    let text = this.#decoder.decode(this.#tokenizer.bytes(token), { stream: true })
    if (this.#dropSpace && text !== '') {
      this.#dropSpace = false
      if (text.startsWith(' ')) text = text.slice(1)
    }
    return this.#split(text)
  }

  /** A control token is not shown, but may be a mark of thoughts or part of a stop string. */
  #control(text: string): StreamPiece {
    if (this.thinking && this.#marks.includes(text)) return this.#split(text)
    if (!this.#stops.some((stop) => stop.includes(text)))
      return { text: '', thought: '', stopped: false }
    const start = this.#held.text.length
    this.#held.hidden.push([start, start + text.length])
    return { thought: '', ...this.#release(text) }
  }

  #split(piece: string): StreamPiece {
    const { thought, text } = this.#thoughts?.push(piece) ?? { thought: '', text: piece }
    return { thought, ...this.#release(text) }
  }

  #release(more: string): { text: string; stopped: StopReason | false } {
    this.#held.text += more
    const held = this.#held
    const stop = this.#firstStop(held.text)
    if (stop !== undefined) {
      this.#held = { text: '', hidden: [] }
      this.#stopped = 'stop'
      return { text: shown(held, stop), stopped: 'stop' }
    }
    const end = held.text.length - this.#possibleStart(held.text)
    this.#held = after(held, end)
    return { text: shown(held, end), stopped: false }
  }

  /**
   * Where the stop string begins that is complete first. So the result does not depend on how
   * the text was cut into tokens.
   */
  #firstStop(text: string): number | undefined {
    let best: { start: number; end: number } | undefined
    for (const stop of this.#stops) {
      const start = text.indexOf(stop)
      if (start < 0) continue
      const end = start + stop.length
      if (!best || end < best.end || (end === best.end && start < best.start)) best = { start, end }
    }
    return best?.start
  }

  /** How much of the text's end is the start of a stop string. */
  #possibleStart(text: string): number {
    let longest = 0
    for (const stop of this.#stops)
      for (let n = Math.min(stop.length - 1, text.length); n > longest; n--)
        if (text.endsWith(stop.slice(0, n))) longest = n
    return longest
  }

  /** What was held back, when no more tokens come; bytes of half a character are dropped. */
  flush(): ThoughtSplit {
    const { thought, text } = this.#thoughts?.flush() ?? { thought: '', text: '' }
    const held = this.#held
    held.text += text
    this.#held = { text: '', hidden: [] }
    if (!this.#stopped) this.#decoder.decode()
    return { thought, text: shown(held, held.text.length) }
  }
}
