/**
 * Writes a record's runtime file: its tensors in the forms that this CPU runs, as the
 * pieces that `graph/runtime` laid out. Bands of rows at a time, so memory stays small;
 * made once and kept, under a name that tells the record and the forms.
 */
import { writeSync } from 'node:fs'
import { type BlockBand, type FormChoice, fillPieces, type MatrixPlan } from '../../graph/forms.ts'
import { planRecord, type RecordPlan } from '../../graph/runtime.ts'
import { toBlocks } from '../../model/blocks.ts'
import { dequantize, typeByName } from '../../model/quants.ts'
import type { RecordTensor } from '../../model/record.ts'
import { ensureSealed } from './seal.ts'

/** Synchronous access to sealed records, for the engine's own thread. */
export interface RecordSource {
  header(sha256: string): RecordTensor[]
  read(sha256: string, offset: number, length: number): Uint8Array
  /** Lets go of the record read last. */
  release(): void
}

/** Elements that are converted at a time. */
const BAND_ELEMENTS = 1 << 20

/** A record ready to run: its file and what stands where. */
export type Materialized = {
  plan: RecordPlan
  /** File name within the folder. */
  file: string
  vectors: Map<string, Float32Array>
  /** The file was damaged, and was made anew. */
  mended: boolean
}

/**
 * Makes the runtime file of a record unless it is there and sound.
 * Errors: `disk-full`, `not-found` (no such record).
 */
export const materialize = (
  source: RecordSource,
  sha256: string,
  choice: FormChoice,
  folder: string,
): Materialized => {
  const tensors = source.header(sha256)
  const plan = planRecord(tensors, choice)
  const file = `${sha256}-${choice.q8}.bin`
  const made = ensureSealed(folder, file, plan.bytes, (fd) => {
    for (const matrix of plan.matrices.values()) fillMatrix(source, sha256, tensors, matrix, fd)
  })
  const vectors = new Map(
    plan.vectors.map((name) => {
      const t = tensors.find((x) => x.name === name) as RecordTensor
      const bytes = source.read(sha256, t.offset, t.bytes)
      return [name, dequantize(typeByName(t.type), bytes, t.rows * t.columns)]
    }),
  )
  return { plan, file, vectors, mended: made === 'mended' }
}

const fillMatrix = (
  source: RecordSource,
  sha256: string,
  tensors: readonly RecordTensor[],
  matrix: MatrixPlan,
  fd: number,
): void => {
  let firstRow = 0
  for (const name of matrix.tensors) {
    const tensor = tensors.find((t) => t.name === name) as RecordTensor
    const rowBytes = tensor.bytes / tensor.rows
    const bandRows = Math.max(1, Math.floor(BAND_ELEMENTS / tensor.columns))
    for (let row = 0; row < tensor.rows; row += bandRows) {
      const rows = Math.min(bandRows, tensor.rows - row)
      const bytes = source.read(sha256, tensor.offset + row * rowBytes, rows * rowBytes)
      for (const [name, data] of fillPieces(matrix.form, bandOf(matrix, tensor, bytes, rows))) {
        const piece = matrix.pieces[name]
        if (!piece) throw new Error(`the form lacks its piece ${name}`)
        const at = piece.offset + (piece.bytes / matrix.rows) * (firstRow + row)
        writeSync(fd, data, 0, data.length, at)
      }
    }
    firstRow += tensor.rows
  }
}

const bandOf = (
  matrix: MatrixPlan,
  tensor: RecordTensor,
  bytes: Uint8Array,
  rows: number,
): BlockBand | Float32Array => {
  const type = typeByName(tensor.type)
  return matrix.shape === 'f32'
    ? dequantize(type, bytes, rows * tensor.columns)
    : toBlocks(type, bytes, rows, tensor.columns)
}
