/** Weight transfer: the bodies of `fetch`, `chunk` and `fetch-error`. */
import { z } from 'zod'
import { errorSchema, hashSchema, u32Schema } from './values.ts'

/**
 * Asks for one chunk of `limits.chunkBytes` of something addressed by its SHA-256; the
 * frame's number is echoed in the answer. A manifest is fetched as a record is: it is too
 * long for the control plane.
 */
export const fetchSchema = z.object({
  what: z.enum(['record', 'manifest']),
  sha256: hashSchema,
  /** Ordinal of the chunk. */
  index: u32Schema,
})
export type Fetch = z.infer<typeof fetchSchema>

export const fetchErrorSchema = errorSchema

const HASH_BYTES = 32

/** A chunk's body in pieces: the data's SHA-256 (hex here, 32 bytes there), then the data. */
export const chunkBody = (sha256: string, data: Uint8Array): Uint8Array[] => [
  Buffer.from(sha256, 'hex'),
  data,
]

/** The inverse; undefined when the body is too short. The data is not copied. */
export const readChunkBody = (
  body: Uint8Array,
): { sha256: string; data: Uint8Array } | undefined =>
  body.length < HASH_BYTES
    ? undefined
    : {
        sha256: Buffer.from(body.buffer, body.byteOffset, HASH_BYTES).toString('hex'),
        data: body.subarray(HASH_BYTES),
      }
