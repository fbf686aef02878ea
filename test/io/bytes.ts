import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { LocalStore } from '../../services/io/store/operations.ts'
import { limits } from '../../services/limits.ts'
import { addressOf } from '../../services/model/address.ts'

/** Bytes that follow from a seed and do not repeat within a chunk. */
export const bytesOf = (seed: number, length: number): Uint8Array => {
  const block = new Uint8Array(65_537)
  for (let at = 0, i = 0; at < block.length; at += 32, i++) {
    const digest = createHash('sha256').update(`${seed} ${i}`).digest()
    block.set(digest.subarray(0, Math.min(32, block.length - at)), at)
  }
  const out = new Uint8Array(length)
  for (let at = 0; at < length; at += block.length)
    out.set(block.subarray(0, Math.min(block.length, length - at)), at)
  // Tells one repetition of the block from the next.
  for (let at = 0, i = 0; at + 4 <= length; at += 4_096, i++)
    new DataView(out.buffer).setUint32(at, i * 2_654_435_761 + seed)
  return out
}

/** SHA-256 in hex. */
export const hashOf = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')

/** What a chunk is stored with. */
export const sumsOf = (data: Uint8Array) => ({ sha256: hashOf(data), crc: crc32(data) })

/** A record's chunks. */
export const chunksOf = (data: Uint8Array): Uint8Array[] =>
  Array.from({ length: Math.ceil(data.length / limits.chunkBytes) }, (_, i) =>
    data.subarray(i * limits.chunkBytes, (i + 1) * limits.chunkBytes),
  )

/** A record's address. */
export const addressOfBytes = (data: Uint8Array): string => addressOf(chunksOf(data).map(hashOf))

/** Imports a record by the store's own calls. @returns its address */
export const putRecord = async (store: LocalStore, data: Uint8Array): Promise<string> => {
  const handle = store.beginImport()
  for (const chunk of chunksOf(data)) store.writeImport(handle, chunk, sumsOf(chunk))
  return (await store.finishImport(handle)).sha256
}
