/**
 * Weight records in the store. They are cut into chunks of `limits.chunkBytes`; each chunk
 * is one transaction, so that the log stays small and a killed process loses at most one.
 * A record without a hash is being imported; one that is not sealed is being fetched.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { addressOf } from '../model/address.ts'
import type { PartialRecord } from '../ports.ts'
import { type Connection, guarded, storeError } from './database.ts'
import { chunkCount, type RecordReader } from './reader.ts'

/** A record that is being imported: its row, its chunks' hashes so far, and what went wrong. */
type Import = { record: number; chunks: string[]; failure?: unknown }

/** What a chunk is checked by: on its way (SHA-256, hex), and whenever it is read (CRC-32). */
export type ChunkSums = { sha256: string; crc: number }

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')

const checkSha256 = (text: string): void => {
  if (!/^[0-9a-f]{64}$/.test(text))
    throw new MdiError('bad-value', 'A record is named by a SHA-256 in 64 hexadecimal digits.')
}

type RecordRow = { id: number; bytes: number; sealed: number }

/** The tables of records and their chunks. Nothing here gives room back to the disk. */
export class Records {
  readonly #db: Connection
  readonly #path: string
  readonly #reader: RecordReader
  readonly #imports = new Map<number, Import>()
  #handles = 0
  #bulk = false
  /** Chunks in the transaction that is open. */
  #pending = 0

  /** @param path the database's path, for sentences */
  constructor(db: Connection, path: string, reader: RecordReader) {
    this.#db = db
    this.#path = path
    this.#reader = reader
  }

  #guard<T>(work: () => T): T {
    return guarded(this.#path, work)
  }

  #change<T>(work: () => T): T {
    return this.#guard(() => this.#db.transaction(work).immediate())
  }

  #run(sql: string, ...values: unknown[]): number {
    return this.#db.prepare(sql).run(...values).changes
  }

  #record(sha: string): RecordRow | undefined {
    return this.#db
      .prepare<[string], RecordRow>('SELECT id, bytes, sealed FROM record WHERE sha256 = ?')
      .get(sha)
  }

  #known(sha: string): RecordRow {
    const row = this.#record(sha)
    if (!row) throw new MdiError('not-found', `The store has no record ${sha}.`)
    return row
  }

  #insertChunk(
    record: number,
    number: number,
    data: Uint8Array,
    { sha256: sha, crc }: ChunkSums,
  ): void {
    this.#run(
      'INSERT INTO chunk (record, number, sha256, crc32, data) VALUES (?, ?, ?, ?, ?)',
      record,
      number,
      sha,
      crc,
      data,
    )
  }

  /** See `LocalStore.bulk`. */
  setBulk(on: boolean): void {
    this.#commit()
    const db = this.#db
    const timeout = db.pragma('busy_timeout', { simple: true })
    db.pragma('busy_timeout = 0')
    try {
      db.pragma(`journal_mode = ${on ? 'TRUNCATE' : 'WAL'}`)
    } catch (error) {
      if (!String((error as { code?: unknown }).code).startsWith('SQLITE_BUSY'))
        throw storeError(error, this.#path)
    } finally {
      db.pragma(`busy_timeout = ${timeout}`)
    }
    this.#bulk = db.pragma('journal_mode', { simple: true }) === 'truncate'
    // Without a log, NORMAL would leave a gap for a power cut.
    db.pragma(`synchronous = ${this.#bulk ? 'FULL' : 'NORMAL'}`)
  }

  /** Ends the transaction of a bulk import, if one is open. */
  #commit(): void {
    this.#pending = 0
    this.#guard(() => {
      if (this.#db.inTransaction) this.#db.exec('COMMIT')
    })
  }

  /** Opens or goes on with the transaction of a bulk import. */
  #bulkStep(): void {
    if (!this.#bulk) return
    if (this.#pending >= limits.storeBulkChunks) this.#commit()
    this.#guard(() => {
      if (!this.#db.inTransaction) this.#db.exec('BEGIN IMMEDIATE')
    })
    this.#pending += 1
  }

  /**
   * Starts a record whose hash is not yet known.
   * @param handle a number that was not used before, so that who calls need not wait for it
   * @returns its handle for the calls below
   */
  beginImport(handle = ++this.#handles): number {
    // They would share a transaction, and one that is dropped would take the other's chunks.
    if (this.#bulk && this.#imports.size > 0) throw new Error('bulk imports come one at a time')
    return this.#change(() => {
      const row = this.#db.prepare('INSERT INTO record (bytes) VALUES (0)').run()
      this.#imports.set(handle, { record: Number(row.lastInsertRowid), chunks: [] })
      return handle
    })
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
      this.#bulkStep()
      this.#change(() => {
        this.#insertChunk(into.record, into.chunks.length, data, sums)
        const { length } = data
        this.#run('UPDATE record SET bytes = bytes + ? WHERE id = ?', length, into.record)
      })
      into.chunks.push(sums.sha256)
    } catch (error) {
      into.failure = error
      throw error
    }
  }

  /** Seals an import under its address; the same record twice is kept once. */
  finishImport(handle: number): { sha256: string; bytes: number } {
    const { record, chunks } = this.#importOf(handle)
    const sha = addressOf(chunks)
    this.#imports.delete(handle)
    const finished = this.#change(() => {
      const { bytes } = this.#db
        .prepare<[number], { bytes: number }>('SELECT bytes FROM record WHERE id = ?')
        .get(record) as { bytes: number }
      const old = this.#record(sha)
      if (old?.sealed) {
        this.#run('DELETE FROM record WHERE id = ?', record)
      } else {
        if (old) this.#run('DELETE FROM record WHERE id = ?', old.id)
        this.#run('UPDATE record SET sha256 = ?, sealed = 1 WHERE id = ?', sha, record)
      }
      return { sha256: sha, bytes }
    })
    this.#commit()
    return finished
  }

  /** Drops an import; without effect on one that is finished. @returns whether it was there */
  abortImport(handle: number): boolean {
    const record = this.#imports.get(handle)?.record
    if (record === undefined) return false
    this.#rollback()
    this.#change(() => this.#run('DELETE FROM record WHERE id = ? AND sha256 IS NULL', record))
    // Only now: on a full disk this is called once more.
    this.#imports.delete(handle)
    return true
  }

  #rollback(): void {
    this.#pending = 0
    this.#guard(() => {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK')
    })
  }

  /** Drops imports that were under way when the process was killed. */
  dropImports(): void {
    this.#change(() => this.#run('DELETE FROM record WHERE sha256 IS NULL'))
  }

  /** See `Store.openRecord`. */
  openRecord(sha: string, bytes: number): PartialRecord {
    checkSha256(sha)
    if (!Number.isSafeInteger(bytes) || bytes < 1 || bytes > limits.recordBytes)
      throw new MdiError('bad-value', `A record cannot have ${bytes} bytes.`)
    return this.#change(() => {
      let row = this.#record(sha)
      if (row && row.bytes !== bytes) {
        if (row.sealed)
          throw new MdiError('bad-value', `Record ${sha} has ${row.bytes} bytes, not ${bytes}.`)
        this.#run('DELETE FROM record WHERE id = ?', row.id)
        row = undefined
      }
      if (!row) {
        this.#run('INSERT INTO record (sha256, bytes) VALUES (?, ?)', sha, bytes)
        return { sha256: sha, bytes, have: [] }
      }
      const have = this.#db
        .prepare<[number], number>('SELECT number FROM chunk WHERE record = ? ORDER BY number')
        .pluck()
        .all(row.id) as number[]
      return { sha256: sha, bytes, have }
    })
  }

  /** See `Store.putChunk`. A chunk that is here already is passed over. */
  putChunk(sha: string, index: number, data: Uint8Array, chunkSha256: string): void {
    const row = this.#guard(() => this.#known(sha))
    const length = this.#reader.chunkLength(row.bytes, index)
    if (data.length !== length)
      throw new MdiError(
        'bad-file',
        `Chunk ${index} of record ${sha} has ${data.length} bytes instead of ${length}.`,
      )
    if (sha256(data) !== chunkSha256)
      throw new MdiError('bad-file', `Chunk ${index} of record ${sha} was damaged on the way.`)
    this.#change(() => {
      const there = this.#db.prepare('SELECT 1 FROM chunk WHERE record = ? AND number = ?')
      if (!row.sealed && !there.get(row.id, index))
        this.#insertChunk(row.id, index, data, { sha256: chunkSha256, crc: crc32(data) })
    })
  }

  /** See `Store.sealRecord`. A record that does not match its address is dropped. */
  sealRecord(sha: string): void {
    const row = this.#guard(() => this.#known(sha))
    if (row.sealed) return
    const chunks = chunkCount(row.bytes)
    const hashes = this.#guard(
      () =>
        this.#db
          .prepare('SELECT sha256 FROM chunk WHERE record = ? ORDER BY number')
          .pluck()
          .all(row.id) as string[],
    )
    if (hashes.length !== chunks)
      throw new MdiError(
        'bad-file',
        `Record ${sha} has ${hashes.length} of ${chunks} chunks so far.`,
      )
    // Each chunk was held against its own hash when it came.
    if (addressOf(hashes) !== sha) {
      this.#change(() => this.#run('DELETE FROM record WHERE id = ?', row.id))
      throw new MdiError('bad-file', `Record ${sha} does not match its hash: fetch it again.`)
    }
    this.#change(() => this.#run('UPDATE record SET sealed = 1 WHERE id = ?', row.id))
  }

  /** See `Store.getChunk`. */
  getChunk(sha: string, index: number): { data: Uint8Array; sha256: string } {
    return this.#guard(() => {
      const row = this.#known(sha)
      const data = this.#reader.chunk(row, index)
      const hash = this.#db
        .prepare<[number, number], string>(
          'SELECT sha256 FROM chunk WHERE record = ? AND number = ?',
        )
        .pluck()
        .get(row.id, index) as string
      return { data, sha256: hash }
    })
  }

  /** See `Store.hasRecords`. */
  hasRecords(shas: readonly string[]): Set<string> {
    return this.#guard(() => new Set(shas.filter((sha) => this.#record(sha)?.sealed)))
  }
}
