/** What the ring's bus tells of the ring: kept up to date for whoever shows or uses it. */
import { MdiError } from '../errors.ts'
import type { Bus } from '../ports.ts'
import type { BridgeHealth, BridgeInfo, NodeState, Vitals } from '../wire/control.ts'
import {
  buildTopic,
  filterOf,
  matchTopic,
  type Payload,
  type PlainTopic,
  readMessage,
} from '../wire/topics.ts'

export type ViewChange =
  | { kind: 'info' | 'health' | 'bridge' }
  | { kind: 'node' | 'vitals' | 'gone'; node: string }

export class ClusterView {
  info: BridgeInfo | undefined
  #health: BridgeHealth | undefined
  /** Whether a coordinator is there. */
  bridge: 'online' | 'offline' = 'offline'
  readonly nodes = new Map<string, NodeState>()
  /** Nodes that went offline before we came: whose they were is not known. */
  readonly offline = new Set<string>()
  readonly vitals = new Map<string, Vitals>()
  readonly #bus: Bus
  readonly #cluster: string
  readonly #onChange: (change: ViewChange) => void

  constructor(bus: Bus, cluster: string, onChange: (change: ViewChange) => void) {
    this.#bus = bus
    this.#cluster = cluster
    this.#onChange = onChange
  }

  /**
   * How the ring is. What a coordinator said is true as long as it is there; without it the
   * ring runs on, as far as its nodes are there.
   */
  get health(): BridgeHealth | undefined {
    const last = this.#health
    if (!last || this.bridge === 'online') return last
    const quiet = { ...last, running: 0, queued: 0, tokensPerSecond: 0 }
    const stages = this.info?.stages ?? []
    if (last.ring === 'idle' || stages.length === 0) return quiet
    const waits = (what: string): BridgeHealth => ({
      ...quiet,
      ring: 'waiting',
      reason: `${what}, and no coordinator is there.`,
    })
    const lost = stages.find(({ node }) => this.nodes.get(node)?.state !== 'online')
    if (lost) return waits(`Node ${lost.node} is offline`)
    const starter = this.nodes.get(stages[0]?.node ?? '')
    if (starter?.state !== 'online' || !starter.ring) return quiet
    const { reason: _, ...ready } = quiet
    return starter.ring.whole ? { ...ready, ring: 'ready' } : waits('The ring is broken')
  }

  start(): void {
    this.#read('bridgeInfo', buildTopic('bridgeInfo', {}), (info) => {
      if (info.cluster !== this.#cluster) return
      this.info = info
      this.#onChange({ kind: 'info' })
    })
    this.#read('bridgeHealth', buildTopic('bridgeHealth', {}), (health) => {
      this.#health = health
      this.#onChange({ kind: 'health' })
    })
    this.#read('bridgeState', buildTopic('bridgeState', {}), ({ state }) => {
      this.bridge = state
      this.#onChange({ kind: 'bridge' })
    })
    this.#read('vitals', filterOf('vitals'), (vitals, node) => {
      this.vitals.set(node, vitals)
      this.#onChange({ kind: 'vitals', node })
    })
    this.#read(
      'state',
      filterOf('state'),
      (state, node) => {
        if (state.state === 'online' && state.cluster !== this.#cluster) return
        if (state.state === 'offline' && !this.nodes.has(node)) this.offline.add(node)
        else this.nodes.set(node, state)
        if (state.state === 'online') this.offline.delete(node)
        this.#onChange({ kind: 'node', node })
      },
      (node) => {
        this.vitals.delete(node)
        // One of another cluster is not ours to take away.
        if (this.nodes.delete(node) || this.offline.delete(node))
          this.#onChange({ kind: 'gone', node })
      },
    )
  }

  #read<T extends PlainTopic>(
    name: T,
    filter: string,
    take: (message: Payload<T>, node: string) => void,
    gone: (node: string) => void = () => {},
  ): void {
    this.#bus.subscribe(filter, ({ topic, payload }) => {
      const node = matchTopic(topic)?.parameters.node ?? ''
      try {
        if (payload.length === 0) gone(node)
        else take(readMessage(name, topic, payload), node)
      } catch (error) {
        // A message of somebody else on our topic is ignored.
        if (!(error instanceof MdiError)) throw error
      }
    })
  }
}
