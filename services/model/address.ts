/**
 * A weight record's name: a hash over the hashes of its chunks (a Merkle tree of one level). Each
 * chunk is hashed once, when it arrives. A complete record need not be read again.
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
