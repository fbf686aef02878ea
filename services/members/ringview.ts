/**
 * The ring as the bus tells it: who starts it and with which model. So a board answers
 * requests while the coordinator is another board, or is away.
 */
import type { ClusterView } from '../client/view.ts'
import type { Manifest } from '../model/spec.ts'
import type { FetchFrom } from '../ports.ts'
import type { LoadedRing, RingGuide, TextSide } from '../requests/service.ts'
import type { ModelReference } from '../wire/control.ts'
import type { Peer } from '../wire/values.ts'

export type RingViewParts = {
  view: Pick<ClusterView, 'info' | 'nodes' | 'health'>
  /** The manifest of a model, from this board's store or from a peer. */
  manifest(model: ModelReference, from: FetchFrom): Promise<Manifest>
  /** What a model needs beside its weights to speak. */
  openText(manifest: Manifest, context: number): TextSide
}

export class RingView implements RingGuide {
  readonly #parts: RingViewParts
  #ring: LoadedRing | undefined
  #manifest: { sha256: string; manifest: Manifest } | undefined

  constructor(parts: RingViewParts) {
    this.#parts = parts
  }

  get ring(): LoadedRing | undefined {
    return this.#ring
  }

  /** Reads from the view who starts the ring, and with which model. */
  follow(): void {
    const { info, nodes } = this.#parts.view
    const first = info?.stages[0]
    const starter = first && nodes.get(first.node)
    if (!info?.model || !first) {
      this.#ring = undefined
      return
    }
    // A starter that is offline for the moment is still the ring's.
    if (starter?.state !== 'online') return
    const { id, addresses, port } = starter
    this.#ring = {
      model: info.model.name,
      starter: { id, addresses, port },
      stages: info.stages.length,
      key: `${info.model.manifest} ${info.context ?? 0}`,
    }
  }

  notReady(): string | undefined {
    const { health } = this.#parts.view
    if (!health) return 'Nothing is known of the ring yet.'
    return health.ring === 'ready' ? undefined : (health.reason ?? '')
  }

  async openText(): Promise<TextSide> {
    const { info, nodes } = this.#parts.view
    const model = info?.model
    if (!info || !model) throw new Error('a ring without its info')
    if (this.#manifest?.sha256 !== model.manifest) {
      const others = [...nodes.values()].flatMap((n): Peer[] =>
        n.state === 'online' ? [{ id: n.id, addresses: n.addresses, port: n.port }] : [],
      )
      const manifest = await this.#parts.manifest(model, { sources: [info.coordinator, ...others] })
      this.#manifest = { sha256: model.manifest, manifest }
    }
    const { manifest } = this.#manifest
    return this.#parts.openText(manifest, info.context ?? manifest.spec.context)
  }
}
