/**
 * The stage: this board's part of a ring. It does what the agent decides: fetches weights, loads
 * them into the engine, plays its place in the ring, and tells how it stands.
 */
import type { LoadedConfig } from '../config.ts'
import { Agent, type AgentEffect, type AgentEvent } from '../control/agent.ts'
import { MdiError } from '../errors.ts'
import type { Manifest } from '../model/spec.ts'
import { sequencesFor } from '../plan/places.ts'
import { CHUNK_ROWS, checkFits, sequenceBytes } from '../plan/room.ts'
import type {
  Clock,
  Engine,
  Links,
  Log,
  Machine,
  OnProgress,
  OpenBus,
  Random,
  Store,
  WeightFetch,
} from '../ports.ts'
import { RingNode } from '../ring/node.ts'
import type { Assignment, Command } from '../wire/control.ts'
import { Holdings } from './holdings.ts'
import { NodeIdentity } from './identity.ts'
import { newInstance } from './instance.ts'
import { StageBus } from './stagebus.ts'

const TICK_MS = 1_000
const VITALS_MS = 10_000

export type StagePorts = {
  config: LoadedConfig
  store: Store
  engine: Engine
  /** Links of the ring, and of owners that call. */
  links: Links
  /** The data port, which is open. */
  port: number
  openBus: OpenBus
  weights: WeightFetch
  clock: Clock
  random: Random
  log: Log
  machine: Machine
  /** Rows of a prompt in one visit. */
  chunkRows?: number
  /**
   * Does what needs room on the disk for a model. Where there is none, what was prepared of other
   * models is given up, and the work is done once more.
   */
  withRoom<T>(wanted: () => Manifest | undefined, work: () => Promise<T>): Promise<T>
  /** A restart was asked for, or the role gives up by itself. */
  onEnd(error?: MdiError): void
}

export class StageRole {
  readonly #ports: StagePorts
  readonly #ring: RingNode
  readonly #holdings: Holdings
  readonly #self: NodeIdentity
  readonly #bus: StageBus
  #agent: Agent | undefined
  #loadedBytes = 0
  /** Rows computed since the vitals were told. */
  #rows = 0
  #stopVitals: () => void = () => {}
  #stopTick: () => void = () => {}
  #stopped = false

  constructor(ports: StagePorts) {
    this.#ports = ports
    const { config, store, engine, links, clock, random, log, machine, port } = ports
    const instance = newInstance(random)
    this.#self = new NodeIdentity({ config, store, machine, log, instance, port })
    this.#holdings = new Holdings(store, config.node, ports.weights)
    this.#ring = new RingNode({
      id: config.node,
      engine: {
        run: (job, onResults) => {
          for (const { rows } of [...job.segments, ...(job.next ?? [])]) this.#rows += rows
          return engine.run(job, onResults)
        },
      },
      links,
      clock,
      random,
      onRing: (whole, reason) => this.#feed({ kind: 'ring', whole, reason }),
      onLink: (link) => this.#feed({ kind: 'link', link }),
    })
    this.#bus = new StageBus({
      id: config.node,
      instance,
      openBus: ports.openBus,
      log,
      onEvent: (event) => {
        if (event.kind === 'bus') this.#look()
        this.#feed(event)
      },
      onCommand: (command) => this.#command(command),
    })
  }

  /** The part that is played in the ring. */
  get ring(): RingNode {
    return this.#ring
  }

  /** Takes up what was kept, and tells the cluster of itself. Errors: `store`. */
  async start(): Promise<void> {
    const { config, engine } = this.#ports
    const speed = await engine.measure(config.engine.arithmetic)
    const kept = await this.#self.open()
    await this.#holdings.open(kept?.assignment?.model.name)
    const held = await this.#holdings.held()
    if (this.#stopped) return
    this.#agent = new Agent(this.#self.identity(speed, held, 0))
    this.#feed({ kind: 'start', kept })
    this.#bus.start()
    this.#tick()
    this.#vitals()
  }

  #command(command: Command): void {
    const { config, log, machine, onEnd } = this.#ports
    switch (command.action) {
      case 'identify':
        log.tell('error', `This is node ${config.node} ("${this.#self.name}").`)
        machine.identify()
        return
      case 'restart':
        log.tell('info', 'A restart was asked for.')
        onEnd()
        return
      case 'log':
        log.setLevel(command.level)
        return
      case 'rename':
        void this.#rename(command.name)
    }
  }

  async #rename(name: string): Promise<void> {
    await this.#self.rename(name)
    const agent = this.#agent
    if (!agent) return
    const { state: _, epoch: __, assignment: ___, links: ____, ring: _____, ...now } = agent.state
    this.#feed({ kind: 'identity', identity: { ...now, name } })
  }

  /** Tells what changes all the time. */
  #vitals(): void {
    const { clock, machine } = this.#ports
    this.#stopVitals = clock.after(VITALS_MS, () => {
      const degrees = machine.temperature()
      this.#bus.tellVitals({
        memoryBytes: machine.residentMemory(),
        tokensPerSecond: (this.#rows * 1000) / VITALS_MS,
        ...(degrees !== undefined && { temperature: degrees }),
      })
      this.#rows = 0
      this.#look()
      this.#vitals()
    })
  }

  /** Looks where this node can be reached. */
  #look(): void {
    this.#feed({ kind: 'addresses', addresses: this.#self.addresses })
  }

  #tick(): void {
    this.#stopTick = this.#ports.clock.after(TICK_MS, () => {
      this.#feed({ kind: 'tick' })
      this.#tick()
    })
  }

  #feed(event: AgentEvent): void {
    if (this.#stopped || !this.#agent) return
    for (const effect of this.#agent.handle(event, this.#ports.clock.now())) this.#do(effect)
  }

  #do(effect: AgentEffect): void {
    switch (effect.kind) {
      case 'publish':
        this.#bus.tellState(effect.state)
        return
      case 'keep':
        this.#self.keepDesired(effect.desired)
        return
      case 'fetch':
        this.#work(effect.work, 'fetched', (p) => this.#fetch(effect.assignment, p))
        return
      case 'load':
        this.#work(effect.work, 'loaded', (p) => this.#load(effect.assignment, p))
        return
      case 'join':
        this.#join(effect.epoch, effect.assignment)
        return
      case 'leave':
        this.#ring.stop(effect.reason)
        return
      case 'unload':
        this.#unload()
        return
      case 'log':
        this.#ports.log.tell(effect.level, effect.message)
        return
      case 'give-up':
        this.#ports.onEnd(new MdiError('bad-value', effect.message))
    }
  }

  #work(work: number, done: 'fetched' | 'loaded', task: (p: OnProgress) => Promise<void>): void {
    task((progress) => this.#feed({ kind: 'progress', work, progress })).then(
      () => this.#feed({ kind: done, work }),
      (error: unknown) => {
        if (!(error instanceof MdiError)) throw error
        this.#feed({ kind: 'failed', work, error })
      },
    )
  }

  async #fetch(assignment: Assignment, onProgress: OnProgress): Promise<void> {
    await this.#withRoom(() => this.#holdings.fetch(assignment, onProgress))
    const speed = await this.#ports.engine.measure(assignment.arithmetic)
    const held = await this.#holdings.held()
    this.#feed({ kind: 'identity', identity: this.#self.identity(speed, held, this.#loadedBytes) })
  }

  #withRoom<T>(work: () => Promise<T>): Promise<T> {
    return this.#ports.withRoom(() => this.#holdings.manifest, work)
  }

  async #load(assignment: Assignment, onProgress: OnProgress): Promise<void> {
    const { engine, log } = this.#ports
    const { manifest } = this.#holdings
    if (!manifest) throw new MdiError('not-found', 'The manifest is not here.')
    const { first, end, starter, arithmetic, context } = assignment
    const range = { first, end, ends: starter }
    const available = this.#self.memory(this.#loadedBytes)
    checkFits(manifest, range, Math.min(context, 256), available)
    const part = { manifest, ...range, arithmetic, context }
    const load = () => this.#withRoom(() => engine.load(part, onProgress))
    const report = await load().catch(async (error) => {
      const lost = error instanceof MdiError && error.row.elsewhere
      if (!lost) throw error
      // A record proved damaged, and is one no longer: another node may have it.
      log.tell('warning', error.message)
      await this.#withRoom(() => this.#holdings.fetch(assignment, onProgress))
      return load()
    })
    this.#loadedBytes = report.weightBytes
    if (report.mended)
      log.tell(
        'warning',
        `Of the prepared weights ${report.mended} files were damaged on the disk; they were made anew.`,
      )
  }

  #join(epoch: number, assignment: Assignment): void {
    const { manifest } = this.#holdings
    if (!manifest) throw new Error('joined without a manifest')
    const { spec, name } = manifest
    const { first, end, context, stages } = assignment
    // Half of what is left: the other half is for what cannot be foreseen.
    const free = this.#ports.machine.availableMemory(this.#ports.config.engine.memory) / 2
    const sequences = sequencesFor(stages, sequenceBytes(spec, end - first, context), free)
    this.#ring.start({
      epoch,
      hidden: spec.hidden,
      model: name,
      vocab: spec.vocab,
      assignment,
      chunkRows: this.#ports.chunkRows ?? CHUNK_ROWS,
      sequences,
    })
  }

  #unload(): void {
    this.#holdings.abort()
    this.#loadedBytes = 0
    void this.#ports.engine.unload()
  }

  /** Leaves the ring and says so. Engine, store and links stay open. */
  async stop(): Promise<void> {
    this.#stopTick()
    this.#stopVitals()
    this.#holdings.abort()
    this.#ring.stop(`node ${this.#ports.config.node} was stopped`)
    this.#stopped = true
    await this.#bus.close()
  }
}
