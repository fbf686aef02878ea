/**
 * Reads the header of a GGUF file, versions 2 and 3, little-endian: its keys and its
 * table of tensors. The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
 * Files are strangers' bytes: each length is bounded (`limits`) and checked against
 * the file before it is used. The tensors' data is not touched.
 */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { Cursor } from './cursor.ts'
import { type TensorType, typeById, typeLabel } from './quants.ts'
import { SNIFFED, whatIs } from './sniff.ts'
import type { ByteSource } from './source.ts'

/** An array of a GGUF file: numbers as a typed array, booleans as bytes 0 and 1. */
export type GgufArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array
  | string[]
/** A 64-bit integer beyond 2^53 is a bigint, any other number a number. */
export type GgufValue = number | bigint | boolean | string | GgufArray
/** Every key of the file and its value, e.g. `general.architecture` → `llama`. */
export type GgufMetadata = ReadonlyMap<string, GgufValue>

/** One tensor: a matrix is `rows` × `columns`, rows contiguous; a vector has one row. */
export type GgufTensor = {
  name: string
  type: TensorType
  /** As in the file: `shape[0]` is the innermost dimension. */
  shape: number[]
  /** Product of the outer dimensions. */
  rows: number
  /** The inner dimension. */
  columns: number
  /** From the start of the file. */
  offset: number
  bytes: number
}

/** What a GGUF file's header says. */
export type GgufFile = {
  version: number
  metadata: GgufMetadata
  /** In the order of the file. */
  tensors: ReadonlyMap<string, GgufTensor>
  /** Where the tensors' data begins. */
  dataOffset: number
}

const ValueType = { bool: 7, string: 8, array: 9 } as const
type Numeric = {
  bytes: number
  /** One number. */
  get: (view: DataView) => number | bigint
  /** Many, from an aligned copy. */
  array: (buffer: ArrayBuffer) => GgufArray
}
const numeric: Readonly<Record<number, Numeric>> = {
  0: { bytes: 1, get: (v) => v.getUint8(0), array: (b) => new Uint8Array(b) },
  1: { bytes: 1, get: (v) => v.getInt8(0), array: (b) => new Int8Array(b) },
  2: { bytes: 2, get: (v) => v.getUint16(0, true), array: (b) => new Uint16Array(b) },
  3: { bytes: 2, get: (v) => v.getInt16(0, true), array: (b) => new Int16Array(b) },
  4: { bytes: 4, get: (v) => v.getUint32(0, true), array: (b) => new Uint32Array(b) },
  5: { bytes: 4, get: (v) => v.getInt32(0, true), array: (b) => new Int32Array(b) },
  6: { bytes: 4, get: (v) => v.getFloat32(0, true), array: (b) => new Float32Array(b) },
  7: { bytes: 1, get: (v) => v.getUint8(0), array: (b) => new Uint8Array(b) },
  10: { bytes: 8, get: (v) => v.getBigUint64(0, true), array: (b) => new BigUint64Array(b) },
  11: { bytes: 8, get: (v) => v.getBigInt64(0, true), array: (b) => new BigInt64Array(b) },
  12: { bytes: 8, get: (v) => v.getFloat64(0, true), array: (b) => new Float64Array(b) },
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const narrow = (value: number | bigint): number | bigint => {
  if (typeof value === 'number') return value
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

class HeaderReader {
  readonly #source: ByteSource
  readonly #cursor: Cursor
  readonly #file: string
  readonly #size: number

  constructor(source: ByteSource) {
    this.#source = source
    this.#cursor = new Cursor(source, limits.ggufHeaderBytes)
    this.#file = source.name
    this.#size = source.size
  }

  #notGguf(head: Uint8Array): MdiError {
    const what = whatIs(head)
    const why = what === undefined ? '' : `: it is ${what}`
    return new MdiError('bad-file', `${this.#file} is not a GGUF file${why}.`)
  }

  #bad(what: string): MdiError {
    return new MdiError('bad-file', `${this.#file} is damaged: ${what}.`)
  }

  async read(): Promise<GgufFile> {
    const version = await this.#version()
    const tensorCount = await this.#cursor.u64('its number of tensors')
    const keyCount = await this.#cursor.u64('its number of keys')
    if (keyCount > limits.ggufKeys) throw this.#bad(`it declares ${keyCount} keys`)
    if (tensorCount > limits.ggufTensors) throw this.#bad(`it declares ${tensorCount} tensors`)
    const metadata = await this.#metadata(keyCount)
    const found: GgufTensor[] = []
    for (let i = 0; i < tensorCount; i++) found.push(await this.#tensor(i))
    const alignment = this.#alignment(metadata)
    const dataOffset = Math.ceil(this.#cursor.position / alignment) * alignment
    return { version, metadata, dataOffset, tensors: this.#place(found, dataOffset, alignment) }
  }

  async #version(): Promise<number> {
    const size = Math.min(SNIFFED, this.#size)
    if (this.#size < 8) throw this.#notGguf(await this.#source.read(0, size))
    const magic = new TextDecoder('latin1').decode(await this.#cursor.bytes(4, 'its mark'))
    if (['tjgg', 'lmgg', 'fmgg', 'algg'].includes(magic))
      throw new MdiError(
        'unsupported',
        `${this.#file} is a GGML file from before GGUF; convert the model to GGUF anew.`,
      )
    if (magic !== 'GGUF') throw this.#notGguf(await this.#source.read(0, size))
    const version = await this.#cursor.u32('its version')
    if (version === 2 || version === 3) return version
    if ((version & 0xffff) === 0 && version !== 0)
      throw new MdiError(
        'unsupported',
        `${this.#file} is a big-endian GGUF file; only little-endian files are supported.`,
      )
    throw new MdiError(
      'unsupported',
      `${this.#file} is a GGUF file of version ${version}; versions 2 and 3 are supported.`,
    )
  }

  async #metadata(count: number): Promise<Map<string, GgufValue>> {
    const metadata = new Map<string, GgufValue>()
    for (let i = 0; i < count; i++) {
      const key = await this.#cursor.string(limits.ggufNameBytes, `the name of key ${i}`)
      if (metadata.has(key)) throw this.#bad(`the key ${JSON.stringify(key)} stands twice`)
      metadata.set(key, await this.#value(`the key ${JSON.stringify(key)}`))
    }
    return metadata
  }

  async #value(what: string): Promise<GgufValue> {
    const type = await this.#cursor.u32(what)
    if (type === ValueType.string) return this.#cursor.string(limits.ggufStringBytes, what)
    if (type === ValueType.array) return this.#array(what)
    const form = numeric[type]
    if (!form) throw this.#bad(`${what} has a value of unknown type ${type}`)
    const value = form.get(viewOf(await this.#cursor.bytes(form.bytes, what)))
    return type === ValueType.bool ? value !== 0 : narrow(value)
  }

  async #array(what: string): Promise<GgufArray> {
    const type = await this.#cursor.u32(what)
    const count = await this.#cursor.u64(what)
    const form = numeric[type]
    if (type === ValueType.array)
      throw new MdiError(
        'unsupported',
        `${this.#file}: ${what} is an array of arrays, which is not supported.`,
      )
    if (!form && type !== ValueType.string)
      throw this.#bad(`${what} has an array of unknown type ${type}`)
    // A string takes at least its length's 8 bytes.
    this.#cursor.require(count * (form?.bytes ?? 8), what)
    if (count > limits.ggufArrayLength)
      throw this.#bad(`${what} declares an array of ${count} elements`)
    if (!form) return this.#cursor.strings(count, limits.ggufStringBytes, what)
    const bytes = await this.#cursor.bytes(count * form.bytes, what)
    return form.array(bytes.buffer as ArrayBuffer)
  }

  /** One row of the tensor table; its offset is still relative to the data's start. */
  async #tensor(index: number): Promise<GgufTensor> {
    const name = await this.#cursor.string(limits.ggufNameBytes, `the name of tensor ${index}`)
    const what = `the tensor ${JSON.stringify(name)}`
    const dimensions = await this.#cursor.u32(what)
    if (dimensions === 0 || dimensions > limits.ggufDimensions)
      throw this.#bad(`${what} declares ${dimensions} dimensions`)
    const shape: number[] = []
    for (let d = 0; d < dimensions; d++) shape.push(await this.#cursor.u64(what))
    const id = await this.#cursor.u32(what)
    const type = typeById(id)
    if (!type)
      throw new MdiError(
        'unsupported',
        `${this.#file}: ${what} has the type ${typeLabel(id)}, which is not supported.`,
      )
    const offset = await this.#cursor.u64(what)
    const columns = shape[0] as number
    const rows = shape.slice(1).reduce((product, n) => product * n, 1)
    if (columns === 0 || rows === 0) throw this.#bad(`${what} is empty`)
    if (columns % type.elements !== 0)
      throw this.#bad(`${what} has rows of ${columns}, not whole blocks of ${type.name}`)
    const bytes = (columns / type.elements) * type.bytes * rows
    if (bytes > this.#size) throw this.#cursor.truncated(what)
    return { name, type, shape, rows, columns, offset, bytes }
  }

  #alignment(metadata: GgufMetadata): number {
    const value = metadata.get('general.alignment') ?? 32
    const sane = typeof value === 'number' && value >= 8 && value % 8 === 0 && value <= 65_536
    if (!sane) throw this.#bad(`its alignment is ${value}, not a multiple of 8 up to 65536`)
    return value
  }

  /** Makes offsets absolute and checks that the tensors lie in the file and do not overlap. */
  #place(found: GgufTensor[], start: number, alignment: number): Map<string, GgufTensor> {
    const tensors = new Map<string, GgufTensor>()
    for (const tensor of found) {
      const what = `the tensor ${JSON.stringify(tensor.name)}`
      if (tensors.has(tensor.name)) throw this.#bad(`${what} stands twice in its table`)
      if (tensor.offset % alignment !== 0) throw this.#bad(`${what} is not aligned`)
      tensor.offset += start
      if (tensor.offset + tensor.bytes > this.#size) throw this.#cursor.truncated(what)
      tensors.set(tensor.name, tensor)
    }
    let before: GgufTensor | undefined
    for (const tensor of [...found].sort((a, b) => a.offset - b.offset)) {
      if (before && before.offset + before.bytes > tensor.offset)
        throw this.#bad(
          `the tensors ${JSON.stringify(before.name)} and ${JSON.stringify(tensor.name)} overlap`,
        )
      before = tensor
    }
    return tensors
  }
}

/**
 * Reads a GGUF file's keys and tensor table.
 * Errors: `bad-file` (not GGUF, cut short, damaged), `unsupported` (version, byte order or
 * tensor type, by name).
 */
export const readGguf = (source: ByteSource): Promise<GgufFile> => new HeaderReader(source).read()
