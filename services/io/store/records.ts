/**
 * Weight records on their way into the store, each into a file of its own (`recordfile.ts`),
 * in chunks of `limits.chunkBytes`. An import's record has no address before its last chunk;
 * one that is fetched from a peer has, and goes on after a restart with the chunks that it has.
 */
import { createHash } from 'node:crypto'
import { existsSync, renameSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { addressOf } from '../../model/address.ts'
import type { PartialRecord } from '../../ports.ts'
import { chunkCount, chunkLength } from '../../wire/chunks.ts'
import {
  type DatabaseHandle,
  guarded,
  PAGE_BYTES,
  type StoreFolder,
  storeError,
} from './database.ts'
import type { RecordReader } from './reader.ts'
import {
  type ChunkSums,
  closePart,
  createNew,
  damagedPath,
  insertChunk,
  insertRecord,
  isSealed,
  newPath,
  openPart,
  partPath,
  place,
  prepareRecords,
  recordsBytes,
  recordsPath,
  removeFile,
  sealedPath,
  unknownRecord,
} from './recordfile.ts'

/** A record that is being imported: its file, its chunks' hashes so far, and what went wrong. */
type Import = {
  path: string
  db: DatabaseHandle
  chunks: string[]
  bytes: number
  failure?: unknown
}

/** A record that is being fetched. */
type Part = { db: DatabaseHandle; bytes: number }

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')

export class Records {
  readonly #options: StoreFolder & { maxBytes?: number }
  readonly #folder: string
  readonly #reader: RecordReader
  readonly #imports = new Map<number, Import>()
  readonly #parts = new Map<string, Part>()
  #handles = 0

  /** Clears what killed imports left. @param reader one that this may make let go of files */
  constructor(options: StoreFolder & { maxBytes?: number }, reader: RecordReader) {
    this.#options = options
    this.#folder = options.folder
    this.#reader = reader
    prepareRecords(options.folder)
  }

  /** Errors of writing name the folder: a file's own name tells a person nothing. */
  #guard<T>(work: () => T): T {
    return guarded(recordsPath(this.#folder), work)
  }

  /** Keeps a new file within the store's bound. */
  #bound(db: DatabaseHandle): DatabaseHandle {
    const { maxBytes } = this.#options
    if (maxBytes === undefined) return db
    const pages = Math.floor((maxBytes - recordsBytes(this.#folder)) / PAGE_BYTES)
    db.pragma(`max_page_count = ${Math.max(1, pages)}`)
    return db
  }

  /**
   * Starts a record whose hash is not yet known.
   * @param handle a number that was not used before, so that who calls need not wait for it
   * @returns its handle for the calls below
   */
  beginImport(handle = ++this.#handles): number {
    const path = newPath(this.#folder, handle)
    removeFile(path)
    const db = this.#guard(() => this.#bound(createNew(path, this.#options)))
    this.#imports.set(handle, { path, db, chunks: [], bytes: 0 })
    return handle
  }

  /** @throws what went wrong before, since calls are made ahead of its answers */
  #importOf(handle: number): Import {
    const found = this.#imports.get(handle)
    if (!found) throw new Error('this record is finished or dropped')
    if (found.failure !== undefined) throw found.failure
    return found
  }

  /**
   * Stores the next chunk of a record, of `limits.chunkBytes` unless it is the last.
   * @param sums the caller made them, since this thread has the most to do
   */
  writeImport(handle: number, data: Uint8Array, sums: ChunkSums): void {
    const into = this.#importOf(handle)
    try {
      if ((into.chunks.length + 1) * limits.chunkBytes > limits.recordBytes)
        throw new MdiError('bad-file', 'A weight record is larger than the store takes.')
      this.#guard(() => insertChunk(into.db, into.chunks.length, data, sums))
      into.chunks.push(sums.sha256)
      into.bytes += data.length
    } catch (error) {
      into.failure = error
      throw error
    }
  }

  /**
   * Seals an import under its address once all of it is on the disk, which the next import
   * need not wait for. The same record twice is kept once, the later one: it is sound.
   */
  async finishImport(
    handle: number,
    expected?: string,
  ): Promise<{ sha256: string; bytes: number }> {
    const { path, db, chunks, bytes } = this.#importOf(handle)
    const sha = addressOf(chunks)
    if (expected !== undefined && sha !== expected) {
      this.abortImport(handle)
      throw new MdiError('bad-file', `Record ${expected} does not match its hash.`)
    }
    this.#imports.delete(handle)
    try {
      insertRecord(db, sha, bytes)
      db.close()
      await place(path, sealedPath(this.#folder, sha))
    } catch (error) {
      db.close()
      removeFile(path)
      throw storeError(error, recordsPath(this.#folder))
    }
    this.#dropPart(sha)
    removeFile(damagedPath(this.#folder, sha))
    // It may have the file open that was there before.
    this.#reader.release()
    return { sha256: sha, bytes }
  }

  /** Drops an import; without effect on one that is finished. */
  abortImport(handle: number): void {
    const found = this.#imports.get(handle)
    if (!found) return
    this.#imports.delete(handle)
    found.db.close()
    removeFile(found.path)
  }

  /** See `Store.openRecord`. What cannot be gone on with is begun anew. */
  openRecord(sha: string, bytes: number): PartialRecord {
    if (!Number.isSafeInteger(bytes) || bytes < 1 || bytes > limits.recordBytes)
      throw new MdiError('bad-value', `A record cannot have ${bytes} bytes.`)
    if (isSealed(this.#folder, sha)) {
      const sealed = this.#reader.bytes(sha)
      if (sealed !== bytes)
        throw new MdiError('bad-value', `Record ${sha} has ${sealed} bytes, not ${bytes}.`)
      return { sha256: sha, bytes, have: Array.from({ length: chunkCount(bytes) }, (_, i) => i) }
    }
    const found = this.#partOrNone(sha)
    if (found?.bytes === bytes) return { sha256: sha, bytes, have: this.#have(found) }
    this.#dropPart(sha)
    const db = this.#guard(() => openPart(partPath(this.#folder, sha), this.#options))
    try {
      this.#guard(() => insertRecord(this.#bound(db), sha, bytes))
    } catch (error) {
      // Without this row it would be no record, however many chunks it has.
      db.close()
      throw error
    }
    this.#parts.set(sha, { db, bytes })
    return { sha256: sha, bytes, have: [] }
  }

  #have({ db }: Part): number[] {
    return this.#guard(
      () => db.prepare('SELECT number FROM chunk ORDER BY number').pluck().all() as number[],
    )
  }

  /** A record that is being fetched, also since before a restart; undefined if its file is of no use. */
  #partOrNone(sha: string): Part | undefined {
    const open = this.#parts.get(sha)
    if (open) return open
    const path = partPath(this.#folder, sha)
    if (!existsSync(path)) return undefined
    let db: DatabaseHandle | undefined
    try {
      db = openPart(path, this.#options)
      const bytes = db
        .prepare<[string], number>('SELECT bytes FROM record WHERE sha256 = ?')
        .pluck()
        .get(sha)
      if (bytes !== undefined) {
        const part = { db, bytes: Number(bytes) }
        this.#parts.set(sha, part)
        return part
      }
    } catch (error) {
      if (!(error instanceof MdiError && error.code === 'bad-file')) throw error
    }
    db?.close()
    removeFile(path)
    return undefined
  }

  #part(sha: string): Part {
    const part = this.#partOrNone(sha)
    if (!part) throw unknownRecord(sha)
    return part
  }

  #dropPart(sha: string): number {
    this.#parts.get(sha)?.db.close()
    this.#parts.delete(sha)
    return removeFile(partPath(this.#folder, sha))
  }

  /** See `Store.putChunk`. A chunk that is here already is passed over. */
  putChunk(sha: string, index: number, data: Uint8Array, chunkSha256: string): void {
    const sealed = isSealed(this.#folder, sha)
    const part = sealed ? undefined : this.#part(sha)
    const length = chunkLength(part?.bytes ?? this.#reader.bytes(sha), index)
    if (data.length !== length)
      throw new MdiError(
        'bad-file',
        `Chunk ${index} of record ${sha} has ${data.length} bytes instead of ${length}.`,
      )
    if (sha256(data) !== chunkSha256)
      throw new MdiError('bad-file', `Chunk ${index} of record ${sha} was damaged on the way.`)
    if (!part) return
    this.#guard(() => {
      if (part.db.prepare('SELECT 1 FROM chunk WHERE number = ?').get(index)) return
      insertChunk(part.db, index, data, { sha256: chunkSha256, crc: crc32(data) })
    })
  }

  /** See `Store.sealRecord`. A record that does not match its address is dropped. */
  sealRecord(sha: string): void {
    if (isSealed(this.#folder, sha)) return
    const { db, bytes } = this.#part(sha)
    const chunks = chunkCount(bytes)
    const hashes = this.#guard(
      () => db.prepare('SELECT sha256 FROM chunk ORDER BY number').pluck().all() as string[],
    )
    if (hashes.length !== chunks)
      throw new MdiError(
        'bad-file',
        `Record ${sha} has ${hashes.length} of ${chunks} chunks so far.`,
      )
    // Each chunk was held against its own hash when it came.
    if (addressOf(hashes) !== sha) {
      this.#dropPart(sha)
      throw new MdiError('bad-file', `Record ${sha} does not match its hash: fetch it again.`)
    }
    this.#guard(() => {
      const path = partPath(this.#folder, sha)
      closePart(path, db)
      this.#parts.delete(sha)
      // Should a power cut undo this, the record is sealed again, with all of its chunks.
      renameSync(path, sealedPath(this.#folder, sha))
    })
    removeFile(damagedPath(this.#folder, sha))
  }

  /** Removes a record, whole or not. @returns bytes freed */
  remove(sha: string): number {
    this.#reader.release()
    return (
      this.#dropPart(sha) +
      removeFile(sealedPath(this.#folder, sha)) +
      removeFile(damagedPath(this.#folder, sha))
    )
  }

  /** Closes all files; imports under way are cleared at the next opening. */
  close(): void {
    for (const { db } of [...this.#imports.values(), ...this.#parts.values()]) db.close()
    this.#imports.clear()
    this.#parts.clear()
  }
}
