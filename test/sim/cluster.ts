/** A whole cluster in simulated time: broker, coordinator, nodes; and what must hold of it. */
import { limits } from '../../services/limits.ts'
import { Broker } from './bus.ts'
import type { ControlMutation } from './controlmutations.ts'
import type { Speed } from './engine.ts'
import { Head, type HeadDisk } from './head.ts'
import { type Disk, Member } from './member.ts'
import { Network } from './net.ts'
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
  readonly members = new Map<string, Member>()
  readonly requests: Request[] = []
  /** Ids under which two have come, of which it is open who stays. */
  readonly disputed = new Set<string>()
  readonly disk: HeadDisk = { plan: undefined }
  head: Head
  /** When something last went wrong that ends requests. */
  troubleAt = Number.NEGATIVE_INFINITY
  plans = 0
  #nextRequest = 1

  readonly mutation: Omit<ControlMutation, 'name'>

  constructor(world: World, options: ClusterOptions, mutation?: ControlMutation) {
    this.world = world
    this.mutation = mutation ?? {}
    this.options = options
    this.network = new Network(world, options)
    this.broker = new Broker(world)
    this.head = new Head(this, this.broker, 'coord', this.disk)
    for (let i = 0; i < options.nodes; i++) this.boot(`n${i}`)
    world.check = () => this.#check()
  }

  /** Starts a node's process; its disk is that of the one before it. */
  boot(id: string): Member {
    const disk = this.disks.get(id) ?? { desired: undefined, layers: new Set(), highest: 0 }
    this.disks.set(id, disk)
    const member = new Member(this, this.broker, id, id, disk)
    this.members.set(id, member)
    return member
  }

  /** Another board that has the same id. */
  twin(id: string): Member {
    const disk = { desired: undefined, layers: new Set<number>(), highest: 0 }
    return new Member(this, this.broker, id, `${id}twin`, disk)
  }

  /** Of two boards that came together under one id, the one that stayed is the node. */
  settle(id: string, stayed: Member): void {
    this.members.set(id, stayed)
    this.disks.set(id, stayed.disk)
    this.disputed.delete(id)
  }

  bootHead(): void {
    this.head = new Head(this, this.broker, 'coord', this.disk)
  }

  /** A coordinator of another machine, which has planned something of its own before. */
  rival(): Head {
    const { plan } = this.disk
    const epoch = (plan?.epoch ?? 0) + this.world.integer(-3, 3)
    const kept = plan && { ...structuredClone(plan), epoch: Math.max(1, epoch) }
    return new Head(this, this.broker, 'rival', { plan: kept })
  }

  planned(epoch: number): void {
    if (epoch > 0) this.plans += 1
  }

  get starter(): Member | undefined {
    const id = this.disk.plan?.stages[0]?.peer.id
    return id === undefined ? undefined : this.members.get(id)
  }

  get ready(): boolean {
    return this.head.coordinator.health.ring === 'ready' && this.starter?.ring.whole === true
  }

  /** A request by the coordinator, as those that come by MQTT. */
  request(): Request | undefined {
    const { world, head, options } = this
    if (head.process.state !== 'up' || head.coordinator.health.ring !== 'ready') return undefined
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

  #check(): void {
    if (this.head.gaveUp) throw new Violation('rival', 'the coordinator gave way to a newcomer')
    for (const { id, ring, process, gaveUp } of this.members.values()) {
      if (gaveUp && !this.disputed.has(id))
        throw new Violation('twin', `${id} gave way to a newcomer`)
      if (process.state !== 'dead' && ring.held > limits.queueFrames)
        throw new Violation('queue', `${id} holds ${ring.held} frames`)
    }
  }
}
