/**
 * Weights in the blocks that onnxruntime's `MatMulNBits` computes with. They are exact: no code
 * is rounded again. Only a type's minimum becomes part of a block's offset, with one fp32
 * rounding.
 */
import { type BlockForm, type TensorType, unpackedRoom } from './quants.ts'
import { type Repack, repackQ4_0, repackQ4_1, repackQ4_K, repackQ8_0 } from './repack.ts'
import type { Unpack } from './unpack.ts'

/**
 * A matrix in blocks: weight = `scale · (code − 2^(bits−1)) + offset`.
 * `B = columns / block` blocks a row.
 */
export type Blocks = {
  bits: 4 | 8
  block: 16 | 32
  /** `[rows][B][block · bits / 8]`, the first of two 4-bit codes in the low nibble. */
  codes: Uint8Array
  /** `[rows][B]` */
  scales: Float32Array
  /** `[rows][B]`; absent where the type has no minimum. */
  offsets?: Float32Array
}

const quick: Readonly<Record<string, Repack>> = {
  Q4_0: repackQ4_0,
  Q4_1: repackQ4_1,
  Q8_0: repackQ8_0,
  Q4_K: repackQ4_K,
}

/** Any type, block by block. */
const byUnpacking = (type: TensorType, form: BlockForm, unpack: Unpack): Repack => {
  const room = unpackedRoom(type)
  const groups = room.scales.length
  const { q } = room
  const zero = 2 ** (form.bits - 1) - form.centre
  return ({ source, blocks, codes, scales, offsets }) => {
    const bytes = new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
    const out = new Uint8Array(codes.buffer)
    let to = 0
    for (let b = 0; b < blocks; b++) {
      unpack(bytes, b * type.bytes, room)
      if (form.bits === 4)
        for (let i = 0; i < q.length; i += 2)
          out[to++] = ((q[i] as number) + zero) | (((q[i + 1] as number) + zero) << 4)
      else for (let i = 0; i < q.length; i++) out[to++] = (q[i] as number) + zero
      for (let g = 0; g < groups; g++) {
        const scale = room.scales[g] as number
        scales[b * groups + g] = scale
        if (form.offset) offsets[b * groups + g] = (room.minima[g] as number) + form.centre * scale
      }
    }
  }
}

/** All types' blocks have an even number of bytes; only the address can be odd. */
const units = (bytes: Uint8Array): Uint16Array => {
  const at = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice()
  return new Uint16Array(at.buffer, at.byteOffset, at.length / 2)
}

/**
 * A quantized matrix, or a band of its rows, in blocks.
 * @param bytes `rows` × `columns` elements of `type`, row after row
 */
export const toBlocks = (
  type: TensorType,
  bytes: Uint8Array,
  rows: number,
  columns: number,
): Blocks => {
  const { form, unpack } = type
  const blocks = (rows * columns) / type.elements
  if (!form || !unpack) throw new Error(`${type.name} has no blocks`)
  if (columns % type.elements !== 0 || bytes.length !== blocks * type.bytes)
    throw new RangeError(`${rows} × ${columns} of ${type.name} are not ${bytes.length} bytes`)
  const { bits, block } = form
  const codes = new Uint32Array((rows * columns * bits) / 32)
  const scales = new Float32Array((rows * columns) / block)
  const offsets = new Float32Array(form.offset ? scales.length : 0)
  const repack = quick[type.name] ?? byUnpacking(type, form, unpack)
  repack({ source: units(bytes), blocks, codes, scales, offsets })
  return {
    bits,
    block,
    codes: new Uint8Array(codes.buffer),
    scales,
    ...(form.offset && { offsets }),
  }
}

/**
 * Bytes that a matrix takes at run time: in blocks, or as fp32 where the type has none. A
 * block has its codes, its scale, its offset where the type has one, and its sum, which the
 * runtime's own packing adds.
 */
export const runtimeBytes = (type: TensorType, rows: number, columns: number): number => {
  const count = rows * columns
  if (!type.form) return count * 4
  const { bits, block, offset } = type.form
  return (count * bits) / 8 + (count / block) * (offset ? 12 : 8)
}
