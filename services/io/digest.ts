/**
 * SHA-256 of chunks of weights, the most costly thing that an import does with a byte.
 * Where the processor has instructions for it, the thread that has the chunk hashes it at once:
 * Node's own threads would need a copy. Without them, as on most boards, hashing takes three times as
 * long, and Node's threads hash several chunks side by side.
 */
import { createHash } from 'node:crypto'

/** Bytes a second from which on a chunk is done at once. */
const QUICK = 800e6
/** Fewer bytes say nothing about the speed. */
const TELLING = 1 << 20

/** The hash in hex, done by this thread. */
export const digestHere = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex')

/** The hash in hex, done by a thread of Node's. The bytes may be used again when it has returned. */
export const digestAside = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex')

/** Hashes in the way that is quicker here. The first chunks are timed to know. */
export class Digests {
  #quick: boolean | undefined

  of(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
    if (this.#quick === false) return digestAside(bytes)
    const started = performance.now()
    const sha256 = digestHere(bytes)
    const seconds = (performance.now() - started) / 1000
    if (bytes.length >= TELLING) this.#quick ??= bytes.length / seconds >= QUICK
    return Promise.resolve(sha256)
  }
}
