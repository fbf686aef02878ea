/**
 * Reads sealed weight records, synchronously, by connections of its own: so the engine's
 * thread streams records into the files that it maps while the store's thread goes on writing.
 */
import { crc32 } from 'node:zlib'
import { MdiError } from '../../errors.ts'
import { type RecordTensor, readRecordHeader, recordHeaderLength } from '../../model/record.ts'
import { chunkLength, chunkOf, chunkStart } from '../../wire/chunks.ts'
import { type DatabaseHandle, damagedRecord, guarded, type StoreFolder } from './database.ts'
import { openSealed, sealedPath, setAside } from './recordfile.ts'

/** A chunk as it is kept. */
export type Chunk = { data: Uint8Array; sha256: string }

type Found = { sha256: string; db: DatabaseHandle; bytes: number }

export class RecordReader {
  readonly #options: StoreFolder
  /** The record read last, and its chunk: tensors are read piece by piece. */
  #open: Found | undefined
  #last: { number: number; data: Uint8Array } | undefined

  constructor(options: StoreFolder) {
    this.#options = options
  }

  #find(sha256: string): Found {
    if (this.#open?.sha256 === sha256) return this.#open
    this.release()
    const { folder } = this.#options
    this.#open = this.#sound(sha256, () => ({
      sha256,
      ...openSealed(folder, sha256, this.#options),
    }))
    return this.#open
  }

  /** Reads from a record; one that proves damaged is a record no longer. */
  #sound<T>(sha256: string, work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (error instanceof MdiError && error.code === 'bad-file') {
        this.release()
        setAside(this.#options.folder, sha256)
      }
      throw error
    }
  }

  /** One chunk, checked against its CRC. @throws MdiError `not-found`, `bad-value`, `bad-file` */
  chunk(sha256: string, number: number): Chunk {
    const { db, bytes } = this.#find(sha256)
    const length = chunkLength(bytes, number)
    const path = sealedPath(this.#options.folder, sha256)
    return this.#sound(sha256, () => {
      const row = guarded(path, () =>
        db
          .prepare<[number], Chunk & { crc32: number }>(
            'SELECT data, sha256, crc32 FROM chunk WHERE number = ?',
          )
          .get(number),
      )
      if (!row || row.data.length !== length || crc32(row.data) !== row.crc32)
        throw damagedRecord(path)
      return { data: row.data, sha256: row.sha256 }
    })
  }

  /** A sealed record's length in bytes. @throws MdiError `not-found`, `bad-file` */
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
    this.#check(sha256, offset, length)
    const target = new Uint8Array(length)
    this.#copy(sha256, offset, target)
    return target
  }

  /** The same into memory that is there already. */
  readInto(sha256: string, offset: number, target: Uint8Array): void {
    this.#check(sha256, offset, target.length)
    this.#copy(sha256, offset, target)
  }

  #check(sha256: string, offset: number, length: number): void {
    const { bytes } = this.#find(sha256)
    const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length)
    if (!whole || offset < 0 || length < 0 || offset + length > bytes)
      throw new MdiError(
        'bad-value',
        `A record of ${bytes} bytes has no ${length} bytes at ${offset}.`,
      )
  }

  #copy(sha256: string, offset: number, target: Uint8Array): void {
    let at = 0
    while (at < target.length) {
      const number = chunkOf(offset + at)
      if (this.#last?.number !== number)
        this.#last = { number, data: this.chunk(sha256, number).data }
      const from = offset + at - chunkStart(number)
      const part = this.#last.data.subarray(from, from + target.length - at)
      target.set(part, at)
      at += part.length
    }
  }

  /** Lets go of the record read last: a removed one takes room as long as it is open. */
  release(): void {
    this.#last = undefined
    this.#open?.db.close()
    this.#open = undefined
  }
}
