/**
 * Wyoming's events as bytes: a line of JSON `{"type","data"?,"data_length"?,"payload_length"?,
 * "version"}`, then `data_length` bytes of UTF-8 JSON merged over `data`, then the payload.
 */
import { MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'

export type WyomingEvent = { type: string; data: Record<string, unknown> }

/** The version of the protocol's reference library that we follow. */
export const WYOMING_VERSION = '1.8.0'

const decoder = new TextDecoder('utf-8', { fatal: true })
const NEWLINE = 0x0a

/** An event's bytes; all data is in the data block, as a header line has a bound. */
export const writeEvent = (type: string, data: Record<string, unknown> = {}): Uint8Array => {
  const block = Buffer.from(Object.keys(data).length === 0 ? '' : JSON.stringify(data))
  const length = block.length === 0 ? {} : { data_length: block.length }
  const header = JSON.stringify({ type, version: WYOMING_VERSION, ...length })
  return Buffer.concat([Buffer.from(`${header}\n`), block])
}

const garbled = (why: string): MdiError => new MdiError('bad-value', `Wyoming: ${why}.`)

const objectOf = (bytes: Uint8Array, what: string): Record<string, unknown> => {
  let value: unknown
  try {
    value = JSON.parse(decoder.decode(bytes))
  } catch {
    throw garbled(`${what} is no JSON`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw garbled(`${what} is no object`)
  return value as Record<string, unknown>
}

/** A declared length; floats and null are taken as other readers take them. */
const lengthOf = (value: unknown, most: number, what: string): number => {
  if (value === undefined || value === null) return 0
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0)
    throw garbled(`${what} is no length`)
  if (value > most) throw garbled(`${what} of ${value} bytes is too long`)
  return value
}

type Header = { type: string; data: Record<string, unknown>; block: number; payload: number }

const readHeader = (line: Uint8Array): Header => {
  const { type, data, data_length, payload_length } = objectOf(line, 'a header line')
  if (typeof type !== 'string' || type === '') throw garbled('an event has no type')
  const given = data === undefined || data === null ? {} : data
  if (typeof given !== 'object' || Array.isArray(given)) throw garbled('its data is no object')
  return {
    type,
    data: given as Record<string, unknown>,
    block: lengthOf(data_length, limits.wyomingDataBytes, 'a data block'),
    payload: lengthOf(payload_length, limits.wyomingPayloadBytes, 'a payload'),
  }
}

/** Takes bytes as they come and gives whole events; a payload is counted and dropped. */
export class WyomingReader {
  #parts: Uint8Array[] = []
  #held = 0
  #header: Header | undefined
  #skip = 0

  /** Whether an event has begun and is not whole. */
  get midway(): boolean {
    return this.#held > 0 || this.#header !== undefined || this.#skip > 0
  }

  /** @throws MdiError `bad-value`; the connection is of no use then */
  push(bytes: Uint8Array): WyomingEvent[] {
    const events: WyomingEvent[] = []
    let rest = this.#skipped(bytes)
    while (rest.length > 0) {
      const wanted = this.#header ? this.#header.block : undefined
      rest = wanted === undefined ? this.#line(rest) : this.#block(rest, wanted)
      const done = this.#header && this.#held >= this.#header.block ? this.#finish() : undefined
      if (done) events.push(done)
      rest = this.#skipped(rest)
    }
    return events
  }

  #skipped(bytes: Uint8Array): Uint8Array {
    const skip = Math.min(this.#skip, bytes.length)
    this.#skip -= skip
    return bytes.subarray(skip)
  }

  #take(): Uint8Array {
    const all =
      this.#parts.length === 1 ? (this.#parts[0] as Uint8Array) : Buffer.concat(this.#parts)
    this.#parts = []
    this.#held = 0
    return all
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#parts.push(bytes)
    this.#held += bytes.length
  }

  #line(bytes: Uint8Array): Uint8Array {
    const end = bytes.indexOf(NEWLINE)
    const part = end < 0 ? bytes : bytes.subarray(0, end)
    if (this.#held + part.length > limits.wyomingHeaderBytes)
      throw garbled('a header line is too long')
    this.#keep(part)
    if (end < 0) return new Uint8Array(0)
    // An empty line between events is nobody's event.
    if (this.#held > 0) this.#header = readHeader(this.#take())
    return bytes.subarray(end + 1)
  }

  #block(bytes: Uint8Array, wanted: number): Uint8Array {
    const missing = wanted - this.#held
    this.#keep(bytes.subarray(0, missing))
    return bytes.subarray(Math.min(missing, bytes.length))
  }

  #finish(): WyomingEvent {
    const { type, data, block, payload } = this.#header as Header
    const more = block === 0 ? {} : objectOf(this.#take(), 'a data block')
    this.#header = undefined
    this.#skip = payload
    return { type, data: { ...data, ...more } }
  }
}
