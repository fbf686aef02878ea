/** What a node's store holds of models, and the fetching of what an assignment lacks. */
import type { Identity } from '../control/agent.ts'
import { MdiError } from '../errors.ts'
import { manifestReference, withoutVocabulary } from '../model/manifest.ts'
import type { Manifest } from '../model/spec.ts'
import { checkPart } from '../plan/room.ts'
import type { FetchFrom, OnProgress, Store, WeightFetch } from '../ports.ts'
import type { Assignment } from '../wire/control.ts'

/** Models that a node tells of at most. */
const TOLD = 64

type HoldingsStore = Pick<Store, 'listModels' | 'hasRecords' | 'getModel' | 'putModel'>

export class Holdings {
  readonly #store: HoldingsStore
  readonly #node: string
  readonly #weights: WeightFetch
  /** Models in the store, kept here since reading their manifests again takes long. */
  #models: { manifest: string; layers: { layer: number; sha256: string }[] }[] = []
  #manifest: Manifest | undefined
  #fetching: AbortController | undefined

  constructor(store: HoldingsStore, node: string, weights: WeightFetch) {
    this.#store = store
    this.#node = node
    this.#weights = weights
  }

  /** The manifest of the model that was last wanted. */
  get manifest(): Manifest | undefined {
    return this.#manifest
  }

  /** Looks what is there. @param wanted name of the model that will be asked for first */
  async open(wanted: string | undefined): Promise<void> {
    for (const model of await this.#store.listModels()) {
      this.#remember(model)
      if (model.name === wanted) this.#manifest = withoutVocabulary(model)
    }
  }

  #remember(model: Manifest): void {
    const { manifest } = manifestReference(model)
    const layers = model.records.flatMap(({ kind, layer = 0, sha256 }) =>
      kind === 'layer' ? [{ layer, sha256 }] : [],
    )
    this.#models = [...this.#models.filter((m) => m.manifest !== manifest), { manifest, layers }]
  }

  /** Which layers of which models are in the store, as ranges. */
  held(): Promise<Identity['held']> {
    return Promise.all(
      this.#models.slice(0, TOLD).map(async ({ manifest, layers }) => {
        const have = await this.#store.hasRecords(layers.map((r) => r.sha256))
        const ranges: [number, number][] = []
        for (const { layer, sha256 } of layers) {
          if (!have.has(sha256)) continue
          const last = ranges.at(-1)
          if (last && last[1] === layer) last[1] = layer + 1
          else ranges.push([layer, layer + 1])
        }
        return { manifest, ranges }
      }),
    )
  }

  /**
   * Fetches what an assignment needs and the store lacks; an earlier fetch is given up.
   * @throws MdiError as `WeightFetch`
   */
  async fetch(assignment: Assignment, onProgress: OnProgress): Promise<void> {
    this.abort()
    const abort = new AbortController()
    this.#fetching = abort
    const from = {
      sources: assignment.sources.filter((s) => s.id !== this.#node),
      signal: abort.signal,
    }
    const manifest = await this.#find(assignment, from)
    // Given up while it was looked for: another assignment's manifest may stand here by now.
    if (abort.signal.aborted) throw new MdiError('cancelled', 'Fetching the weights was given up.')
    checkPart(manifest, assignment)
    this.#manifest = manifest
    const { first, end, starter } = assignment
    const wanted = manifest.records.filter(({ kind, layer = 0 }) =>
      kind === 'layer' ? layer >= first && layer < end : starter,
    )
    await this.#weights.records(wanted, from, onProgress)
  }

  abort(): void {
    this.#fetching?.abort()
  }

  async #find({ model }: Assignment, from: FetchFrom): Promise<Manifest> {
    const isIt = (known: Manifest | undefined): known is Manifest =>
      known?.name === model.name && manifestReference(known).manifest === model.manifest
    if (isIt(this.#manifest)) return this.#manifest
    const stored = await this.#store.getModel(model.name)
    if (isIt(stored)) return withoutVocabulary(stored)
    const manifest = await this.#weights.manifest(model, from)
    await this.#store.putModel(manifest)
    this.#remember(manifest)
    return withoutVocabulary(manifest)
  }
}
