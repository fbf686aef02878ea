/**
 * Runtime forms: how a matrix of integer blocks is multiplied on this CPU.
 *
 *   q4       `MatMulNBits` with 4 bits
 *   q8       `MatMulNBits` with 8 bits
 *   q8split  8 bits as two 4-bit products: q = 16·h + l, so
 *            d·(q − 128) = 16d·(h − 8) + d·(l − 0). Exact to float rounding, and quick
 *            where 8 bits have no kernel (fp32 activations, Arm without dot products).
 *   f32      plain float32, for matrices that were kept unquantized
 *
 * A form's weights are pieces of one file that the runtime maps. Offsets of a block
 * (Q4_1 and the like) become one more small product with the blocks' sums of x.
 */
import type { Arithmetic } from '../ports.ts'

export type Form = 'q4' | 'q8' | 'q8split' | 'f32'

/** How 8-bit blocks run, for each arithmetic; measured at start. */
export type FormChoice = { arithmetic: Arithmetic; q8: 'q8' | 'q8split' }

/** Integer blocks of a matrix type: width, block length, and whether a block has an offset. */
export type BlockShape = { bits: 4 | 8; block: 16 | 32; offsets: boolean }

/** A matrix at run time: the stacked rows of one or more tensors with the same columns. */
export type MatrixPlan = {
  /** Names of the record's tensors, stacked in this order. */
  tensors: string[]
  /** Rows of each of them. */
  tensorRows: number[]
  /** All rows (N). */
  rows: number
  /** Columns (K). */
  columns: number
  shape: BlockShape | 'f32'
  form: Form
  /** Where each of its pieces stands in the runtime file. */
  pieces: Record<PieceName, Piece | undefined>
}

export type PieceName =
  | 'codes'
  | 'scales'
  | 'offsets'
  | 'lowCodes'
  | 'lowScales'
  | 'lowZeros'
  | 'f32'
export type Piece = { type: 'uint8' | 'float'; dims: number[]; offset: number; bytes: number }

const ALIGNMENT = 64

/** Hands out aligned places in a file. */
export class FileLayout {
  bytes = 0

  place(type: Piece['type'], dims: number[]): Piece {
    const offset = Math.ceil(this.bytes / ALIGNMENT) * ALIGNMENT
    const bytes = dims.reduce((a, b) => a * b, type === 'float' ? 4 : 1)
    this.bytes = offset + bytes
    return { type, dims, offset, bytes }
  }
}

/** The form in which blocks of this shape run under a choice. */
export const formOf = (shape: BlockShape | 'f32', choice: FormChoice): Form =>
  shape === 'f32' ? 'f32' : shape.bits === 4 ? 'q4' : choice.q8

/** Lays a matrix's pieces out in the runtime file. */
export const planMatrix = (
  tensors: readonly { name: string; rows: number }[],
  columns: number,
  shape: BlockShape | 'f32',
  choice: FormChoice,
  layout: FileLayout,
): MatrixPlan => {
  const rows = tensors.reduce((sum, t) => sum + t.rows, 0)
  const form = formOf(shape, choice)
  const pieces: MatrixPlan['pieces'] = {
    codes: undefined,
    scales: undefined,
    offsets: undefined,
    lowCodes: undefined,
    lowScales: undefined,
    lowZeros: undefined,
    f32: undefined,
  }
  if (shape === 'f32') pieces.f32 = layout.place('float', [rows, columns])
  else {
    const blocks = columns / shape.block
    const bits = form === 'q8' ? 8 : 4
    const codeDims = [rows, blocks, (shape.block * bits) / 8]
    pieces.codes = layout.place('uint8', codeDims)
    pieces.scales = layout.place('float', [rows * blocks])
    if (form === 'q8split') {
      pieces.lowCodes = layout.place('uint8', codeDims)
      pieces.lowScales = layout.place('float', [rows * blocks])
      pieces.lowZeros = layout.place('uint8', [rows * Math.ceil(blocks / 2)])
    }
    if (shape.offsets) pieces.offsets = layout.place('float', [rows, blocks])
  }
  return {
    tensors: tensors.map((t) => t.name),
    tensorRows: tensors.map((t) => t.rows),
    rows,
    columns,
    shape,
    form,
    pieces,
  }
}

/** Codes and scales of a band of rows, as `model/blocks` makes them. */
export type BlockBand = {
  codes: Uint8Array
  scales: Float32Array
  offsets?: Float32Array | undefined
}

/**
 * What a band of rows puts into each piece.
 * @returns pairs of piece and bytes; the caller writes them at `piece.offset` plus the
 * band's share (`row / rows` of the piece)
 */
export const fillPieces = (
  form: Form,
  band: BlockBand | Float32Array,
): [PieceName, Uint8Array][] => {
  if (band instanceof Float32Array) return [['f32', bytesOf(band)]]
  const out: [PieceName, Uint8Array][] = []
  if (form === 'q8split') {
    const { high, low } = splitNibbles(band.codes)
    out.push(['codes', high], ['scales', bytesOf(band.scales.map((d) => d * 16))])
    out.push(['lowCodes', low], ['lowScales', bytesOf(band.scales)])
    // The low half has integer zero points of 0. The file has zeros there already.
  } else out.push(['codes', band.codes], ['scales', bytesOf(band.scales)])
  if (band.offsets) out.push(['offsets', bytesOf(band.offsets)])
  return out
}

const bytesOf = (a: Float32Array): Uint8Array =>
  new Uint8Array(a.buffer, a.byteOffset, a.byteLength)

/** 8-bit codes as two planes of packed 4-bit codes (low nibble first): `q = 16·high + low`. */
const splitNibbles = (codes: Uint8Array): { high: Uint8Array; low: Uint8Array } => {
  const high = new Uint8Array(codes.length / 2)
  const low = new Uint8Array(codes.length / 2)
  for (let i = 0; i < high.length; i++) {
    const a = codes[2 * i] as number
    const b = codes[2 * i + 1] as number
    high[i] = (a >> 4) | (b & 0xf0)
    low[i] = (a & 15) | ((b & 15) << 4)
  }
  return { high, low }
}
