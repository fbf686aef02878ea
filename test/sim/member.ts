/** A simulated node of a cluster: the production agent and ring node, joined as `lifecycle/node`. */
import {
  Agent,
  type AgentEffect,
  type AgentEvent,
  type Identity,
} from '../../services/control/agent.ts'
import { MdiError } from '../../services/errors.ts'
import { sequencesFor } from '../../services/plan/places.ts'
import { RingNode } from '../../services/ring/node.ts'
import type { Assignment, Desired } from '../../services/wire/control.ts'
import { PROTOCOL } from '../../services/wire/frame.ts'
import { buildTopic, optionsOf, readMessage, writeMessage } from '../../services/wire/topics.ts'
import { type Broker, SimBus } from './bus.ts'
import type { Cluster } from './cluster.ts'
import { FakeEngine } from './engine.ts'
import type { SimLinks } from './links.ts'
import { HIDDEN, VOCAB } from './model.ts'
import { Process, Violation } from './world.ts'

/** What a board keeps over a power cut. */
export type Disk = { desired: Desired | undefined; layers: Set<number>; highest: number }

export class Member {
  readonly id: string
  /** Where it is: its address in the simulated network. */
  readonly host: string
  readonly process: Process
  readonly links: SimLinks
  readonly engine: FakeEngine
  readonly ring: RingNode
  readonly agent: Agent
  readonly disk: Disk
  readonly bornAt: number
  /** It ended by itself. */
  gaveUp = false
  readonly #cluster: Cluster
  readonly #bus: SimBus
  readonly #instance: string
  /** When the last load that was asked for is done. */
  #loadedAt = 0

  constructor(cluster: Cluster, broker: Broker, id: string, host: string, disk: Disk) {
    this.#cluster = cluster
    this.id = id
    this.host = host
    this.disk = disk
    this.bornAt = cluster.world.now
    const { world, network, options } = cluster
    this.process = new Process(world, host)
    const { process } = this
    this.#instance = `i${process.randomness.uint32().toString(16)}`
    this.links = network.join(id, process, host)
    this.engine = new FakeEngine(process, options.speed, options.context)
    this.ring = new RingNode({
      id,
      engine: this.engine,
      links: this.links,
      clock: process.clock,
      random: process.randomness,
      onRing: (whole, reason) => {
        world.log(host, () => `ring ${whole ? 'whole' : 'broken'} ${reason ?? ''}`)
        this.#feed({ kind: 'ring', whole, reason })
      },
      onLink: (link) => this.#feed({ kind: 'link', link }),
    })
    this.agent = new Agent(this.#identity())
    const gone = writeMessage('state', { state: 'offline', instance: this.#instance })
    this.#bus = new SimBus(broker, process, { topic: this.#topic, payload: gone })
    this.#feed({ kind: 'start', kept: disk.desired })
    this.#subscribe()
    this.#tick()
  }

  get #topic(): string {
    return buildTopic('state', { node: this.id })
  }

  #identity(): Identity {
    return {
      id: this.id,
      name: this.id,
      cluster: 'sim',
      version: '1',
      protocol: PROTOCOL,
      instance: this.#instance,
      addresses: [this.host],
      port: 1,
      profile: { memoryBytes: 1e12, cpu: 'sim', cores: 1, speed: { q4: 1e9 }, host: this.host },
      held: [],
    }
  }

  #subscribe(): void {
    const guarded = (work: () => void) => {
      try {
        work()
      } catch (error) {
        if (!(error instanceof MdiError)) throw error
      }
    }
    this.#bus.subscribe(buildTopic('desired', { node: this.id }), ({ topic, payload }) =>
      guarded(() =>
        this.#feed({ kind: 'desired', desired: readMessage('desired', topic, payload) }),
      ),
    )
    this.#bus.subscribe(this.#topic, ({ topic, payload, retained }) =>
      guarded(() => {
        const state = readMessage('state', topic, payload)
        if (state.state === 'offline') {
          if (!retained) this.#feed({ kind: 'bus' })
          return
        }
        const address = `${state.addresses[0]} port ${state.port}`
        this.#feed({ kind: 'twin', instance: state.instance, address, retained })
      }),
    )
    this.#bus.onConnection((connection) => {
      if (connection.up) this.#feed({ kind: 'bus' })
    })
  }

  #tick(): void {
    this.process.soon(() => {
      this.#feed({ kind: 'tick' })
      this.#tick()
    }, 1_000)
  }

  #feed(event: AgentEvent): void {
    const { agentHears, agentDoes } = this.#cluster.mutation
    const heard = agentHears ? agentHears(event, this.agent.state.epoch) : event
    if (!heard) return
    for (const effect of this.agent.handle(heard, this.process.world.now))
      if (agentDoes?.(effect) ?? true) this.#do(effect)
    const { epoch } = this.agent.state
    if (epoch < this.disk.highest)
      throw new Violation(
        'epoch',
        `${this.id} goes back from plan ${this.disk.highest} to ${epoch}`,
      )
    this.disk.highest = epoch
  }

  #do(effect: AgentEffect): void {
    const { world } = this.process
    switch (effect.kind) {
      case 'publish':
        this.#bus.publish(this.#topic, writeMessage('state', effect.state), optionsOf('state'))
        return
      case 'keep':
        this.disk.desired = effect.desired
        return
      case 'fetch':
        this.#fetch(effect.work, effect.assignment)
        return
      case 'load':
        // One after the other, as an engine does its jobs.
        this.#loadedAt = Math.max(this.#loadedAt, world.now) + world.between(20, 300)
        this.process.soon(() => {
          this.engine.load(effect.assignment.first, effect.assignment.end)
          this.#feed({ kind: 'loaded', work: effect.work })
        }, this.#loadedAt - world.now)
        return
      case 'join':
        this.#join(effect.epoch, effect.assignment)
        return
      case 'leave':
        this.ring.stop(effect.reason)
        return
      case 'unload':
        this.engine.load(0, 0)
        return
      case 'log':
        world.log(this.host, () => effect.message)
        return
      case 'give-up':
        world.log(this.host, () => effect.message)
        this.gaveUp = true
        this.stop()
    }
  }

  /** From whichever source can be reached, what is not here yet. */
  #fetch(work: number, { first, end, sources }: Assignment): void {
    const { network, world } = this.#cluster
    const lacks = Array.from({ length: end - first }, (_, i) => first + i).filter(
      (l) => !this.disk.layers.has(l),
    )
    this.process.soon(
      () => {
        const reached = sources.some(
          (s) => network.find(s) !== undefined && !network.isCut(this.id, s.id),
        )
        if (lacks.length > 0 && !reached) {
          const error = new MdiError('node-lost', 'No source of the weights can be reached.')
          this.#feed({ kind: 'failed', work, error })
          return
        }
        for (const layer of lacks) this.disk.layers.add(layer)
        this.#feed({ kind: 'fetched', work })
      },
      5 + lacks.length * world.between(20, 100),
    )
  }

  #join(epoch: number, assignment: Assignment): void {
    const sequences = sequencesFor(assignment.stages, 1, Number.MAX_SAFE_INTEGER)
    this.process.world.log(this.host, () => `plays stage ${assignment.stage} of epoch ${epoch}`)
    this.ring.start({
      epoch,
      hidden: HIDDEN,
      model: 'toy',
      vocab: VOCAB,
      assignment,
      chunkRows: this.#cluster.options.chunkRows,
      sequences,
    })
  }

  /** A clean stop. */
  stop(): void {
    this.ring.stop(`node ${this.id} was stopped`)
    const gone = writeMessage('state', { state: 'offline', instance: this.#instance })
    if (!this.#cluster.mutation.leavesSilently)
      this.#bus.publish(this.#topic, gone, optionsOf('state'))
    void this.#bus.close()
    this.process.soon(() => this.process.kill('kill'), 100)
  }
}
