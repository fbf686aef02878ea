/**
 * Fixed layouts of bytes: a table of fields with their offsets, from which encoding,
 * decoding and the document come. Everything is little-endian, as every CPU that
 * this runs on is, so that activations go to and from the wire without being turned.
 */
import { crc32 } from 'node:zlib'

/** Bytes that each field type takes. */
const widths = { u8: 1, u16: 2, u32: 4 } as const
export type FieldType = keyof typeof widths

/** One field of a layout; `offset` is stated, and asserted to follow the field before. */
export type Field<Name extends string = string> = {
  name: Name
  type: FieldType
  offset: number
  /** What it says, for the document. */
  about: string
}

/** Values of a layout's fields by name. */
export type Values<Name extends string> = Record<Name, number>

/** A layout: what encodes, decodes and documents one table of fields. */
export type Layout<Name extends string> = {
  name: string
  fields: readonly Field<Name>[]
  bytes: number
  write(view: DataView, at: number, values: Values<Name>): void
  read(view: DataView, at: number): Values<Name>
}

const maximum = (type: FieldType): number => 2 ** (8 * widths[type]) - 1

const put = (view: DataView, at: number, type: FieldType, value: number): void => {
  if (type === 'u8') view.setUint8(at, value)
  else if (type === 'u16') view.setUint16(at, value, true)
  else view.setUint32(at, value, true)
}

const get = (view: DataView, at: number, type: FieldType): number => {
  if (type === 'u8') return view.getUint8(at)
  return type === 'u16' ? view.getUint16(at, true) : view.getUint32(at, true)
}

/**
 * Makes a layout of a table of fields.
 * @param bytes the length of the whole, asserted against the fields at load
 * @throws Error when a field does not follow the one before it (a mistake in the table)
 */
export const defineLayout = <const Name extends string>(
  name: string,
  bytes: number,
  fields: readonly Field<Name>[],
): Layout<Name> => {
  let end = 0
  for (const field of fields) {
    if (field.offset !== end)
      throw new Error(`layout ${name}: ${field.name} stands at ${field.offset}, expected ${end}`)
    end += widths[field.type]
  }
  if (end !== bytes) throw new Error(`layout ${name} takes ${end} bytes, not ${bytes}`)
  return {
    name,
    fields,
    bytes,
    write(view, at, values) {
      for (const { name: key, type, offset } of fields) {
        const value = values[key]
        if (!Number.isInteger(value) || value < 0 || value > maximum(type))
          throw new RangeError(`${name}.${key} is ${value}, beyond ${type}`)
        put(view, at + offset, type, value)
      }
    },
    read(view, at) {
      const values = {} as Values<Name>
      for (const { name: key, type, offset } of fields) values[key] = get(view, at + offset, type)
      return values
    },
  }
}

/** A layout as a Markdown table. */
export const describeLayout = (layout: Layout<string>): string =>
  [
    `| offset | type | ${layout.name} | |`,
    '|---|---|---|---|',
    ...layout.fields.map((f) => `| ${f.offset} | ${f.type} | ${f.name} | ${f.about} |`),
  ].join('\n')

/** A `DataView` of just these bytes. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** CRC-32 of several pieces as if they were one. */
export const checksum = (...parts: readonly Uint8Array[]): number =>
  parts.reduce((sum, part) => crc32(part, sum), 0)

/** Largest finite half-precision number. */
const HALF_MAX = 65_504

/** Activations in half precision; what lies beyond its range is held at its ends. */
export const toHalf = (x: Float32Array): Float16Array => {
  const out = new Float16Array(x.length)
  for (let i = 0; i < x.length; i++) {
    const value = x[i] as number
    out[i] = Math.min(Math.max(value, -HALF_MAX), HALF_MAX)
  }
  return out
}

/** The bytes of a typed array, not copied. */
export const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

/** Bytes as float32, not copied where their alignment allows. */
export const asFloat32 = (bytes: Uint8Array): Float32Array =>
  bytes.byteOffset % 4 === 0
    ? new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
    : new Float32Array(new Uint8Array(bytes).buffer)

/** Half-precision bytes as float32. */
export const halfToFloat32 = (bytes: Uint8Array): Float32Array =>
  new Float32Array(
    bytes.byteOffset % 2 === 0
      ? new Float16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2)
      : new Float16Array(new Uint8Array(bytes).buffer),
  )

if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1)
  throw new Error('this CPU is big-endian; the wire format is little-endian')
