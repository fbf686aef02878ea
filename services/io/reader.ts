/**
 * Reads weight records, synchronously, from a connection of its own: so the engine's
 * thread streams records into the files that it maps while the store's thread goes on
 * writing (readers and the writer of a write-ahead log do not block each other).
 */
import { crc32 } from 'node:zlib'
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { type RecordTensor, readRecordHeader, recordHeaderLength } from '../model/record.ts'
import { type Connection, guarded, modelsPath, openModels, type StoreFolder } from './database.ts'

/** How many chunks a record of `bytes` has. */
export const chunkCount = (bytes: number): number => Math.ceil(bytes / limits.chunkBytes)

type Found = { id: number; bytes: number }

export class RecordReader {
  readonly #path: string
  readonly #db: Connection
  readonly #owned: boolean
  /** The chunk read last: tensors are read piece by piece. */
  #last: { record: number; number: number; data: Uint8Array } | undefined

  /** @param shared a connection to use and leave open; absent: one is opened for reading */
  constructor(options: StoreFolder, shared?: Connection) {
    this.#path = modelsPath(options.folder)
    this.#owned = shared === undefined
    this.#db = shared ?? openModels({ ...options, readOnly: true })
  }

  /** How long chunk `number` of a record is. @throws MdiError `bad-value` beyond its end */
  chunkLength(bytes: number, number: number): number {
    if (!Number.isSafeInteger(number) || number < 0 || number >= chunkCount(bytes))
      throw new MdiError('bad-value', `A record of ${bytes} bytes has no chunk ${number}.`)
    return Math.min(limits.chunkBytes, bytes - number * limits.chunkBytes)
  }

  /** One chunk, checked against its CRC. @throws MdiError `not-found`, `bad-file` */
  chunk(record: Found, number: number): Uint8Array {
    const length = this.chunkLength(record.bytes, number)
    const row = guarded(this.#path, () =>
      this.#db
        .prepare<[number, number], { data: Buffer; crc32: number }>(
          'SELECT data, crc32 FROM chunk WHERE record = ? AND number = ?',
        )
        .get(record.id, number),
    )
    if (!row) throw new MdiError('not-found', `Chunk ${number} of this record is not here yet.`)
    if (row.data.length !== length || crc32(row.data) !== row.crc32)
      throw new MdiError(
        'bad-file',
        `A weight record in ${this.#path} is damaged on disk: remove its model and import it again.`,
      )
    return row.data
  }

  #find(sha256: string): Found {
    const row = guarded(this.#path, () =>
      this.#db
        .prepare<[string], Found>('SELECT id, bytes FROM record WHERE sha256 = ? AND sealed = 1')
        .get(sha256),
    )
    if (!row) throw new MdiError('not-found', `The store has no record ${sha256}.`)
    return row
  }

  /** A sealed record's length in bytes. @throws MdiError `not-found` */
  bytes(sha256: string): number {
    return this.#find(sha256).bytes
  }

  /** A sealed record's tensors. @throws MdiError `not-found`, `bad-file` */
  header(sha256: string): RecordTensor[] {
    const { bytes } = this.#find(sha256)
    const length = recordHeaderLength(this.read(sha256, 0, Math.min(8, bytes)))
    if (length > bytes) throw new MdiError('bad-file', 'A weight record is cut short.')
    return readRecordHeader(this.read(sha256, 0, length), bytes)
  }

  /** Bytes of a sealed record, a copy. @throws MdiError `not-found`, `bad-value`, `bad-file` */
  read(sha256: string, offset: number, length: number): Uint8Array {
    const found = this.#bounded(sha256, offset, length)
    const target = new Uint8Array(length)
    this.#copy(found, offset, target)
    return target
  }

  /** The same into memory that is there already. */
  readInto(sha256: string, offset: number, target: Uint8Array): void {
    this.#copy(this.#bounded(sha256, offset, target.length), offset, target)
  }

  #bounded(sha256: string, offset: number, length: number): Found {
    const found = this.#find(sha256)
    const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length)
    if (!whole || offset < 0 || length < 0 || offset + length > found.bytes)
      throw new MdiError(
        'bad-value',
        `A record of ${found.bytes} bytes has no ${length} bytes at ${offset}.`,
      )
    return found
  }

  #copy(found: Found, offset: number, target: Uint8Array): void {
    let at = 0
    while (at < target.length) {
      const number = Math.floor((offset + at) / limits.chunkBytes)
      if (this.#last?.record !== found.id || this.#last.number !== number)
        this.#last = { record: found.id, number, data: this.chunk(found, number) }
      const from = offset + at - number * limits.chunkBytes
      const part = this.#last.data.subarray(from, from + target.length - at)
      target.set(part, at)
      at += part.length
    }
  }

  /** Lets go of the chunk read last. */
  release(): void {
    this.#last = undefined
  }

  close(): void {
    this.release()
    if (this.#owned) this.#db.close()
  }
}
