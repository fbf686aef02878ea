/**
 * Puts frames together from a stream's slices, however they are cut. What it holds is
 * one header, its tables and one body, each allocated once its length was checked.
 */
import { limits } from '../limits.ts'
import type { Accept, Declared } from './codec.ts'
import { looksLikeFrame, readContent, readHeader } from './codec.ts'
import type { Frame } from './frame.ts'
import { FrameError, HEADER_BYTES } from './frame.ts'

/** A buffer that is being filled. */
type Filling = { bytes: Uint8Array; at: number }

const NONE = new Uint8Array(0)

// Not zeroed, since every byte is overwritten; with a memory of its own, so that a body
// starts at offset 0 and can be read as float32 without a copy.
const room = (bytes: number): Filling => ({
  bytes: bytes === 0 ? NONE : Buffer.allocUnsafeSlow(bytes),
  at: 0,
})

/** Takes what is missing from `input`. @returns how many bytes of `input` were used */
const fill = (target: Filling, input: Uint8Array, from: number): number => {
  const take = Math.min(target.bytes.length - target.at, input.length - from)
  target.bytes.set(input.subarray(from, from + take), target.at)
  target.at += take
  return take
}

const isFull = (target: Filling): boolean => target.at === target.bytes.length

/**
 * A streaming reader of frames.
 */
export class FrameReader {
  readonly #accept: Accept
  readonly #onFrame: (frame: Frame) => void
  readonly #header = { bytes: new Uint8Array(HEADER_BYTES), at: 0 }
  #declared: Declared | undefined
  #tables = room(0)
  #body = room(0)
  #failed = false

  /**
   * @param accept asked for each header: how long a body of its kind may be now
   * @param onFrame called for each whole frame, before the next header is looked at;
   *   the frame's body is its own memory
   */
  constructor(accept: Accept, onFrame: (frame: Frame) => void) {
    this.#accept = accept
    this.#onFrame = onFrame
  }

  /** Whether a frame has begun and is not yet whole. */
  get inFrame(): boolean {
    return this.#header.at > 0
  }

  /**
   * Takes the next slice of the stream.
   * @throws FrameError when the stream cannot be read on: it is then to be closed
   */
  push(input: Uint8Array): void {
    if (this.#failed) return
    try {
      for (let from = 0; from < input.length; ) from += this.#take(input, from)
    } catch (error) {
      if (error instanceof FrameError) this.#failed = true
      throw error
    }
  }

  /** Uses some bytes of `input`. @returns how many, at least one */
  #take(input: Uint8Array, from: number): number {
    let used = 0
    if (!this.#declared) {
      used = fill(this.#header, input, from)
      if (!looksLikeFrame(this.#header.bytes.subarray(0, this.#header.at)))
        throw new FrameError('garbage', 'what arrived is no frame')
      if (!isFull(this.#header)) return used
      this.#declared = readHeader(this.#header.bytes, this.#accept)
      if (this.#declared.tables > limits.frameHeaderBytes)
        throw new FrameError('too-large', 'a visit has too many segments and KV operations')
      this.#tables = room(this.#declared.tables)
      this.#body = room(this.#declared.body)
    }
    used += fill(this.#tables, input, from + used)
    used += fill(this.#body, input, from + used)
    if (isFull(this.#tables) && isFull(this.#body)) this.#deliver(this.#declared)
    return used
  }

  #deliver(declared: Declared): void {
    const frame = readContent(declared, this.#tables.bytes, this.#body.bytes)
    this.#declared = undefined
    this.#header.at = 0
    this.#tables = room(0)
    this.#body = room(0)
    this.#onFrame(frame)
  }
}
