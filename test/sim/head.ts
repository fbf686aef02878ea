/** A simulated coordinator: the production one and its owner of requests, as `lifecycle/coordinator`. */
import {
  Coordinator,
  type CoordinatorEffect,
  type CoordinatorEvent,
} from '../../services/control/coordinator.ts'
import type { Plan } from '../../services/control/plan.ts'
import { MdiError } from '../../services/errors.ts'
import { Owner } from '../../services/gateway/owner.ts'
import type { Manifest } from '../../services/model/spec.ts'
import { PROTOCOL } from '../../services/wire/frame.ts'
import {
  buildTopic,
  filterOf,
  matchTopic,
  optionsOf,
  readMessage,
  writeMessage,
} from '../../services/wire/topics.ts'
import { type Broker, SimBus } from './bus.ts'
import type { Cluster } from './cluster.ts'
import type { Request } from './requests.ts'
import { Process } from './world.ts'

const manifestOf = (layers: number): Manifest =>
  ({
    name: 'toy',
    spec: { layers, kvHeads: 1, headDim: 8, tiedHead: false },
    records: Array.from({ length: layers }, (_, layer) => ({
      kind: 'layer',
      layer,
      runtimeBytes: 1_000_000,
    })),
  }) as unknown as Manifest

export class Head {
  readonly process: Process
  readonly coordinator: Coordinator
  readonly owner: Owner
  readonly outcomes = new Map<string, string>()
  readonly #cluster: Cluster
  readonly #bus: SimBus

  constructor(cluster: Cluster, broker: Broker) {
    this.#cluster = cluster
    const { world, network, disk } = cluster
    this.process = new Process(world, 'coord')
    const links = network.join('coord', this.process, 'coord')
    this.owner = new Owner(links, this.process.clock)
    links.onEvent((event) => this.owner.handle(event))
    this.coordinator = new Coordinator({
      version: '1',
      protocol: PROTOCOL,
      cluster: 'sim',
      peer: { id: 'coord', addresses: ['coord'], port: 1 },
    })
    const topic = buildTopic('bridgeState', {})
    const will = { topic, payload: writeMessage('bridgeState', { state: 'offline' }) }
    this.#bus = new SimBus(broker, this.process, will)
    this.#feed({ kind: 'start', kept: disk.plan })
    this.#bus.subscribe(filterOf('state'), (message) => {
      const id = matchTopic(message.topic)?.parameters.node
      if (id === undefined) return
      try {
        const state = readMessage('state', message.topic, message.payload)
        this.#feed({ kind: 'node', id, state })
      } catch (error) {
        if (!(error instanceof MdiError)) throw error
      }
    })
    this.#bus.onConnection((connection) => {
      if (connection.up) this.#feed({ kind: 'bus' })
    })
    for (const r of cluster.requests)
      if (r.sent && !r.ended) this.owner.open(r.open, r, true, r.nextStep)
  }

  #feed(event: CoordinatorEvent): void {
    for (const effect of this.coordinator.handle(event)) this.#do(effect)
  }

  #do(effect: CoordinatorEffect): void {
    const { world, disk } = this.#cluster
    switch (effect.kind) {
      case 'desire': {
        const topic = buildTopic('desired', { node: effect.node })
        this.#bus.publish(topic, writeMessage('desired', effect.desired), optionsOf('desired'))
        return
      }
      case 'keep':
        disk.plan = structuredClone(effect.plan) as Plan
        return
      case 'plan': {
        const { epoch, stages } = effect.plan
        world.log('coord', () => `plan ${epoch}: ${stages.map((s) => s.peer.id).join(' ')}`)
        this.#cluster.planned(epoch)
        this.owner.setStarter(stages[0]?.peer)
        return
      }
      case 'loaded':
      case 'unloaded':
        this.outcomes.set(effect.reply, effect.kind)
        return
      case 'refused':
        world.log('coord', () => effect.error.message)
        this.outcomes.set(effect.reply, effect.error.message)
        return
      case 'log':
        world.log('coord', () => effect.message)
    }
  }

  load(reply: string, nodes?: string[]): void {
    const { layers, context } = this.#cluster.options
    const reference = { name: 'toy', manifest: 'a'.repeat(64), bytes: 100 }
    const model = { manifest: manifestOf(layers), reference, context }
    const request = { model: 'toy', ...(nodes && { nodes }) } as Parameters<
      typeof this.coordinator.handle
    >[0] extends infer E
      ? E extends { kind: 'load'; request: infer R }
        ? R
        : never
      : never
    this.#feed({ kind: 'load', reply, request, model })
  }

  unload(reply: string): void {
    this.#feed({ kind: 'unload', reply })
  }

  ask(request: Request): void {
    request.sent = true
    this.owner.open(request.open, request)
  }
}
