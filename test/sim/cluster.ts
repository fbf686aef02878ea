/** A whole cluster in simulated time: broker, coordinator, nodes; and what must hold of it. */
import type { Plan } from '../../services/control/plan.ts'
import { limits } from '../../services/limits.ts'
import { buildTopic } from '../../services/wire/topics.ts'
import { Broker } from './bus.ts'
import { SimCoordinator } from './coordinator.ts'
import { type Disk, emptyDisk } from './disk.ts'
import type { Speed } from './engine.ts'
import { SimGateway } from './gateway.ts'
import { Network } from './net.ts'
import { SimNode } from './node.ts'
import { Request, randomOpen } from './requests.ts'
import { Violation, type World } from './world.ts'

export type ClusterOptions = {
  nodes: number
  layers: number
  context: number
  chunkRows: number
  delay: readonly [number, number]
  kernelFrames: number
  speed: Speed
}

export class Cluster {
  readonly world: World
  readonly options: ClusterOptions
  readonly network: Network
  readonly broker: Broker
  readonly disks = new Map<string, Disk>()
  readonly members = new Map<string, SimNode>()
  readonly requests: Request[] = []
  /** Ids under which two have come, of which it is open who stays. */
  readonly disputed = new Set<string>()
  readonly disk = emptyDisk()
  head: SimCoordinator
  readonly gateway: SimGateway
  /** When something last went wrong that ends requests. */
  troubleAt = Number.NEGATIVE_INFINITY
  #nextRequest = 1

  constructor(world: World, options: ClusterOptions) {
    this.world = world
    this.options = options
    this.network = new Network(world, options)
    this.broker = new Broker(world)
    this.head = new SimCoordinator(this, this.broker, 'coord', this.disk)
    this.gateway = new SimGateway(this, this.broker, 'gate')
    for (let i = 0; i < options.nodes; i++) this.boot(`n${i}`)
    world.check = () => this.#check()
  }

  /** Starts a node's process; its disk and its address are those of the one before it. */
  boot(id: string): SimNode {
    const disk = this.disks.get(id) ?? emptyDisk()
    this.disks.set(id, disk)
    const host = this.members.get(id)?.process.name ?? id
    const member = new SimNode(this, this.broker, id, host, disk)
    this.members.set(id, member)
    return member
  }

  /** Another board that has the same id. */
  twin(id: string): SimNode {
    const there = this.members.get(id)?.process.name
    const host = there === id ? `${id}twin` : id
    return new SimNode(this, this.broker, id, host, emptyDisk())
  }

  /** Of two boards that came together under one id, the one that stayed is the node. */
  settle(id: string, stayed: SimNode): void {
    this.members.set(id, stayed)
    this.disks.set(id, stayed.disk)
    this.disputed.delete(id)
  }

  bootHead(): void {
    this.head = new SimCoordinator(this, this.broker, 'coord', this.disk)
  }

  /** A coordinator of another machine, which has planned something of its own before. */
  rival(): SimCoordinator {
    const { plan } = this
    const disk = emptyDisk()
    if (plan) {
      const epoch = Math.max(1, plan.epoch + this.world.integer(-3, 3))
      disk.config.set('plan', JSON.stringify({ ...plan, epoch }))
    }
    return new SimCoordinator(this, this.broker, 'rival', disk)
  }

  #planText: string | undefined
  #plan: Plan | undefined

  /** The plan that the coordinator keeps. */
  get plan(): Plan | undefined {
    const text = this.disk.config.get('plan')
    if (text !== this.#planText) this.#plan = text === undefined ? undefined : JSON.parse(text)
    this.#planText = text
    return this.#plan
  }

  get starter(): SimNode | undefined {
    const id = this.plan?.stages[0]?.peer.id
    return id === undefined ? undefined : this.members.get(id)
  }

  get ready(): boolean {
    const { health } = this.head.role.coordinator
    return health.ring === 'ready' && this.starter?.stage.ring.whole === true
  }

  /** A request by the coordinator, as those that come by MQTT. */
  request(): Request | undefined {
    const { world, head, options } = this
    if (
      head.process.state !== 'up' ||
      !head.working ||
      head.role.coordinator.health.ring !== 'ready'
    )
      return undefined
    const id = `r${this.#nextRequest++}`
    const request = new Request(world, randomOpen(world, id, options.context), options)
    request.via = 'owner'
    request.excuse = (end) => {
      const recent = world.now - this.troubleAt < limits.lossMs + 3_000
      const of = ['node-lost', 'not-ready', 'no-model', 'not-found']
      return recent && end.error && of.includes(end.error.code) ? 'a fault' : undefined
    }
    this.requests.push(request)
    world.log(id, () => `opens: ${request.open.tokens.length} tokens`)
    head.ask(request)
    return request
  }

  /** What is retained of somebody who is there, and is not what that one told last. */
  get untrue(): string[] {
    const { broker, head, members, gateway, plan } = this
    const wrong: string[] = []
    const look = (topic: string, told: string | undefined) => {
      if (broker.retained(topic) !== told) wrong.push(topic)
    }
    for (const { id, topic, told, process } of members.values())
      if (process.state === 'up' && !this.disputed.has(id)) look(topic, told)
    for (const name of ['bridgeState', 'bridgeInfo', 'bridgeHealth'] as const) {
      const topic = buildTopic(name, {})
      look(topic, head.told.get(topic))
    }
    const { starter, notReady } = gateway.knows
    if (starter !== plan?.stages[0]?.peer.id) wrong.push(`the gateway would ask ${starter}`)
    if (plan?.model && notReady !== undefined) wrong.push(`the gateway is told: ${notReady}`)
    return wrong
  }

  #check(): void {
    const { head } = this
    if (head.gaveUp) throw new Violation('rival', 'the coordinator gave way to a newcomer')
    if (head.working && !head.resumed) head.resume(this.requests)
    for (const { id, stage, process, gaveUp } of this.members.values()) {
      if (gaveUp && !this.disputed.has(id))
        throw new Violation('twin', `${id} gave way to a newcomer`)
      if (process.state !== 'dead' && stage.ring.held > limits.queueFrames)
        throw new Violation('queue', `${id} holds ${stage.ring.held} frames`)
    }
  }
}
