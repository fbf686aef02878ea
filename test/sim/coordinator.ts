/** A simulated coordinator: the role that runs on boards, over simulated network, bus and disk. */
import { CoordinatorRole } from '../../services/members/coordinator.ts'
import { LinkReceivers } from '../../services/members/linkreceivers.ts'
import type { Store } from '../../services/ports.ts'
import { RequestService } from '../../services/requests/service.ts'
import type { VerbRequest } from '../../services/wire/verbs.ts'
import { fakeModel } from '../fakes/starter.ts'
import type { Broker } from './bus.ts'
import type { Cluster } from './cluster.ts'
import { type Disk, SimStore, toyManifest } from './disk.ts'
import { simBus, simConfig, simLog, simMachine } from './member.ts'
import type { Request } from './requests.ts'
import { Process } from './world.ts'

export class SimCoordinator {
  readonly process: Process
  readonly role: CoordinatorRole
  readonly requests: RequestService
  /** Loads that were asked for, and what came of them. */
  readonly asked: string[] = []
  readonly outcomes = new Map<string, string>()
  readonly #cluster: Cluster
  /** It ended by itself. */
  gaveUp = false
  /** What it told last on each topic. */
  readonly told = new Map<string, string>()
  /** The requests of the process before this one were taken up. */
  resumed = false

  constructor(cluster: Cluster, broker: Broker, name: string, disk: Disk) {
    this.#cluster = cluster
    const { world, network, options } = cluster
    this.process = new Process(world, name)
    const { process } = this
    const receivers = new LinkReceivers(network.join(name, process, name), name)
    const store = new SimStore(disk, process) as unknown as Store
    const manifest = toyManifest(options.layers, options.context)
    this.requests = new RequestService({ links: receivers.owner(), clock: process.clock })
    this.role = new CoordinatorRole({
      ...{ config: simConfig(name), id: name, port: 1 },
      ...{ store, clock: process.clock, random: process.randomness },
      openBus: simBus(broker, process, (topic, payload) => {
        this.told.set(topic, payload)
        return true
      }),
      wallClock: { now: () => undefined },
      log: simLog(process),
      machine: simMachine(name),
      requests: this.requests,
      findModel: async () => {
        return manifest
      },
      pull: async () => manifest,
      openText: () => ({ model: fakeModel(), close: async () => {} }),
      onEnd: () => this.#giveUp(),
    })
    void this.role.start().catch((error: unknown) => {
      world.failure = error
    })
  }

  /** It has taken up the work. */
  get working(): boolean {
    return this.role.standing
  }

  #giveUp(): void {
    this.gaveUp = true
    void this.role.stop().catch((error: unknown) => {
      this.#cluster.world.failure ??= error
    })
    this.process.soon(() => this.process.kill('kill'), 100)
  }

  #ask(reply: string, done: string, work: () => unknown): void {
    const { world } = this.#cluster
    Promise.resolve(work()).then(
      () => this.outcomes.set(reply, done),
      (error: Error) => {
        world.log(this.process.name, () => error.message)
        this.outcomes.set(reply, error.message)
      },
    )
  }

  load(reply: string, nodes?: string[]): void {
    this.asked.push(reply)
    const request: VerbRequest<'load'> = { model: 'toy', ...(nodes && { nodes }) }
    this.#ask(reply, 'loaded', () => this.role.commands.all().load?.(request))
  }

  unload(reply: string): void {
    this.#ask(reply, 'unloaded', () => this.role.commands.all().unload?.({}))
  }

  ask(request: Request): void {
    request.sent = true
    this.requests.owner.open(request.open, request)
  }

  /** Takes up requests of the process before this one. */
  resume(requests: readonly Request[]): void {
    this.resumed = true
    for (const r of requests)
      if (r.sent && !r.ended) this.requests.owner.open(r.open, r, true, r.nextStep)
  }
}
