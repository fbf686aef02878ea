/** A store in memory, for tests of what uses one. */
import { MdiError } from '../../services/errors.ts'
import { limits } from '../../services/limits.ts'
import { sha256Of } from '../../services/model/manifest.ts'
import type { Manifest } from '../../services/model/spec.ts'
import type { PartialRecord, RecordWriter, Store } from '../../services/ports.ts'
import { addressOfBytes } from '../io/bytes.ts'

type Entry = { bytes: number; chunks: Map<number, Uint8Array>; sealed: boolean }

export class MemoryStore implements Store {
  readonly entries = new Map<string, Entry>()
  readonly models = new Map<string, Manifest>()
  readonly config = new Map<string, string>()
  /** Ordinals of the chunks that were put, in order. */
  readonly puts: { sha256: string; index: number }[] = []
  /** Called before a chunk is put; may throw what a real store would. */
  beforePut: (index: number) => void | Promise<void> = () => {}
  /** Called before a chunk is given out. */
  beforeGet: (index: number) => void | Promise<void> = () => {}

  /** Puts a whole sealed record there. @returns its address */
  add(data: Uint8Array): string {
    const sha256 = addressOfBytes(data)
    const chunks = new Map<number, Uint8Array>()
    for (let i = 0; i * limits.chunkBytes < data.length; i++)
      chunks.set(i, data.slice(i * limits.chunkBytes, (i + 1) * limits.chunkBytes))
    this.entries.set(sha256, { bytes: data.length, chunks, sealed: true })
    return sha256
  }

  /** All bytes of a record. */
  whole(sha256: string): Uint8Array {
    const { chunks } = this.#entry(sha256)
    return Buffer.concat([...chunks].sort(([a], [b]) => a - b).map(([, data]) => data))
  }

  #entry(sha256: string): Entry {
    const entry = this.entries.get(sha256)
    if (!entry) throw new MdiError('not-found', `There is no record ${sha256.slice(0, 12)}.`)
    return entry
  }

  async createRecord(): Promise<RecordWriter> {
    const parts: Uint8Array[] = []
    return {
      write: async (bytes) => void parts.push(bytes.slice()),
      finish: async () => {
        const data = Buffer.concat(parts)
        return { sha256: this.add(data), bytes: data.length }
      },
      abort: async () => void parts.splice(0),
    }
  }

  async openRecord(sha256: string, bytes: number): Promise<PartialRecord> {
    const entry = this.entries.get(sha256) ?? { bytes, chunks: new Map(), sealed: false }
    this.entries.set(sha256, entry)
    return { sha256, bytes, have: [...entry.chunks.keys()] }
  }

  async putChunk(sha256: string, index: number, data: Uint8Array, chunk: string): Promise<void> {
    await this.beforePut(index)
    if (sha256Of(data) !== chunk)
      throw new MdiError('bad-file', `Chunk ${index} of a record is damaged.`)
    this.puts.push({ sha256, index })
    this.#entry(sha256).chunks.set(index, data.slice())
  }

  async sealRecord(sha256: string): Promise<void> {
    const entry = this.#entry(sha256)
    if (addressOfBytes(this.whole(sha256)) !== sha256) {
      this.entries.delete(sha256)
      throw new MdiError('bad-file', `Record ${sha256.slice(0, 12)} is damaged.`)
    }
    entry.sealed = true
  }

  async getChunk(sha256: string, index: number): Promise<{ data: Uint8Array; sha256: string }> {
    await this.beforeGet(index)
    const data = this.#entry(sha256).chunks.get(index)
    if (!data) throw new MdiError('not-found', `The record has no chunk ${index}.`)
    return { data, sha256: sha256Of(data) }
  }

  async readRecord(sha256: string, offset: number, length: number): Promise<Uint8Array> {
    return this.whole(sha256).slice(offset, offset + length)
  }

  async hasRecords(sha256: readonly string[]): Promise<Set<string>> {
    return new Set(sha256.filter((s) => this.entries.get(s)?.sealed))
  }

  async putModel(manifest: Manifest): Promise<void> {
    this.models.set(manifest.name, manifest)
  }
  async getModel(name: string): Promise<Manifest | undefined> {
    return this.models.get(name)
  }
  async listModels(): Promise<Manifest[]> {
    return [...this.models.values()]
  }
  async removeModel(name: string): Promise<number> {
    this.models.delete(name)
    return 0
  }
  async getConfig(key: string): Promise<string | undefined> {
    return this.config.get(key)
  }
  async setConfig(key: string, value: string): Promise<void> {
    this.config.set(key, value)
  }
  async close(): Promise<void> {}
}
