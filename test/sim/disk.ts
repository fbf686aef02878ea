/** What a board keeps over a power cut, and the port `Store` over it as far as members use it. */
import type { Manifest, RecordRef } from '../../services/model/spec.ts'
import type { Store } from '../../services/ports.ts'
import { HIDDEN, VOCAB } from './model.ts'
import type { Process } from './world.ts'

export type Disk = {
  config: Map<string, string>
  models: Map<string, Manifest>
  /** Addresses of the weight records that are here. */
  records: Set<string>
  /** Highest epoch that the node has told. */
  highest: number
}

export const emptyDisk = (): Disk => ({
  config: new Map(),
  models: new Map(),
  records: new Set(),
  highest: 0,
})

const sha = (layer: number): string => layer.toString(16).padStart(64, '0')

/** A model of so many layers, with records by layer. */
export const toyManifest = (layers: number, context: number): Manifest =>
  ({
    name: 'toy',
    spec: {
      ...{ layers, hidden: HIDDEN, heads: 1, kvHeads: 1, headDim: 8, feedForward: 8 },
      ...{ vocab: VOCAB, tiedHead: false, context, family: 'llama' },
    },
    text: { tokenizer: null, endIds: [] },
    parameters: 1,
    types: {},
    records: Array.from(
      { length: layers },
      (_, layer): RecordRef =>
        ({
          ...{ kind: 'layer', layer, sha256: sha(layer), bytes: 1_000_000 },
          runtimeBytes: 1_000_000,
        }) as RecordRef,
    ),
  }) as unknown as Manifest

type MemberStore = Pick<
  Store,
  'getConfig' | 'setConfig' | 'listModels' | 'getModel' | 'putModel' | 'hasRecords'
>

/** The store of one process. What it writes is on the disk a little later, or not at all. */
export class SimStore implements MemberStore {
  readonly #disk: Disk
  readonly #process: Process
  #freeAt = 0

  constructor(disk: Disk, process: Process) {
    this.#disk = disk
    this.#process = process
  }

  /** Answers after a moment, in the order of the calls, unless the process ends before. */
  #later<T>(work: () => T): Promise<T> {
    const { world } = this.#process
    this.#freeAt = Math.max(this.#freeAt, world.now) + world.between(0.01, 3)
    return new Promise((resolve) => {
      this.#process.soon(() => resolve(work()), this.#freeAt - world.now)
    })
  }

  getConfig(key: string): Promise<string | undefined> {
    return this.#later(() => this.#disk.config.get(key))
  }

  setConfig(key: string, value: string): Promise<void> {
    return this.#later(() => {
      this.#disk.config.set(key, value)
    })
  }

  listModels(): Promise<Manifest[]> {
    return this.#later(() => [...this.#disk.models.values()])
  }

  getModel(name: string): Promise<Manifest | undefined> {
    return this.#later(() => this.#disk.models.get(name))
  }

  putModel(manifest: Manifest): Promise<void> {
    return this.#later(() => {
      this.#disk.models.set(manifest.name, manifest)
    })
  }

  hasRecords(sha256: readonly string[]): Promise<Set<string>> {
    return this.#later(() => new Set(sha256.filter((s) => this.#disk.records.has(s))))
  }
}
