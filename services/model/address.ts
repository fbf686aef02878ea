/**
 * How a weight record is named: by a hash over its chunks' hashes, a tree of one level (as in
 * Merkle's). A chunk is hashed once, whoever takes it in, and a record that has come whole is
 * known without being read again.
 */
import { createHash } from 'node:crypto'

/**
 * The address of a record.
 * @param chunks SHA-256 of each of its chunks, in hex, in order
 * @returns SHA-256 of those hashes' bytes one after the other, in hex
 */
export const addressOf = (chunks: Iterable<string>): string => {
  const hash = createHash('sha256')
  for (const sha256 of chunks) hash.update(sha256, 'hex')
  return hash.digest('hex')
}
