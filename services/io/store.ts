/**
 * The store's operations, synchronous: they run in the store's own thread (`sqlite.ts`
 * is the way to it from other threads). Weight records are cut into chunks of
 * `limits.chunkBytes`; each chunk is one transaction, so that the log stays small and a
 * killed process loses at most one.
 */
import { createHash, type Hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Manifest } from '../model/spec.ts'
import type { PartialRecord } from '../ports.ts'
import {
  type Connection,
  configPath,
  guarded,
  lockFolder,
  modelsPath,
  openConfig,
  openModels,
  type StoreFolder,
} from './database.ts'
import { chunkCount, RecordReader } from './reader.ts'

/** How the store is opened. */
export type StoreOptions = StoreFolder & {
  /** Reads only, beside a running service: takes no lock, and every change is refused. */
  readOnly?: boolean
  /** Bound of the database of models. */
  maxBytes?: number
}

/** A record that is being imported. */
type Import = { record: number; hash: Hash; chunk: Buffer; filled: number; number: number }

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')

const checkSha256 = (text: string): void => {
  if (!/^[0-9a-f]{64}$/.test(text))
    throw new MdiError('bad-value', 'A record is named by its SHA-256 in 64 hexadecimal digits.')
}

type RecordRow = { id: number; bytes: number; sealed: number }

export class LocalStore {
  readonly #folder: string
  readonly #models: Connection
  readonly #config: Connection
  readonly #unlock: () => void
  readonly #reader: RecordReader
  readonly #readOnly: boolean
  readonly #imports = new Map<number, Import>()

  /** Opens the store, makes it where there is none, and clears what a killed import left. */
  constructor(options: StoreOptions) {
    this.#folder = options.folder
    this.#readOnly = options.readOnly ?? false
    this.#unlock = this.#readOnly ? () => {} : lockFolder(options)
    const opened: { close(): unknown }[] = []
    try {
      this.#models = openModels(options)
      opened.push(this.#models)
      this.#config = openConfig(options)
      opened.push(this.#config)
      this.#reader = new RecordReader(options, this.#models)
      if (!this.#readOnly) this.#dropImports()
    } catch (error) {
      for (const db of opened) db.close()
      this.#unlock()
      throw error
    }
  }

  #guard<T>(work: () => T): T {
    return guarded(modelsPath(this.#folder), work)
  }

  /** One change of the models, whole or not at all. */
  #change<T>(work: () => T): T {
    if (this.#readOnly)
      throw new MdiError('store', `The store in ${this.#folder} is open for reading only.`)
    return this.#guard(() => this.#models.transaction(work).immediate())
  }

  #run(sql: string, ...values: unknown[]): number {
    return this.#models.prepare(sql).run(...values).changes
  }

  #record(sha: string): RecordRow | undefined {
    return this.#models
      .prepare<[string], RecordRow>('SELECT id, bytes, sealed FROM record WHERE sha256 = ?')
      .get(sha)
  }

  #known(sha: string): RecordRow {
    const row = this.#record(sha)
    if (!row) throw new MdiError('not-found', `The store has no record ${sha}.`)
    return row
  }

  /** Deletes imported records that were not finished; `record` absent: all of them. */
  #dropImports(record?: number): void {
    try {
      const dropped = this.#change(() =>
        this.#run('DELETE FROM record WHERE sha256 IS NULL AND id = coalesce(?, id)', record),
      )
      if (dropped > 0) this.#shrink()
    } catch (error) {
      // Deleting takes room in the log. On a full disk this waits for the next opening.
      if (!(error instanceof MdiError && error.code === 'disk-full')) throw error
    }
  }

  /** Gives free pages back to the disk, in steps that keep the log small. @returns bytes */
  #shrink(): number {
    return this.#guard(() => {
      const db = this.#models
      const pages = () => Number(db.pragma('page_count', { simple: true }))
      const page = Number(db.pragma('page_size', { simple: true }))
      const step = limits.storeLogBytes / page
      const start = pages()
      while (Number(db.pragma('freelist_count', { simple: true })) > 0) {
        const before = pages()
        db.pragma(`incremental_vacuum(${step})`)
        if (pages() === before) break
      }
      // Only a checkpoint shortens the file itself.
      db.pragma('wal_checkpoint(TRUNCATE)')
      return (start - pages()) * page
    })
  }

  #insertChunk(record: number, number: number, data: Uint8Array, sha: string): void {
    this.#run(
      'INSERT INTO chunk (record, number, sha256, crc32, data) VALUES (?, ?, ?, ?, ?)',
      record,
      number,
      sha,
      crc32(data),
      data,
    )
  }

  /** Starts a record whose hash is not yet known. @returns its handle for the calls below */
  beginImport(): number {
    return this.#change(() => {
      const row = this.#models.prepare('INSERT INTO record (bytes) VALUES (0)').run()
      const record = Number(row.lastInsertRowid)
      const chunk = Buffer.allocUnsafeSlow(limits.chunkBytes)
      const hash = createHash('sha256')
      this.#imports.set(record, { record, hash, chunk, filled: 0, number: 0 })
      return record
    })
  }

  #importOf(handle: number): Import {
    const found = this.#imports.get(handle)
    if (!found) throw new Error('this record is finished or dropped')
    return found
  }

  /** Appends bytes; each full chunk is stored at once. */
  writeImport(handle: number, bytes: Uint8Array): void {
    const into = this.#importOf(handle)
    let at = 0
    while (at < bytes.length) {
      const part = bytes.subarray(at, at + into.chunk.length - into.filled)
      into.chunk.set(part, into.filled)
      into.filled += part.length
      at += part.length
      if (into.filled === into.chunk.length) this.#storeImported(into)
    }
  }

  #storeImported(into: Import): void {
    const data = into.chunk.subarray(0, into.filled)
    if ((into.number + 1) * limits.chunkBytes > limits.recordBytes)
      throw new MdiError('bad-file', 'A weight record is larger than the store takes.')
    this.#change(() => {
      this.#insertChunk(into.record, into.number, data, sha256(data))
      this.#run('UPDATE record SET bytes = bytes + ? WHERE id = ?', data.length, into.record)
    })
    into.hash.update(data)
    into.number += 1
    into.filled = 0
  }

  /** Seals an import under its hash; the same record twice is kept once. */
  finishImport(handle: number): { sha256: string; bytes: number } {
    const done = this.#importOf(handle)
    if (done.filled > 0) this.#storeImported(done)
    const sha = done.hash.digest('hex')
    this.#imports.delete(handle)
    return this.#change(() => {
      const { bytes } = this.#models
        .prepare<[number], { bytes: number }>('SELECT bytes FROM record WHERE id = ?')
        .get(done.record) as { bytes: number }
      const old = this.#record(sha)
      if (old?.sealed) {
        this.#run('DELETE FROM record WHERE id = ?', done.record)
      } else {
        if (old) this.#run('DELETE FROM record WHERE id = ?', old.id)
        this.#run('UPDATE record SET sha256 = ?, sealed = 1 WHERE id = ?', sha, done.record)
      }
      return { sha256: sha, bytes }
    })
  }

  /** Drops an import; without effect on one that is finished. */
  abortImport(handle: number): void {
    const dropped = this.#imports.get(handle)
    if (!dropped) return
    this.#imports.delete(handle)
    this.#dropImports(dropped.record)
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
      const have = this.#models
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
      const there = this.#models.prepare('SELECT 1 FROM chunk WHERE record = ? AND number = ?')
      if (!row.sealed && !there.get(row.id, index))
        this.#insertChunk(row.id, index, data, chunkSha256)
    })
  }

  /** See `Store.sealRecord`. A record that does not match its address is dropped. */
  sealRecord(sha: string): void {
    const row = this.#guard(() => this.#known(sha))
    if (row.sealed) return
    const chunks = chunkCount(row.bytes)
    const count = this.#guard(() =>
      this.#models.prepare('SELECT count(*) FROM chunk WHERE record = ?').pluck().get(row.id),
    )
    if (count !== chunks)
      throw new MdiError('bad-file', `Record ${sha} has ${count} of ${chunks} chunks so far.`)
    const hash = createHash('sha256')
    for (let i = 0; i < chunks; i++) hash.update(this.#reader.chunk(row, i))
    if (hash.digest('hex') !== sha) {
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
      const hash = this.#models
        .prepare<[number, number], string>(
          'SELECT sha256 FROM chunk WHERE record = ? AND number = ?',
        )
        .pluck()
        .get(row.id, index) as string
      return { data, sha256: hash }
    })
  }

  /** See `Store.readRecord`. */
  readRecord(sha: string, offset: number, length: number): Uint8Array {
    return this.#reader.read(sha, offset, length)
  }

  /** See `Store.hasRecords`. */
  hasRecords(shas: readonly string[]): Set<string> {
    return this.#guard(() => new Set(shas.filter((sha) => this.#record(sha)?.sealed)))
  }

  /** See `Store.putModel`. Under a name that is taken, the old model is replaced. */
  putModel(manifest: Manifest): void {
    const freed = this.#change(() => {
      const old = this.#recordsOf(manifest.name)
      this.#run(
        `INSERT INTO model (name, manifest) VALUES (?, ?)
         ON CONFLICT (name) DO UPDATE SET manifest = excluded.manifest`,
        manifest.name,
        JSON.stringify(manifest),
      )
      this.#run('DELETE FROM model_record WHERE model = ?', manifest.name)
      for (const sha of new Set(manifest.records.map((r) => r.sha256)))
        this.#run('INSERT INTO model_record (model, sha256) VALUES (?, ?)', manifest.name, sha)
      return this.#dropUnused(old)
    })
    if (freed > 0) this.#shrink()
  }

  #recordsOf(model: string): string[] {
    return this.#models
      .prepare<[string], string>('SELECT sha256 FROM model_record WHERE model = ?')
      .pluck()
      .all(model) as string[]
  }

  /** Deletes those of the records that no model uses. @returns how many */
  #dropUnused(shas: readonly string[]): number {
    const drop = this.#models.prepare(
      `DELETE FROM record WHERE sha256 = ?
       AND NOT EXISTS (SELECT 1 FROM model_record m WHERE m.sha256 = record.sha256)`,
    )
    return shas.reduce((sum, sha) => sum + drop.run(sha).changes, 0)
  }

  /** See `Store.getModel`. */
  getModel(name: string): Manifest | undefined {
    const text = this.#guard(() =>
      this.#models
        .prepare<[string], string>('SELECT manifest FROM model WHERE name = ?')
        .pluck()
        .get(name),
    )
    return text === undefined ? undefined : (JSON.parse(String(text)) as Manifest)
  }

  /** See `Store.listModels`; by name. */
  listModels(): Manifest[] {
    return this.#guard(() =>
      this.#models
        .prepare<[], string>('SELECT manifest FROM model ORDER BY name')
        .pluck()
        .all()
        .map((text) => JSON.parse(String(text)) as Manifest),
    )
  }

  /** See `Store.removeModel`. */
  removeModel(name: string): number {
    this.#change(() => {
      const shas = this.#recordsOf(name)
      if (this.#run('DELETE FROM model WHERE name = ?', name) === 0)
        throw new MdiError('not-found', `There is no model named ${name} in the store.`)
      this.#dropUnused(shas)
    })
    return this.#shrink()
  }

  /**
   * Removes records that no model uses, as a broken-off import or transfer leaves them.
   * @param keep hashes that are still wanted
   * @returns bytes freed
   */
  removeUnused(keep: readonly string[]): number {
    const kept = new Set(keep)
    this.#change(() => {
      const all = this.#models
        .prepare<[], string>('SELECT sha256 FROM record WHERE sha256 IS NOT NULL')
        .pluck()
        .all() as string[]
      this.#dropUnused(all.filter((sha) => !kept.has(sha)))
    })
    return this.#shrink()
  }

  /** See `Store.getConfig`. */
  getConfig(key: string): string | undefined {
    return guarded(configPath(this.#folder), () => {
      const value = this.#config.prepare('SELECT value FROM config WHERE key = ?').pluck().get(key)
      return value === undefined ? undefined : String(value)
    })
  }

  /** See `Store.setConfig`. */
  setConfig(key: string, value: string): void {
    if (this.#readOnly)
      throw new MdiError('store', `The store in ${this.#folder} is open for reading only.`)
    guarded(configPath(this.#folder), () =>
      this.#config
        .prepare(
          `INSERT INTO config (key, value) VALUES (?, ?)
           ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
        )
        .run(key, value),
    )
  }

  /** Closes both databases and gives the folder back. */
  close(): void {
    this.#models.close()
    this.#config.close()
    this.#unlock()
  }
}
