/**
 * The store's operations, synchronous: they run in the store's own thread (`sqlite.ts`
 * is the way to it from other threads).
 */
import { MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { parseManifest } from '../../model/manifest.ts'
import type { Manifest } from '../../model/spec.ts'
import type { PartialRecord } from '../../ports.ts'
import { type DatabaseHandle, guarded, type StoreFolder } from './database.ts'
import { configPath, lockFolder, modelsPath, openConfig, openModels } from './datafolder.ts'
import { type Chunk, RecordReader } from './reader.ts'
import { type ChunkSums, isSealed, listRecords, recordBytes } from './recordfile.ts'
import { Records } from './records.ts'
import { Reserve } from './reserve.ts'

/** How the store is opened. */
export type StoreOptions = StoreFolder & {
  /** Reads only, beside a running service: takes no lock, and every change is refused. */
  readOnly?: boolean
  /** Bound of all weight records together. */
  maxBytes?: number
}

const isFull = (error: unknown): boolean => error instanceof MdiError && error.code === 'disk-full'

export class LocalStore {
  readonly #folder: string
  readonly #readOnly: boolean
  readonly #reserve: Reserve
  readonly #models: DatabaseHandle
  readonly #config: DatabaseHandle
  readonly #unlock: () => void
  readonly #reader: RecordReader
  /** Undefined where the store is only read. */
  readonly #writer: Records | undefined

  /** Opens the store, makes it where there is none, and clears what a killed import left. */
  constructor(options: StoreOptions) {
    this.#folder = options.folder
    this.#readOnly = options.readOnly ?? false
    this.#reserve = new Reserve(options.folder)
    const opened = this.#readOnly ? openAll(options) : this.#freeing(() => openAll(options))
    this.#models = opened.models
    this.#config = opened.config
    this.#unlock = opened.unlock
    this.#reader = new RecordReader(options)
    if (this.#readOnly) return
    try {
      this.#writer = this.#freeing(() => new Records(options, this.#reader))
    } catch (error) {
      this.close()
      throw error
    }
    this.#reserve.ensure()
  }

  #guard<T>(work: () => T): T {
    return guarded(modelsPath(this.#folder), work)
  }

  /** One change of the models, whole or not at all. */
  #change<T>(work: () => T): T {
    return this.#guard(() => this.#models.transaction(work).immediate())
  }

  #run(sql: string, ...values: unknown[]): number {
    return this.#models.prepare(sql).run(...values).changes
  }

  get #records(): Records {
    if (!this.#writer) throw this.#refusal()
    return this.#writer
  }

  #refusal(): MdiError {
    return new MdiError('store', `The store in ${this.#folder} is open for reading only.`)
  }

  /** Work that makes room, or needs a little: on a full disk it is done once more, with the reserve given up. */
  #freeing<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (!isFull(error) || !this.#reserve.release()) throw error
      return work()
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

  /** Starts a record whose hash is not yet known. @returns its handle for the calls below */
  beginImport(handle?: number): number {
    return this.#records.beginImport(handle)
  }

  /** Stores the next chunk, of `limits.chunkBytes` unless it is the last, with its sums. */
  writeImport(handle: number, chunk: Uint8Array, sums: ChunkSums): void {
    this.#records.writeImport(handle, chunk, sums)
  }

  /** Seals an import under its address; see `RecordWriter.finish`. */
  finishImport(handle: number, expected?: string): Promise<{ sha256: string; bytes: number }> {
    return this.#records.finishImport(handle, expected)
  }

  /** Drops an import; without effect on one that is finished. */
  abortImport(handle: number): void {
    this.#records.abortImport(handle)
    this.#reserve.ensure()
  }

  /** See `Store.openRecord`. */
  openRecord(sha: string, bytes: number): PartialRecord {
    return this.#records.openRecord(sha, bytes)
  }

  /** See `Store.putChunk`. */
  putChunk(sha: string, index: number, data: Uint8Array, chunkSha256: string): void {
    this.#records.putChunk(sha, index, data, chunkSha256)
  }

  /** See `Store.sealRecord`. */
  sealRecord(sha: string): void {
    this.#records.sealRecord(sha)
  }

  /** See `Store.getChunk`. */
  getChunk(sha: string, index: number): Chunk {
    return this.#reader.chunk(sha, index)
  }

  /** See `Store.readRecord`. */
  readRecord(sha: string, offset: number, length: number): Uint8Array {
    return this.#reader.read(sha, offset, length)
  }

  /** See `Store.hasRecords`. */
  hasRecords(shas: readonly string[]): Set<string> {
    return new Set(shas.filter((sha) => isSealed(this.#folder, sha)))
  }

  /** See `Store.putModel`. Under a name that is taken, the old model is replaced. */
  putModel(manifest: Manifest): void {
    if (this.#readOnly) throw this.#refusal()
    const old = this.#recordsOf(manifest.name)
    this.#change(() => {
      this.#run(
        `INSERT INTO model (name, manifest) VALUES (?, ?)
         ON CONFLICT (name) DO UPDATE SET manifest = excluded.manifest`,
        manifest.name,
        JSON.stringify(manifest),
      )
      this.#run('DELETE FROM model_record WHERE model = ?', manifest.name)
      for (const sha of new Set(manifest.records.map((r) => r.sha256)))
        this.#run('INSERT INTO model_record (model, sha256) VALUES (?, ?)', manifest.name, sha)
    })
    if (this.#removeAll(this.#unused(old)) > 0) this.#shrink()
  }

  #recordsOf(model: string): string[] {
    return this.#guard(() =>
      this.#models
        .prepare<[string], string>('SELECT sha256 FROM model_record WHERE model = ?')
        .pluck()
        .all(model),
    )
  }

  /** Those of the records that no model uses. */
  #unused(shas: Iterable<string>): string[] {
    return this.#guard(() => {
      const used = this.#models.prepare('SELECT 1 FROM model_record WHERE sha256 = ?')
      return [...shas].filter((sha) => !used.get(sha))
    })
  }

  #removeAll(shas: readonly string[]): number {
    const records = this.#records
    return shas.reduce((freed, sha) => freed + records.remove(sha), 0)
  }

  /** The manifest of a name as UTF-8 JSON: the thread that asked makes objects of it. */
  modelBytes(name: string): Uint8Array | undefined {
    return this.#guard(() =>
      this.#models
        .prepare<[string], Uint8Array>('SELECT CAST(manifest AS BLOB) FROM model WHERE name = ?')
        .pluck()
        .get(name),
    ) as Uint8Array | undefined
  }

  /** Names of the models, in order. */
  modelNames(): string[] {
    return this.#guard(
      () => this.#models.prepare('SELECT name FROM model ORDER BY name').pluck().all() as string[],
    )
  }

  /** See `Store.getModel`. */
  getModel(name: string): Manifest | undefined {
    const bytes = this.modelBytes(name)
    return bytes && parseManifest(bytes)
  }

  /** See `Store.listModels`; by name. */
  listModels(): Manifest[] {
    return this.modelNames().flatMap((name) => this.getModel(name) ?? [])
  }

  /** See `Store.removeModel`. On a full disk, too, things can be removed. */
  removeModel(name: string): number {
    if (this.#readOnly) throw this.#refusal()
    const shas = this.#recordsOf(name)
    this.#freeing(() =>
      this.#change(() => {
        if (this.#run('DELETE FROM model WHERE name = ?', name) === 0)
          throw new MdiError('not-found', `There is no model named ${name} in the store.`)
      }),
    )
    const freed = this.#removeAll(this.#unused(shas))
    const pages = this.#freeing(() => this.#shrink())
    this.#reserve.ensure()
    return freed + pages
  }

  /** Bytes of records that no model uses, as a broken-off import or transfer leaves them. */
  unusedBytes(): number {
    const unused = this.#unused(listRecords(this.#folder))
    return unused.reduce((sum, sha) => sum + recordBytes(this.#folder, sha), 0)
  }

  /**
   * Removes records that no model uses.
   * @param keep hashes that are still wanted
   * @returns bytes freed
   */
  removeUnused(keep: readonly string[]): number {
    const wanted = new Set(keep)
    const unused = this.#unused(listRecords(this.#folder)).filter((sha) => !wanted.has(sha))
    const freed = this.#removeAll(unused)
    this.#reserve.ensure()
    return freed
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
    if (this.#readOnly) throw this.#refusal()
    // A few bytes that matter more than the reserve, which the next start sets aside again.
    this.#freeing(() =>
      guarded(configPath(this.#folder), () =>
        this.#config
          .prepare(
            `INSERT INTO config (key, value) VALUES (?, ?)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
          )
          .run(key, value),
      ),
    )
  }

  /** Closes every file and gives the folder back. Imports under way are dropped. */
  close(): void {
    this.#writer?.close()
    this.#reader.release()
    this.#models.close()
    this.#config.close()
    this.#unlock()
  }
}

type Opened = { models: DatabaseHandle; config: DatabaseHandle; unlock: () => void }

/** Opens everything or nothing. */
const openAll = (options: StoreOptions): Opened => {
  const unlock = options.readOnly ? () => {} : lockFolder(options)
  const opened: DatabaseHandle[] = []
  try {
    const models = openModels(options)
    opened.push(models)
    return { models, config: openConfig(options), unlock }
  } catch (error) {
    for (const db of opened) db.close()
    unlock()
    throw error
  }
}
