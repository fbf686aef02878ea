import { type RecordTensor, readRecordHeader } from '../../services/model/record.ts'
import type { Manifest } from '../../services/model/spec.ts'
import type { RecordStore } from '../../services/model/writer.ts'
import { addressOfBytes } from '../io/bytes.ts'

/** The part of the store that an import uses, in memory. */
export class MemoryRecords implements RecordStore {
  readonly records = new Map<string, Uint8Array>()
  readonly models = new Map<string, Manifest>()
  readonly config = new Map<string, string>()
  /** Lengths of the writes, to see that an import streams. */
  readonly writes: number[] = []
  /** Writes that succeed before one fails, as on a full disk or at a kill. */
  allowed = Number.POSITIVE_INFINITY
  aborted = 0

  async createRecord() {
    const parts: Uint8Array[] = []
    return {
      write: async (bytes: Uint8Array) => {
        if (this.allowed-- <= 0) throw new Error('no more')
        this.writes.push(bytes.length)
        parts.push(bytes.slice())
      },
      finish: async () => {
        const whole = new Uint8Array(Buffer.concat(parts))
        const sha256 = addressOfBytes(whole)
        this.records.set(sha256, whole)
        return { sha256, bytes: whole.length }
      },
      abort: async () => {
        this.aborted++
      },
    }
  }

  async hasRecords(sha256: readonly string[]) {
    return new Set(sha256.filter((hash) => this.records.has(hash)))
  }

  async putModel(manifest: Manifest) {
    this.models.set(manifest.name, structuredClone(manifest))
  }

  async getModel(name: string) {
    return this.models.get(name)
  }

  async getConfig(key: string) {
    return this.config.get(key)
  }

  async setConfig(key: string, value: string) {
    this.config.set(key, value)
  }

  /** A record's bytes and its tensors. */
  record(sha256: string): { bytes: Uint8Array; tensors: RecordTensor[] } {
    const bytes = this.records.get(sha256)
    if (!bytes) throw new Error('no such record')
    return { bytes, tensors: readRecordHeader(bytes, bytes.length) }
  }
}
