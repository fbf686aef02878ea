/**
 * The table of tensor types: how elements lie in bytes, what they are worth, and in which
 * blocks they run. Numbers and names are those of GGUF,
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
 */
import { halfTable } from './half.ts'
import {
  type Unpack,
  type Unpacked,
  unpackIQ4_NL,
  unpackQ2_K,
  unpackQ3_K,
  unpackQ4_0,
  unpackQ4_1,
  unpackQ4_K,
  unpackQ5_0,
  unpackQ5_1,
  unpackQ5_K,
  unpackQ6_K,
  unpackQ8_0,
} from './unpack.ts'

/** How a quantized type's weights stand in blocks for `MatMulNBits`, exactly. */
export type BlockForm = {
  /** Bits of a code at run time. */
  bits: 4 | 8
  /** Elements that share a scale. */
  block: 16 | 32
  /** Whether blocks have an offset. */
  offset: boolean
  /** Subtracted from `q` before it is coded, so that codes centre on zero. */
  centre: number
}

/** One tensor type. */
export type TensorType = {
  readonly name: string
  /** `ggml_type` in a GGUF file. */
  readonly id: number
  /** Elements in a block; a row holds whole blocks. */
  readonly elements: number
  /** Bytes of a block. */
  readonly bytes: number
  /** Of quantized types. */
  readonly form?: BlockForm
  readonly unpack?: Unpack
}

const floats = (name: string, id: number, bytes: number): TensorType => ({
  name,
  id,
  elements: 1,
  bytes,
})

const quantized = (
  name: string,
  id: number,
  [elements, bytes]: [number, number],
  [bits, block, centre]: [4 | 8, 16 | 32, number?],
  unpack: Unpack,
): TensorType => ({
  name,
  id,
  elements,
  bytes,
  form: { bits, block, offset: centre !== undefined, centre: centre ?? 0 },
  unpack,
})

/** Every type that can be imported. A centre is given where the type has a minimum. */
export const tensorTypes: readonly TensorType[] = [
  floats('F32', 0, 4),
  floats('F16', 1, 2),
  floats('BF16', 30, 2),
  quantized('Q4_0', 2, [32, 18], [4, 32], unpackQ4_0),
  quantized('Q4_1', 3, [32, 20], [4, 32, 8], unpackQ4_1),
  quantized('Q5_0', 6, [32, 22], [8, 32], unpackQ5_0),
  quantized('Q5_1', 7, [32, 24], [8, 32, 16], unpackQ5_1),
  quantized('Q8_0', 8, [32, 34], [8, 32], unpackQ8_0),
  quantized('Q2_K', 10, [256, 84], [4, 16, 2], unpackQ2_K),
  quantized('Q3_K', 11, [256, 110], [4, 16], unpackQ3_K),
  quantized('Q4_K', 12, [256, 144], [4, 32, 8], unpackQ4_K),
  quantized('Q5_K', 13, [256, 176], [8, 32, 16], unpackQ5_K),
  quantized('Q6_K', 14, [256, 210], [8, 16], unpackQ6_K),
  quantized('IQ4_NL', 20, [32, 18], [8, 32], unpackIQ4_NL),
]

/** Types that GGUF has and that cannot be imported, so that they can be refused by name. */
const foreignTypes: Readonly<Record<number, string>> = {
  9: 'Q8_1',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  24: 'I8',
  25: 'I16',
  26: 'I32',
  27: 'I64',
  28: 'F64',
  29: 'IQ1_M',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
  40: 'NVFP4',
  41: 'Q1_0',
}

const byId = new Map(tensorTypes.map((type) => [type.id, type]))
const byName = new Map(tensorTypes.map((type) => [type.name, type]))

/** The type with this GGUF number, if it can be imported. */
export const typeById = (id: number): TensorType | undefined => byId.get(id)
/** The type of this name; a name that is not in the table is a broken invariant. */
export const typeByName = (name: string): TensorType => {
  const type = byName.get(name)
  if (!type) throw new Error(`no tensor type ${name}`)
  return type
}
/** How a GGUF number is called, known or not. */
export const typeLabel = (id: number): string =>
  byId.get(id)?.name ?? foreignTypes[id] ?? `number ${id}`

/** Bytes of `rows` × `columns` elements, each row of whole blocks. */
export const typeBytes = (type: TensorType, rows: number, columns: number): number =>
  (columns / type.elements) * type.bytes * rows

/** Room for one unpacked block. */
export const unpackedRoom = (type: TensorType): Unpacked => {
  const groups = type.form ? type.elements / type.form.block : 0
  return {
    q: new Int8Array(type.elements),
    scales: new Float32Array(groups),
    minima: new Float32Array(groups),
  }
}

/** Typed arrays want alignment (and little-endian machines, as all of ours are). */
const aligned = (bytes: Uint8Array): Uint8Array =>
  bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()

const dequantizeFloats = (type: TensorType, bytes: Uint8Array): Float32Array => {
  if (type.name === 'F32') return new Float32Array(bytes.slice().buffer)
  const { buffer, byteOffset, length } = aligned(bytes)
  const patterns = new Uint16Array(buffer, byteOffset, length / 2)
  const out = new Float32Array(patterns.length)
  if (type.name === 'F16') {
    const table = halfTable()
    for (let i = 0; i < out.length; i++) out[i] = table[patterns[i] as number] as number
    return out
  }
  // BF16 is the upper half of an fp32.
  const bits = new Uint32Array(out.buffer)
  for (let i = 0; i < out.length; i++) bits[i] = (patterns[i] as number) << 16
  return out
}

/**
 * The values of `count` elements: whole blocks from the start of `bytes`. The reference
 * against which every other form is measured; each value is rounded to fp32 once.
 */
export const dequantize = (type: TensorType, bytes: Uint8Array, count: number): Float32Array => {
  const blocks = count / type.elements
  if (!Number.isInteger(blocks) || bytes.length < blocks * type.bytes)
    throw new RangeError(`${count} elements of ${type.name} are not ${bytes.length} bytes`)
  const { form, unpack } = type
  if (!form || !unpack) return dequantizeFloats(type, bytes.subarray(0, blocks * type.bytes))
  const out = new Float32Array(count)
  const room = unpackedRoom(type)
  const { q, scales, minima } = room
  let at = 0
  for (let b = 0; b < blocks; b++) {
    unpack(bytes, b * type.bytes, room)
    for (let g = 0, i = 0; g < scales.length; g++) {
      const scale = scales[g] as number
      const minimum = minima[g] as number
      for (const end = i + form.block; i < end; i++) out[at++] = scale * (q[i] as number) + minimum
    }
  }
  return out
}
