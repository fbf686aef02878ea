/**
 * What a gateway tells the home about the ring: state on our topics, and Home Assistant's discovery.
 * The home's broker retains it. So a board that went offline or was removed while no gateway ran is
 * put right there.
 */

import type { RequestClient } from '../../client/ask.ts'
import type { ClusterView, ViewChange } from '../../client/view.ts'
import { MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { Bus, BusMessage, Clock } from '../../ports.ts'
import { version } from '../../version.ts'
import type { BoardView, BridgeHealth } from '../../wire/control.ts'
import { buildTopic, filterOf, matchTopic, readMessage, writeMessage } from '../../wire/topics.ts'
import { openInfo } from '../mqtt/redact.ts'
import { birthTopic, Discovery } from './discovery.ts'

/** What a gateway does itself, beside what the coordinator tells of its own requests. */
export type OwnLoad = Pick<BridgeHealth, 'running' | 'queued' | 'tokensPerSecond'>

export type AnnouncerOptions = {
  /** The home's broker, with topics under our names. */
  bus: Bus
  /** A topic of ours as it is there. */
  place(topic: string): string
  /** Root of Home Assistant's topics. */
  discovery: string
  cluster: string
  view: ClusterView
  client: Pick<RequestClient, 'ask'>
  own(): OwnLoad
  /** Whether info, health and models are told; where the coordinator does, they are not. */
  bridge: boolean
  clock: Clock
}

export class Announcer {
  readonly #options: AnnouncerOptions
  readonly #discovery: Discovery
  /** What was told last on each retained topic: it is told again only when it has changed. */
  readonly #told = new Map<string, string>()
  /** Boards of our cluster that the home's broker has retained. */
  readonly #boards = new Map<string, BoardView>()
  #models: string[] = []
  #on = false
  #stopSweep: () => void = () => {}

  constructor(options: AnnouncerOptions) {
    this.#options = options
    const { discovery, place, cluster } = options
    this.#discovery = new Discovery({ root: discovery, place, version, cluster })
  }

  start(): void {
    const { bus, discovery } = this.#options
    bus.subscribe(filterOf('board'), (message) => this.#heard(message))
    bus.subscribe(birthTopic(discovery), ({ payload }) => {
      if (this.#on && Buffer.from(payload).toString() === 'online') this.#tellAll()
    })
  }

  /** Turns it on or off. When it is turned on, everything is told again. */
  turn(on: boolean): void {
    this.#on = on
    this.#stopSweep()
    if (!on) return
    this.#tellAll()
    this.#sweep()
  }

  /** The ring has changed. */
  changed(change: ViewChange): void {
    if (change.kind === 'gone') this.#gone(change.node)
    else if (change.kind === 'vitals') this.#tellBoard(change.node)
    else if (change.kind === 'node') {
      this.#tellBoard(change.node)
      // Without a coordinator the nodes tell whether the ring is ready.
      this.#tellBridge()
    } else {
      this.#tellBridge()
      if (change.kind !== 'health') void this.#askModels()
    }
  }

  /** Publishes what is retained, where it has changed or is told anew. */
  #retain(topic: string, payload: string): void {
    if (!this.#on || this.#told.get(topic) === payload) return
    this.#told.set(topic, payload)
    this.#options.bus.publish(topic, payload, { qos: 1, retain: true })
  }

  #tellAll(): void {
    this.#told.clear()
    this.#tellBridge()
    const { nodes } = this.#options.view
    for (const node of new Set([...nodes.keys(), ...this.#boards.keys()])) this.#tellBoard(node)
    void this.#askModels()
  }

  #tellBridge(): void {
    const { view, bridge, own } = this.#options
    const { info, health } = view
    if (bridge && health) {
      const { running, queued, tokensPerSecond } = own()
      const all = {
        ...health,
        running: health.running + running,
        queued: health.queued + queued,
        tokensPerSecond: health.tokensPerSecond + tokensPerSecond,
      }
      this.#retain(buildTopic('bridgeHealth', {}), writeMessage('bridgeHealth', all))
    }
    if (!info) return
    if (bridge)
      this.#retain(buildTopic('bridgeInfo', {}), writeMessage('bridgeInfo', openInfo(info)))
    const { topic, payload } = this.#discovery.cluster(info, this.#models)
    this.#retain(topic, payload)
  }

  async #askModels(): Promise<void> {
    if (!this.#on) return
    try {
      const { models } = await this.#options.client.ask('models', {})
      this.#models = models.map(({ name }) => name)
      this.#tellBridge()
    } catch (error) {
      // Without a coordinator the select shows the model that is loaded.
      if (!(error instanceof MdiError)) throw error
    }
  }

  #boardOf(node: string): BoardView | undefined {
    const { view, cluster } = this.#options
    const state = view.nodes.get(node)
    if (state?.state !== 'online') {
      // An offline board that the home does not know may be of another cluster.
      const ours = state || (view.offline.has(node) && this.#boards.has(node))
      return ours ? this.#offline(node) : undefined
    }
    const { phase, first = 0, end = 0 } = state.assignment
    const vitals = view.vitals.get(node)
    return {
      state: 'online',
      cluster,
      name: state.name,
      phase,
      layers: end - first,
      range: end > first ? `${first}–${end - 1}` : '',
      ...(vitals && {
        memoryMB: Math.round(vitals.memoryBytes / 1e6),
        tokensPerSecond: vitals.tokensPerSecond,
        ...(vitals.temperature !== undefined && { temperature: vitals.temperature }),
      }),
    }
  }

  #offline(node: string): BoardView {
    const { cluster } = this.#options
    const name = this.#boards.get(node)?.name ?? node
    return { state: 'offline', cluster, name, phase: 'offline', layers: 0, range: '' }
  }

  #tellBoard(node: string): void {
    const board = this.#on ? this.#boardOf(node) : undefined
    if (!board) return
    // A board that is offline keeps its device and its name.
    if (board.state === 'online') {
      const { topic, payload } = this.#discovery.board(node, board)
      this.#retain(topic, payload)
    }
    this.#retain(buildTopic('board', { node }), writeMessage('board', board))
  }

  /** A board as the home's broker has it; ours come back, too. */
  #heard({ topic, payload }: BusMessage): void {
    const node = matchTopic(topic)?.parameters.node ?? ''
    if (payload.length === 0) {
      this.#boards.delete(node)
      return
    }
    try {
      const board = readMessage('board', topic, payload)
      if (board.cluster !== this.#options.cluster) return
      this.#boards.set(node, board)
    } catch (error) {
      // A message of somebody else on our topic is ignored.
      if (!(error instanceof MdiError)) throw error
      return
    }
    this.#tellBoard(node)
  }

  /** Takes boards away that the ring no longer has, when those it has have had time to come. */
  #sweep(): void {
    const { clock, client, view } = this.#options
    this.#stopSweep = clock.after(limits.goneBoardMs, async () => {
      this.#sweep()
      try {
        const { nodes } = await client.ask('status', {})
        const known = new Set(nodes.map(({ id }) => id))
        for (const node of this.#boards.keys()) {
          if (view.nodes.has(node) || view.offline.has(node)) continue
          if (!known.has(node)) this.#gone(node)
          else
            this.#retain(buildTopic('board', { node }), writeMessage('board', this.#offline(node)))
        }
      } catch (error) {
        // Only a coordinator knows that a board is gone for good.
        if (!(error instanceof MdiError)) throw error
      }
    })
  }

  #gone(node: string): void {
    if (!this.#on) return
    this.#boards.delete(node)
    const topics = [this.#discovery.gone(node).topic, buildTopic('board', { node })]
    for (const topic of topics) {
      this.#told.delete(topic)
      this.#options.bus.publish(topic, '', { qos: 1, retain: true })
    }
  }
}
