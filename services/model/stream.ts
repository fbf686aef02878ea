/**
 * From tokens to text while they come: no half characters, and no part of a stop string.
 */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
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

export class TextStream {
  readonly #tokenizer: Tokenizer
  readonly #stops: readonly string[]
  readonly #endIds: ReadonlySet<number>
  /** Holds back bytes of a character that is not whole yet. */
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  /** Text that could be the start of a stop string. */
  #held = ''
  #dropSpace: boolean
  #stopped: StopReason | false = false

  constructor(tokenizer: Tokenizer, options: StreamOptions = {}) {
    this.#tokenizer = tokenizer
    this.#stops = checkStops(options.stops ?? [])
    this.#endIds = new Set(options.endIds)
    this.#dropSpace = (options.start ?? 'text') === 'text' && tokenizer.spacePrefix
  }

  /** Takes the next token. @returns text that is certain now, and whether it was the last */
  push(token: number): { text: string; stopped: StopReason | false } {
    if (this.#stopped) return { text: '', stopped: this.#stopped }
    if (this.#endIds.has(token)) {
      const text = this.flush()
      this.#stopped = 'end'
      return { text, stopped: 'end' }
    }
    let text = this.#decoder.decode(this.#tokenizer.bytes(token), { stream: true })
    if (this.#dropSpace && text !== '') {
      this.#dropSpace = false
      if (text.startsWith(' ')) text = text.slice(1)
    }
    return this.#release(this.#held + text)
  }

  #release(pending: string): { text: string; stopped: StopReason | false } {
    const stop = this.#firstStop(pending)
    if (stop !== undefined) {
      this.#held = ''
      this.#stopped = 'stop'
      return { text: pending.slice(0, stop), stopped: 'stop' }
    }
    const keep = this.#possibleStart(pending)
    this.#held = pending.slice(pending.length - keep)
    return { text: pending.slice(0, pending.length - keep), stopped: false }
  }

  /**
   * Where the stop string begins that is complete first: so the text does not depend on
   * how it was cut into tokens.
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
  flush(): string {
    const text = this.#held
    this.#held = ''
    if (!this.#stopped) this.#decoder.decode()
    return text
  }
}
