/** Typed access to what a model file says about itself, with a sentence for each mistake. */
import { MdiError } from '../errors.ts'

/** Looks values up by name and checks them; `file` and `prefix` are for the messages. */
export class Keys {
  readonly file: string
  readonly #prefix: string
  readonly #get: (key: string) => unknown

  /** @param prefix stands before every key, e.g. `llama.` */
  constructor(file: string, prefix: string, get: (key: string) => unknown) {
    this.file = file
    this.#prefix = prefix
    this.#get = get
  }

  #label(key: string): string {
    return JSON.stringify(this.#prefix + key)
  }

  /** The value as it stands, or undefined. */
  raw(key: string): unknown {
    return this.#get(this.#prefix + key)
  }

  /** A list with a number for each layer counts as one where all are equal. */
  #single(key: string, value: unknown): unknown {
    const list =
      Array.isArray(value) || ArrayBuffer.isView(value) ? Array.from(value as number[]) : []
    const [first] = list
    if (first === undefined) return value
    if (list.every((one) => one === first)) return first
    if (list.some((one) => typeof one !== 'number')) return value
    throw new MdiError(
      'unsupported',
      `${this.file}: ${this.#label(key)} differs from layer to layer, which is not supported.`,
    )
  }

  /** A number; without a fallback it has to be there. */
  number(key: string, fallback?: number): number {
    const value = this.#single(key, this.raw(key)) ?? fallback
    if (value === undefined)
      throw new MdiError('bad-file', `${this.file} does not say ${this.#label(key)}.`)
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw new MdiError('bad-file', `${this.file}: ${this.#label(key)} is not one number.`)
    return value
  }

  /** A whole number from 1 to `maximum`. */
  count(key: string, maximum: number, fallback?: number): number {
    const value = this.number(key, fallback)
    if (!Number.isInteger(value) || value < 1 || value > maximum)
      throw new MdiError(
        'bad-file',
        `${this.file}: ${this.#label(key)} is ${value}, not a whole number from 1 to ${maximum}.`,
      )
    return value
  }

  /** A number above zero. */
  positive(key: string, fallback?: number): number {
    const value = this.number(key, fallback)
    if (!(value > 0))
      throw new MdiError('bad-file', `${this.file}: ${this.#label(key)} is ${value}, not above 0.`)
    return value
  }

  /** A text, or undefined where there is none. */
  text(key: string): string | undefined {
    const value = this.raw(key)
    if (value === undefined || value === null) return undefined
    if (typeof value !== 'string')
      throw new MdiError('bad-file', `${this.file}: ${this.#label(key)} is not a text.`)
    return value
  }
}
