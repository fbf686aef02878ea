/** A simulated coordinator: the production one and its owner of requests, as `lifecycle/coordinator`. */
import {
  Coordinator,
  type CoordinatorEffect,
  type CoordinatorEvent,
} from '../../services/control/coordinator.ts'
import type { Plan } from '../../services/control/plan.ts'
import { Presence, type PresenceEvent } from '../../services/control/presence.ts'
import { MdiError } from '../../services/errors.ts'
import type { Manifest } from '../../services/model/spec.ts'
import { Owner } from '../../services/requests/owner.ts'
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
    spec: { layers, hidden: 8, heads: 1, kvHeads: 1, headDim: 8, feedForward: 8, tiedHead: false },
    records: Array.from({ length: layers }, (_, layer) => ({
      kind: 'layer',
      layer,
      runtimeBytes: 1_000_000,
    })),
  }) as unknown as Manifest

/** What a coordinator keeps over a power cut. */
export type HeadDisk = { plan: Plan | undefined }

export class Head {
  readonly process: Process
  readonly coordinator: Coordinator
  readonly owner: Owner
  /** Loads that were asked for, and what came of them. */
  readonly asked: string[] = []
  readonly outcomes = new Map<string, string>()
  readonly #cluster: Cluster
  readonly #bus: SimBus
  /** It ended by itself. */
  gaveUp = false
  readonly #disk: HeadDisk
  readonly #presence: Presence
  readonly #state: { instance: string; id: string; place: string }
  /** It has taken up the work. */
  working = false

  constructor(cluster: Cluster, broker: Broker, name: string, disk: HeadDisk) {
    this.#cluster = cluster
    this.#disk = disk
    const { world, network } = cluster
    this.process = new Process(world, name)
    const links = network.join(name, this.process, name)
    this.owner = new Owner(links, this.process.clock)
    links.onEvent((event) => this.owner.handle(event))
    this.coordinator = new Coordinator({
      version: '1',
      protocol: PROTOCOL,
      cluster: 'sim',
      peer: { id: name, addresses: [name], port: 1 },
    })
    const instance = this.process.randomness.uint32().toString(16)
    this.#state = { instance, id: name, place: name }
    this.#presence = new Presence(instance)
    const topic = buildTopic('bridgeState', {})
    const payload = writeMessage('bridgeState', { state: 'offline', ...this.#state })
    this.#bus = new SimBus(broker, this.process, { topic, payload })
    this.#bus.subscribe(topic, ({ payload, retained }) => {
      const state = readMessage('bridgeState', topic, payload)
      this.#hear({ kind: 'state', state, retained })
    })
    this.#bus.onConnection((connection) => {
      if (!connection.up) return
      this.#feed({ kind: 'away' })
      this.#hear({ kind: 'bus' })
    })
    this.#tick()
  }

  #tick(): void {
    this.process.soon(() => {
      this.#hear({ kind: 'tick' })
      this.#tick()
    }, 250)
  }

  #hear(event: PresenceEvent): void {
    if (this.#cluster.mutation.presenceHears?.(event) === false) return
    for (const effect of this.#presence.handle(event, this.process.world.now)) {
      if (effect.kind === 'tell') this.#say(effect.asks)
      else if (effect.kind === 'stand') this.#stand()
      else {
        this.process.world.log(this.process.name, () => effect.message)
        this.gaveUp = true
        void this.#bus.close()
        this.process.soon(() => this.process.kill('kill'), 100)
      }
    }
  }

  #say(asks: boolean): void {
    const topic = buildTopic('bridgeState', {})
    const payload = writeMessage('bridgeState', { state: 'online', asks, ...this.#state })
    this.#bus.publish(topic, payload, optionsOf('bridgeState'))
  }

  #stand(): void {
    if (!this.working) this.#begin()
    this.#feed({ kind: 'bus' })
    this.#say(false)
  }

  #begin(): void {
    this.working = true
    this.process.world.log(this.process.name, () => 'takes up the work')
    this.#feed({ kind: 'start', kept: this.#disk.plan })
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
    if (this.process.name === 'coord')
      for (const r of this.#cluster.requests)
        if (r.sent && !r.ended) this.owner.open(r.open, r, true, r.nextStep)
  }

  #feed(event: CoordinatorEvent): void {
    const { headHears, headDoes } = this.#cluster.mutation
    const heard = headHears ? headHears(event) : event
    if (!heard) return
    for (const effect of this.coordinator.handle(heard))
      if (headDoes?.(effect, event) ?? true) this.#do(effect)
  }

  #do(effect: CoordinatorEffect): void {
    const { world } = this.#cluster
    const { name } = this.process
    switch (effect.kind) {
      case 'desire': {
        const topic = buildTopic('desired', { node: effect.node })
        this.#bus.publish(topic, writeMessage('desired', effect.desired), optionsOf('desired'))
        return
      }
      case 'keep':
        this.#disk.plan = structuredClone(effect.plan)
        return
      case 'plan': {
        const { epoch, stages } = effect.plan
        world.log(name, () => `plan ${epoch}: ${stages.map((s) => s.peer.id).join(' ')}`)
        this.#cluster.planned(epoch)
        this.owner.setStarter(stages[0]?.peer)
        return
      }
      case 'loaded':
      case 'unloaded':
        this.outcomes.set(effect.reply, effect.kind)
        return
      case 'refused':
        world.log(name, () => effect.error.message)
        this.outcomes.set(effect.reply, effect.error.message)
        return
      case 'log':
        world.log(name, () => effect.message)
    }
  }

  load(reply: string, nodes?: string[]): void {
    const { layers, context } = this.#cluster.options
    this.asked.push(reply)
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
