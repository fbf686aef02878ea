/**
 * Reads little-endian values from the front of a source, in windows, so that a file's
 * header of unknown length takes no more memory than its values. Every length is checked
 * against what is left of the file before anything is allocated for it.
 */
import { MdiError } from '../errors.ts'
import type { ByteSource } from './source.ts'

/** Bytes read from the source at a time. */
const WINDOW = 1024 * 1024
/** Shorter strings are decoded by hand while they are ASCII: faster than TextDecoder. */
const SHORT = 24

// Keeps a byte-order mark, which can be a token; damaged UTF-8 becomes U+FFFD.
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

const decode = (bytes: Uint8Array, start: number, end: number): string => {
  if (end - start > SHORT) return utf8.decode(bytes.subarray(start, end))
  let text = ''
  for (let i = start; i < end; i++) {
    const code = bytes[i] as number
    if (code > 127) return utf8.decode(bytes.subarray(start, end))
    text += String.fromCharCode(code)
  }
  return text
}

/** A position in a source that only moves forward. */
export class Cursor {
  readonly #source: ByteSource
  readonly #limit: number
  #window: Uint8Array = new Uint8Array(0)
  #view = new DataView(this.#window.buffer)
  /** Position of the window's first byte in the source. */
  #base = 0
  #at = 0

  /** @param limit position that may not be passed, whatever the file says */
  constructor(source: ByteSource, limit: number) {
    this.#source = source
    this.#limit = limit
  }

  /** Position in the source. */
  get position(): number {
    return this.#base + this.#at
  }

  /** Bytes from here to the source's end. */
  get left(): number {
    return this.#source.size - this.position
  }

  /** The error for a file that ends before what it declares. */
  truncated(what: string): MdiError {
    return new MdiError(
      'bad-file',
      `${this.#source.name} is cut short or damaged: ${what} would reach beyond its end.`,
    )
  }

  /** Checks that `length` bytes follow in the file and within the limit. */
  require(length: number, what: string): void {
    if (length > this.left) throw this.truncated(what)
    if (this.position + length > this.#limit)
      throw new MdiError(
        'bad-file',
        `${this.#source.name} is not accepted: ${what} makes its header longer than ${this.#limit} bytes.`,
      )
  }

  /** Whether the next `length` bytes are in the window; if so they can be read at once. */
  #has(length: number): boolean {
    return this.#window.length - this.#at >= length
  }

  async #fill(length: number, what: string): Promise<void> {
    this.require(length, what)
    const position = this.position
    const size = Math.min(Math.max(length, WINDOW), this.left)
    this.#window = await this.#source.read(position, size)
    this.#view = new DataView(this.#window.buffer, this.#window.byteOffset, this.#window.byteLength)
    this.#base = position
    this.#at = 0
  }

  /** The next `length` bytes, as a copy. */
  async bytes(length: number, what: string): Promise<Uint8Array> {
    if (!this.#has(length)) await this.#fill(length, what)
    const bytes = this.#window.slice(this.#at, this.#at + length)
    this.#at += length
    return bytes
  }

  async u32(what: string): Promise<number> {
    if (!this.#has(4)) await this.#fill(4, what)
    const value = this.#view.getUint32(this.#at, true)
    this.#at += 4
    return value
  }

  /** A 64-bit length or offset; beyond 2^53 no file can hold what it declares. */
  async u64(what: string): Promise<number> {
    if (!this.#has(8)) await this.#fill(8, what)
    const value = this.#take64()
    if (!Number.isSafeInteger(value)) throw this.truncated(what)
    return value
  }

  #take64(): number {
    const low = this.#view.getUint32(this.#at, true)
    const high = this.#view.getUint32(this.#at + 4, true)
    this.#at += 8
    return high * 0x1_0000_0000 + low
  }

  /** A string: its length in 64 bits, then UTF-8. */
  async string(maximum: number, what: string): Promise<string> {
    const length = await this.u64(what)
    if (length > maximum)
      throw new MdiError(
        'bad-file',
        `${this.#source.name} is damaged: ${what} declares a string of ${length} bytes.`,
      )
    if (!this.#has(length)) await this.#fill(length, what)
    const text = decode(this.#window, this.#at, this.#at + length)
    this.#at += length
    return text
  }

  /** `count` strings; as many as the window holds are read without awaiting. */
  async strings(count: number, maximum: number, what: string): Promise<string[]> {
    const values: string[] = []
    while (values.length < count) {
      if (this.#has(8)) {
        const start = this.#at
        const length = this.#take64()
        if (this.#has(length)) {
          values.push(decode(this.#window, this.#at, this.#at + length))
          this.#at += length
          continue
        }
        this.#at = start
      }
      values.push(await this.string(maximum, what))
    }
    return values
  }
}
