import { createHash } from 'node:crypto'

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
