/** Writes GGUF files, version 3, as a stream: for models made here, and for tests. */
import { type TensorType, typeBytes } from './quants.ts'

/** Where bytes go, in order. */
export type ByteSink = (bytes: Uint8Array) => Promise<void>

/** A value with its GGUF type. */
export type TypedValue =
  | { type: 'u32' | 'i32' | 'f32'; value: number }
  | { type: 'u64'; value: bigint }
  | { type: 'bool'; value: boolean }
  | { type: 'string'; value: string }
  | { type: 'strings'; value: readonly string[] }
  | { type: 'i32s' | 'f32s'; value: readonly number[] }
  | { type: 'bools'; value: readonly boolean[] }

/** A tensor to be written; `data` is asked for once, in order, and gives all its bytes. */
export type NewTensor = {
  name: string
  type: TensorType
  /** `shape[0]` is the innermost dimension. */
  shape: readonly number[]
  data(): Iterable<Uint8Array>
}

const ALIGNMENT = 32
const typeIds = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9, u64: 10 } as const

/** Bytes that grow, little-endian. */
class Bytes {
  #bytes = new Uint8Array(65_536)
  #view = new DataView(this.#bytes.buffer)
  length = 0

  #room(size: number): number {
    const at = this.length
    this.length += size
    if (this.length > this.#bytes.length) {
      const grown = new Uint8Array(this.length * 2)
      grown.set(this.#bytes)
      this.#bytes = grown
      this.#view = new DataView(grown.buffer)
    }
    return at
  }

  u8(value: number): void {
    const at = this.#room(1)
    this.#view.setUint8(at, value)
  }

  u32(value: number): void {
    const at = this.#room(4)
    this.#view.setUint32(at, value, true)
  }

  f32(value: number): void {
    const at = this.#room(4)
    this.#view.setFloat32(at, value, true)
  }

  u64(value: number | bigint): void {
    const at = this.#room(8)
    this.#view.setBigUint64(at, BigInt(value), true)
  }

  string(value: string): void {
    const bytes = new TextEncoder().encode(value)
    this.u64(bytes.length)
    const at = this.#room(bytes.length)
    this.#bytes.set(bytes, at)
  }

  align(): void {
    this.#room((ALIGNMENT - (this.length % ALIGNMENT)) % ALIGNMENT)
  }

  done(): Uint8Array {
    return this.#bytes.subarray(0, this.length)
  }
}

const writeValue = (out: Bytes, typed: TypedValue): void => {
  const array = (type: number, count: number): void => {
    out.u32(typeIds.array)
    out.u32(type)
    out.u64(count)
  }
  switch (typed.type) {
    case 'strings':
      array(typeIds.string, typed.value.length)
      for (const text of typed.value) out.string(text)
      return
    case 'i32s':
      array(typeIds.i32, typed.value.length)
      for (const n of typed.value) out.u32(n)
      return
    case 'f32s':
      array(typeIds.f32, typed.value.length)
      for (const n of typed.value) out.f32(n)
      return
    case 'bools':
      array(typeIds.bool, typed.value.length)
      for (const b of typed.value) out.u8(b ? 1 : 0)
      return
    default:
      out.u32(typeIds[typed.type])
  }
  if (typed.type === 'string') out.string(typed.value)
  else if (typed.type === 'bool') out.u8(typed.value ? 1 : 0)
  else if (typed.type === 'u64') out.u64(typed.value)
  else if (typed.type === 'f32') out.f32(typed.value)
  else out.u32(typed.value)
}

const bytesOf = (tensor: NewTensor): number => {
  const [columns = 0, ...outer] = tensor.shape
  return typeBytes(
    tensor.type,
    outer.reduce((product, n) => product * n, 1),
    columns,
  )
}

const padded = (n: number): number => Math.ceil(n / ALIGNMENT) * ALIGNMENT

/** A file's header: keys and tensor table, padded to where the data begins. */
export const ggufHeader = (
  metadata: ReadonlyMap<string, TypedValue>,
  tensors: readonly NewTensor[],
): Uint8Array => {
  const out = new Bytes()
  out.u32(0x46554747) // "GGUF"
  out.u32(3)
  out.u64(tensors.length)
  out.u64(metadata.size)
  for (const [key, value] of metadata) {
    out.string(key)
    writeValue(out, value)
  }
  let offset = 0
  for (const tensor of tensors) {
    out.string(tensor.name)
    out.u32(tensor.shape.length)
    for (const n of tensor.shape) out.u64(n)
    out.u32(tensor.type.id)
    out.u64(offset)
    offset += padded(bytesOf(tensor))
  }
  out.align()
  return out.done()
}

/**
 * Writes a file to `sink`.
 * @throws RangeError when a tensor's data is not as long as its shape says
 */
export const writeGguf = async (
  sink: ByteSink,
  metadata: ReadonlyMap<string, TypedValue>,
  tensors: readonly NewTensor[],
): Promise<void> => {
  await sink(ggufHeader(metadata, tensors))
  for (const tensor of tensors) {
    const wanted = bytesOf(tensor)
    let written = 0
    for (const bytes of tensor.data()) {
      await sink(bytes)
      written += bytes.length
    }
    if (written !== wanted)
      throw new RangeError(`${tensor.name}: ${written} bytes of data instead of ${wanted}`)
    if (padded(wanted) > wanted) await sink(new Uint8Array(padded(wanted) - wanted))
  }
}
