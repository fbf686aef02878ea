/**
 * The weight record: the tensors of one layer (or of the embedding, or the head) in
 * one piece of bytes, addressed by its SHA-256. Quantized tensors stand in it with the
 * very blocks of their source file, so that nothing is rounded on the way; a node
 * makes its runtime form from them (`graph/forms`).
 *
 *   0   u32le  magic "MDIR"
 *   4   u32le  length of the header in bytes
 *   8   header JSON {"tensors":[{name,type,rows,columns,offset,bytes}]}, then zeros
 *   …   tensors, each at a multiple of `limits.recordAlignment` from the record's start
 */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'

const MAGIC = 0x5249444d // "MDIR", little-endian
const PREFIX = 8

/** One tensor of a record; a vector has `rows` 1. */
export type RecordTensor = {
  /** Canonical name: `attn_q`, `ffn_down`, `attn_norm`, `token_embd`, … */
  name: string
  /** Name of the tensor type (`model/quants`): `F32`, `Q4_1`, … */
  type: string
  /** Outputs (N) of the matrix, its outer dimension. */
  rows: number
  /** Inputs (K) of the matrix, its inner, contiguous dimension. */
  columns: number
  /** From the record's start. */
  offset: number
  bytes: number
}

const align = (n: number): number => Math.ceil(n / limits.recordAlignment) * limits.recordAlignment

/**
 * Lays out a record: the bytes before the first tensor and each tensor's offset.
 * @returns the header's bytes (padded), the tensors with offsets, and the whole length
 */
export const layoutRecord = (
  tensors: readonly Omit<RecordTensor, 'offset'>[],
): { header: Uint8Array; tensors: RecordTensor[]; bytes: number } => {
  // Offsets depend on the header's length, and stand in the header: repeat until both fit.
  let start = 0
  for (;;) {
    let at = start
    const placed = tensors.map((t) => {
      const offset = align(at)
      at = offset + t.bytes
      return { ...t, offset }
    })
    const json = new TextEncoder().encode(JSON.stringify({ tensors: placed }))
    const needed = align(PREFIX + json.length)
    if (needed <= start) {
      const header = new Uint8Array(start)
      const view = new DataView(header.buffer)
      view.setUint32(0, MAGIC, true)
      view.setUint32(4, json.length, true)
      header.set(json, PREFIX)
      return { header, tensors: placed, bytes: at }
    }
    start = needed
  }
}

/** How many bytes from a record's start hold its header, from its first 8 bytes. */
export const recordHeaderLength = (prefix: Uint8Array): number => {
  const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength)
  if (prefix.length < PREFIX || view.getUint32(0, true) !== MAGIC)
    throw new MdiError('bad-file', 'This is not a weight record.')
  const length = view.getUint32(4, true)
  if (length > limits.recordHeaderBytes)
    throw new MdiError('bad-file', 'A weight record declares a header beyond its bound.')
  return PREFIX + length
}

/**
 * Reads a record's header.
 * @param head the record's first bytes, at least `recordHeaderLength` of them
 * @param total the record's length; every tensor is checked to lie within it
 */
export const readRecordHeader = (head: Uint8Array, total: number): RecordTensor[] => {
  const end = recordHeaderLength(head)
  if (head.length < end) throw new MdiError('bad-file', 'A weight record is cut short.')
  const bad = () => new MdiError('bad-file', 'A weight record has a damaged header.')
  let parsed: unknown
  try {
    parsed = JSON.parse(
      new TextDecoder('utf-8', { fatal: true }).decode(head.subarray(PREFIX, end)),
    )
  } catch {
    throw bad()
  }
  const list = (parsed as { tensors?: unknown } | null)?.tensors
  if (!Array.isArray(list)) throw bad()
  const whole = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0
  return list.map((t: Partial<RecordTensor> | null): RecordTensor => {
    if (!t || typeof t.name !== 'string' || typeof t.type !== 'string') throw bad()
    const { name, type, rows, columns, offset, bytes } = t
    if (!whole(rows) || !whole(columns) || !whole(offset) || !whole(bytes)) throw bad()
    if (offset < end || offset + bytes > total) throw bad()
    return { name, type, rows, columns, offset, bytes }
  })
}
