/**
 * The store in a thread of its own (`worker.ts`): SQLite is synchronous, and a card is
 * slow. This is the way to it by messages; nothing here loads SQLite.
 */
import { crc32 } from 'node:zlib'
import { MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { parseManifest } from '../../model/manifest.ts'
import type { Manifest } from '../../model/spec.ts'
import type { PartialRecord, RecordWriter, Store } from '../../ports.ts'
import { Digests } from '../digest.ts'
import { RemoteWorker } from '../rpc.ts'
import type { LocalStore, StoreOptions } from './operations.ts'
import type { Operation } from './worker.ts'

/** What `workerData.mode` is in the store's thread. */
export const storeMode = 'store'

/** Chunks of a record on their way to the store's thread. So reading goes on while one is written. */
const WRITES_AHEAD = 5

/** The store, from any thread. `start()` first; `close()` last. */
export class SqliteStore implements Store {
  readonly #entry: URL | string
  readonly #options: StoreOptions
  #worker: RemoteWorker | undefined
  /** Records that were started. */
  #records = 0
  /** Resolves when the imports' calls so far are made: a chunk's waits for its hash. */
  #turn: Promise<unknown> = Promise.resolve()
  /** Memory that went to the store's thread with bytes and came back. */
  readonly #rooms: ArrayBuffer[] = []
  readonly #digests = new Digests()
  #closing: Promise<void> | undefined

  /**
   * @param entry the file that a worker starts with; it calls `runStoreWorker` where
   *   `workerData.mode` is `storeMode`
   */
  constructor(entry: URL | string, options: StoreOptions) {
    this.#entry = entry
    this.#options = options
  }

  /** The data folder. */
  get folder(): string {
    return this.#options.folder
  }

  /** Opens the store. @throws MdiError `store`, `disk-full`, `not-found` (reading only) */
  async start(): Promise<void> {
    // An idle store does not keep the process alive.
    const worker = new RemoteWorker(
      this.#entry,
      { mode: storeMode },
      { unrefIdle: true, ended: () => new MdiError('store', 'The store is closed.') },
    )
    this.#worker = worker
    try {
      await worker.call('open', [this.#options])
    } catch (error) {
      await worker.call('close', [])
      await worker.closed()
      throw error
    }
  }

  async #call<K extends Operation>(
    operation: K,
    values: Parameters<LocalStore[K]>,
    transfer: ArrayBuffer[] = [],
  ): Promise<Awaited<ReturnType<LocalStore[K]>>> {
    if (!this.#worker) throw new Error('the store has not been started')
    const answered = this.#worker.call(operation, values, { transfer })
    return (await answered) as Awaited<ReturnType<LocalStore[K]>>
  }

  /**
   * Starts a record. Chunks are cut and hashed here while the chunk before is stored, since the store's
   * thread has the most to do. The next call tells an error.
   */
  async createRecord(): Promise<RecordWriter> {
    const handle = ++this.#records
    const sent: Promise<unknown>[] = []
    // Calls are answered in their order, and after one that fails the next fail too. So the next call
    // is made without waiting.
    const ahead = <T>(call: Promise<T>): Promise<T> => {
      // It is awaited later; until then a failure must not count as unhandled.
      call.catch(() => undefined)
      sent.push(call)
      return call
    }
    /** Makes a call when those before it are made and what it needs is there. */
    const inTurn = <N, T>(needed: Promise<N>, make: (value: N) => Promise<T>): Promise<T> => {
      const made = Promise.all([needed, this.#turn]).then(([value]) => ({ answer: make(value) }))
      this.#turn = made.catch(() => undefined)
      return ahead(made.then(({ answer }) => answer))
    }
    inTurn(Promise.resolve(), () => this.#call('beginImport', [handle]))
    const room = (): Uint8Array<ArrayBuffer> =>
      new Uint8Array(this.#rooms.pop() ?? new ArrayBuffer(limits.chunkBytes))
    let chunk = room()
    let filled = 0
    const send = (): void => {
      const part = chunk.subarray(0, filled)
      const digest = this.#digests.of(part)
      const crc = crc32(part)
      inTurn(digest, (sha256) =>
        this.#call('writeImport', [handle, part, { sha256, crc }], [part.buffer]).then(
          (back: unknown) => {
            this.#rooms.push((back as Uint8Array<ArrayBuffer>).buffer)
          },
        ),
      )
      chunk = room()
      filled = 0
    }
    return {
      write: async (bytes) => {
        for (let at = 0; at < bytes.length; ) {
          const part = bytes.subarray(at, at + chunk.length - filled)
          chunk.set(part, filled)
          filled += part.length
          at += part.length
          if (filled < chunk.length) continue
          send()
          if (sent.length > WRITES_AHEAD) await sent.shift()
        }
      },
      finish: async (expected) => {
        // Nothing is waited for before its call has its turn: the next record may begin.
        if (filled > 0) send()
        this.#rooms.push(chunk.buffer)
        const finished = inTurn(Promise.resolve(), () =>
          this.#call('finishImport', [handle, expected]),
        )
        await Promise.all(sent)
        return finished
      },
      abort: async () => {
        await Promise.allSettled(sent)
        await this.#call('abortImport', [handle])
      },
    }
  }

  openRecord(sha256: string, bytes: number): Promise<PartialRecord> {
    return this.#call('openRecord', [sha256, bytes])
  }

  putChunk(sha256: string, index: number, data: Uint8Array, chunkSha256: string): Promise<void> {
    const copy = new Uint8Array(data)
    return this.#call('putChunk', [sha256, index, copy, chunkSha256], [copy.buffer])
  }

  sealRecord(sha256: string): Promise<void> {
    return this.#call('sealRecord', [sha256])
  }

  getChunk(sha256: string, index: number): Promise<{ data: Uint8Array; sha256: string }> {
    return this.#call('getChunk', [sha256, index])
  }

  readRecord(sha256: string, offset: number, length: number): Promise<Uint8Array> {
    return this.#call('readRecord', [sha256, offset, length])
  }

  hasRecords(sha256: readonly string[]): Promise<Set<string>> {
    return this.#call('hasRecords', [sha256])
  }

  putModel(manifest: Manifest): Promise<void> {
    return this.#call('putModel', [manifest])
  }

  async getModel(name: string): Promise<Manifest | undefined> {
    const bytes = await this.#call('modelBytes', [name])
    return bytes && parseManifest(bytes)
  }

  async listModels(): Promise<Manifest[]> {
    const models: Manifest[] = []
    for (const name of await this.modelNames()) {
      const model = await this.getModel(name)
      if (model) models.push(model)
    }
    return models
  }

  /** Names of the models, in order. */
  modelNames(): Promise<string[]> {
    return this.#call('modelNames', [])
  }

  removeModel(name: string): Promise<number> {
    return this.#call('removeModel', [name])
  }

  /** Bytes of records that no model uses, as a broken-off import or transfer leaves them. */
  unusedBytes(): Promise<number> {
    return this.#call('unusedBytes', [])
  }

  /**
   * Removes records that no model uses.
   * @param keep hashes that are still wanted
   * @returns bytes freed
   */
  removeUnused(keep: readonly string[] = []): Promise<number> {
    return this.#call('removeUnused', [keep])
  }

  getConfig(key: string): Promise<string | undefined> {
    return this.#call('getConfig', [key])
  }

  setConfig(key: string, value: string): Promise<void> {
    return this.#call('setConfig', [key, value])
  }

  /** Closes the store after the calls that were made before. It may be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const worker = this.#worker
    if (!worker || worker.over) return
    // Calls that wait for a chunk's hash count as made.
    await this.#turn
    await worker.call('close', [])
    await worker.closed()
  }
}
