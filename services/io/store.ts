/**
 * The store's operations, synchronous: they run in the store's own thread (`sqlite.ts`
 * is the way to it from other threads).
 */
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
import { RecordReader } from './reader.ts'
import { type ChunkSums, Records } from './records.ts'
import { Reserve } from './reserve.ts'

/** How the store is opened. */
export type StoreOptions = StoreFolder & {
  /** Reads only, beside a running service: takes no lock, and every change is refused. */
  readOnly?: boolean
  /** Bound of the database of models. */
  maxBytes?: number
}

const isFull = (error: unknown): boolean => error instanceof MdiError && error.code === 'disk-full'

export class LocalStore {
  readonly #folder: string
  readonly #readOnly: boolean
  readonly #reserve: Reserve
  readonly #models: Connection
  readonly #config: Connection
  readonly #unlock: () => void
  readonly #reader: RecordReader
  readonly #records: Records

  /** Opens the store, makes it where there is none, and clears what a killed import left. */
  constructor(options: StoreOptions) {
    this.#folder = options.folder
    this.#readOnly = options.readOnly ?? false
    this.#reserve = new Reserve(options.folder)
    const opened = this.#readOnly ? openAll(options) : this.#freeing(() => openAll(options))
    this.#models = opened.models
    this.#config = opened.config
    this.#unlock = opened.unlock
    const path = modelsPath(options.folder)
    this.#reader = new RecordReader(options, this.#models)
    this.#records = new Records(this.#models, path, this.#reader)
    if (!this.#readOnly) this.#tidy(() => this.#records.dropImports())
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

  #writable(): void {
    if (this.#readOnly)
      throw new MdiError('store', `The store in ${this.#folder} is open for reading only.`)
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

  /** Drops something and gives its room back; what does not succeed waits for the next opening. */
  #tidy(drop: () => void): void {
    try {
      this.#freeing(() => {
        drop()
        this.#shrink()
      })
      this.#reserve.ensure()
    } catch (error) {
      if (!isFull(error)) throw error
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

  /**
   * For a long import: pages are written once instead of by way of the log, in larger
   * transactions. Only while no one else has the models open; otherwise without effect. A
   * killed process leaves a store that is as sound; the next opening brings the log back.
   */
  bulk(on: boolean): void {
    this.#writable()
    this.#records.setBulk(on)
  }

  /** Starts a record whose hash is not yet known. @returns its handle for the calls below */
  beginImport(handle?: number): number {
    this.#writable()
    return this.#records.beginImport(handle)
  }

  /** Stores the next chunk, of `limits.chunkBytes` unless it is the last, with its sums. */
  writeImport(handle: number, chunk: Uint8Array, sums: ChunkSums): void {
    this.#records.writeImport(handle, chunk, sums)
  }

  /** Seals an import under its address; the same record twice is kept once. */
  finishImport(handle: number): { sha256: string; bytes: number } {
    return this.#records.finishImport(handle)
  }

  /** Drops an import; without effect on one that is finished. */
  abortImport(handle: number): void {
    this.#tidy(() => this.#records.abortImport(handle))
  }

  /** See `Store.openRecord`. */
  openRecord(sha: string, bytes: number): PartialRecord {
    this.#writable()
    return this.#records.openRecord(sha, bytes)
  }

  /** See `Store.putChunk`. */
  putChunk(sha: string, index: number, data: Uint8Array, chunkSha256: string): void {
    this.#writable()
    this.#records.putChunk(sha, index, data, chunkSha256)
  }

  /** See `Store.sealRecord`. */
  sealRecord(sha: string): void {
    this.#writable()
    this.#records.sealRecord(sha)
  }

  /** See `Store.getChunk`. */
  getChunk(sha: string, index: number): { data: Uint8Array; sha256: string } {
    return this.#records.getChunk(sha, index)
  }

  /** See `Store.readRecord`. */
  readRecord(sha: string, offset: number, length: number): Uint8Array {
    return this.#reader.read(sha, offset, length)
  }

  /** See `Store.hasRecords`. */
  hasRecords(shas: readonly string[]): Set<string> {
    return this.#records.hasRecords(shas)
  }

  /** See `Store.putModel`. Under a name that is taken, the old model is replaced. */
  putModel(manifest: Manifest): void {
    this.#writable()
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

  /** See `Store.removeModel`. */
  removeModel(name: string): number {
    return this.#remove(() => {
      const shas = this.#recordsOf(name)
      if (this.#run('DELETE FROM model WHERE name = ?', name) === 0)
        throw new MdiError('not-found', `There is no model named ${name} in the store.`)
      this.#dropUnused(shas)
    })
  }

  /**
   * Removes records that no model uses, as a broken-off import or transfer leaves them.
   * @param keep hashes that are still wanted
   * @returns bytes freed
   */
  removeUnused(keep: readonly string[]): number {
    const kept = new Set(keep)
    return this.#remove(() => {
      const all = this.#models
        .prepare<[], string>('SELECT sha256 FROM record WHERE sha256 IS NOT NULL')
        .pluck()
        .all() as string[]
      this.#dropUnused(all.filter((sha) => !kept.has(sha)))
    })
  }

  /** On a full disk, too, things can be removed. @returns bytes freed */
  #remove(drop: () => void): number {
    this.#writable()
    this.#freeing(() => this.#change(drop))
    const freed = this.#freeing(() => this.#shrink())
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
    this.#writable()
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

  /** Closes both databases and gives the folder back. */
  close(): void {
    this.#models.close()
    this.#config.close()
    this.#unlock()
  }
}

/** A manifest of the store. */
export const parseManifest = (bytes: Uint8Array): Manifest =>
  JSON.parse(new TextDecoder().decode(bytes)) as Manifest

type Opened = { models: Connection; config: Connection; unlock: () => void }

/** Opens everything or nothing. */
const openAll = (options: StoreOptions): Opened => {
  const unlock = options.readOnly ? () => {} : lockFolder(options)
  const opened: Connection[] = []
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
