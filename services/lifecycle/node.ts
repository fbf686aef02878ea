/** A node: agent, engine, store and links of one board, joined. Runs until it is stopped. */
import { randomUUID } from 'node:crypto'
import type { LoadedConfig } from '../config.ts'
import { Agent, type AgentEffect, type AgentEvent } from '../control/agent.ts'
import { MdiError } from '../errors.ts'
import { blink } from '../io/board/leds.ts'
import { availableMemory, residentMemory, temperature, threadsFor } from '../io/board/system.ts'
import { realClock, realRandom } from '../io/clock.ts'
import { WeightServer } from '../io/fetch/serve.ts'
import { TcpLinks } from '../io/links/tcp.ts'
import { WorkerEngine } from '../io/ort/client.ts'
import type { SqliteStore } from '../io/store/client.ts'
import { sequencesFor } from '../plan/places.ts'
import type { OnProgress } from '../ports.ts'
import { RingNode } from '../ring/node.ts'
import { version } from '../version.ts'
import type { Assignment, Command } from '../wire/control.ts'
import { Holdings } from './holdings.ts'
import { CHUNK_ROWS, checkFits, openStore, sequenceBytes, type WorkerEntry } from './local.ts'
import { changes, log, setLogLevel } from './log.ts'
import { NodeBus } from './nodebus.ts'
import { runtimeFolder, withRoom } from './runtimefiles.ts'
import { Self } from './self.ts'

const TICK_MS = 1_000
const VITALS_MS = 10_000

/** A running node. */
export type NodeService = {
  port: number
  /** Ends when the node gives up by itself (its id is taken). */
  done: Promise<void>
  stop(): Promise<void>
}

/** Starts a node. Errors: `store`, `bad-value`; a broker that is away is waited for. */
export const startNode = async (
  entry: WorkerEntry,
  config: LoadedConfig,
  brokerUrl: string,
): Promise<NodeService> => {
  const threads = threadsFor(config.engine.threads)
  const store = await openStore(entry, config.data)
  const service = new Node(entry, config, store, threads)
  try {
    return await service.start(brokerUrl)
  } catch (error) {
    await store.close()
    throw error
  }
}

class Node {
  readonly #config: LoadedConfig
  readonly #store: SqliteStore
  readonly #engine: WorkerEngine
  readonly #links: TcpLinks
  readonly #ring: RingNode
  readonly #holdings: Holdings
  readonly #self: Self
  #agent!: Agent
  #bus!: NodeBus
  #loadedBytes = 0
  /** Rows computed since the vitals were told. */
  #rows = 0
  #stopVitals: () => void = () => {}
  #stopTick: () => void = () => {}
  #finish: (error?: Error) => void = () => {}

  constructor(entry: WorkerEntry, config: LoadedConfig, store: SqliteStore, threads: number) {
    this.#config = config
    this.#self = new Self(config, store, randomUUID())
    this.#store = store
    this.#engine = new WorkerEngine(entry, {
      store: config.data,
      folder: runtimeFolder(config.data),
      threads,
    })
    const weights = new WeightServer(store)
    this.#links = new TcpLinks({
      node: config.node,
      cluster: config.cluster,
      version,
      onWeights: (connection) => weights.serve(connection),
      onTrouble: changes(log),
    })
    this.#holdings = new Holdings(store, config.node, (peer, signal) =>
      this.#links.dial(peer, 'weights', signal),
    )
    this.#ring = new RingNode({
      id: config.node,
      engine: {
        run: (job, onResults) => {
          for (const { rows } of [...job.segments, ...(job.next ?? [])]) this.#rows += rows
          return this.#engine.run(job, onResults)
        },
      },
      links: this.#links,
      clock: realClock,
      random: realRandom,
      onRing: (whole, reason) => this.#feed({ kind: 'ring', whole, reason }),
      onLink: (link) => this.#feed({ kind: 'link', link }),
    })
  }

  async start(brokerUrl: string): Promise<NodeService> {
    const { config } = { config: this.#config }
    const port = await this.#self.listen(this.#links)
    const speed = await this.#engine.measure(config.engine.arithmetic)
    const kept = await this.#self.open()
    await this.#holdings.open(kept?.assignment?.model.name)
    this.#agent = new Agent(this.#self.identity(speed, await this.#holdings.held(), 0))
    this.#bus = new NodeBus({
      id: config.node,
      instance: this.#self.instance,
      url: brokerUrl,
      broker: config.broker,
      onEvent: (event) => {
        if (event.kind === 'bus') this.#look()
        this.#feed(event)
      },
      onCommand: (command) => this.#command(command),
    })
    const done = new Promise<void>((resolve, reject) => {
      this.#finish = (error) => (error ? reject(error) : resolve())
    })
    done.catch(() => {})
    this.#feed({ kind: 'start', kept })
    this.#bus.start()
    this.#tick()
    this.#vitals()
    log(`Node ${config.node} of cluster ${config.cluster}: data port ${port}, broker ${brokerUrl}.`)
    return { port, done, stop: () => this.#stop() }
  }

  #command(command: Command): void {
    switch (command.action) {
      case 'identify':
        log(`This is node ${this.#config.node} ("${this.#self.name}").`, 'error')
        blink(realClock)
        return
      case 'restart':
        log('A restart was asked for.')
        this.#finish()
        return
      case 'log':
        setLogLevel(command.level)
        return
      case 'rename':
        void this.#rename(command.name)
    }
  }

  async #rename(name: string): Promise<void> {
    await this.#self.rename(name)
    const {
      state: _,
      epoch: __,
      assignment: ___,
      links: ____,
      ring: _____,
      ...identity
    } = this.#agent.state
    this.#feed({ kind: 'identity', identity: { ...identity, name } })
  }

  /** Tells what changes all the time. */
  #vitals(): void {
    this.#stopVitals = realClock.after(VITALS_MS, () => {
      const degrees = temperature()
      const vitals = {
        memoryBytes: residentMemory(),
        tokensPerSecond: (this.#rows * 1000) / VITALS_MS,
        ...(degrees !== undefined && { temperature: degrees }),
      }
      this.#rows = 0
      this.#bus.tellVitals(vitals)
      this.#look()
      this.#vitals()
    })
  }

  /** Looks where this node can be reached. */
  #look(): void {
    this.#feed({ kind: 'addresses', addresses: this.#self.addresses })
  }

  #tick(): void {
    this.#stopTick = realClock.after(TICK_MS, () => {
      this.#feed({ kind: 'tick' })
      this.#tick()
    })
  }

  #feed(event: AgentEvent): void {
    for (const effect of this.#agent.handle(event, realClock.now())) this.#do(effect)
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
        log(effect.message)
        return
      case 'give-up':
        this.#finish(new MdiError('bad-value', effect.message))
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
    const speed = await this.#engine.measure(assignment.arithmetic)
    const held = await this.#holdings.held()
    this.#feed({ kind: 'identity', identity: this.#self.identity(speed, held, this.#loadedBytes) })
  }

  #withRoom<T>(work: () => Promise<T>): Promise<T> {
    const tell = (freed: number) =>
      log(
        `The disk is full: ${Math.round(freed / 1e6)} MB that were prepared of other models are given up.`,
      )
    return withRoom(this.#config.data, () => this.#holdings.manifest, tell, work)
  }

  async #load(assignment: Assignment, onProgress: OnProgress): Promise<void> {
    const { manifest } = this.#holdings
    if (!manifest) throw new MdiError('not-found', 'The manifest is not here.')
    const { first, end, starter, arithmetic, context } = assignment
    const available = this.#self.memory(this.#loadedBytes)
    checkFits(manifest, first, end, starter, Math.min(context, 256), available)
    const part = { manifest, first, end, ends: starter, arithmetic, context }
    const load = () => this.#withRoom(() => this.#engine.load(part, onProgress))
    const report = await load().catch(async (error) => {
      const lost = error instanceof MdiError && error.row.elsewhere
      if (!lost) throw error
      // A record proved damaged, and is one no longer: another node may have it.
      log(error.message)
      await this.#withRoom(() => this.#holdings.fetch(assignment, onProgress))
      return load()
    })
    this.#loadedBytes = report.weightBytes
  }

  #join(epoch: number, assignment: Assignment): void {
    const { manifest } = this.#holdings
    if (!manifest) throw new Error('joined without a manifest')
    const { spec, name } = manifest
    const { first, end, context, stages } = assignment
    // Half of what is left: the other half is for what cannot be foreseen.
    const free = availableMemory(this.#config.engine.memory) / 2
    const sequences = sequencesFor(stages, sequenceBytes(spec, end - first, context), free)
    this.#ring.start({
      epoch,
      hidden: spec.hidden,
      model: name,
      vocab: spec.vocab,
      assignment,
      chunkRows: CHUNK_ROWS,
      sequences,
    })
  }

  #unload(): void {
    this.#holdings.abort()
    this.#loadedBytes = 0
    void this.#engine.unload()
  }

  async #stop(): Promise<void> {
    this.#stopTick()
    this.#stopVitals()
    this.#holdings.abort()
    this.#ring.stop(`node ${this.#config.node} was stopped`)
    await this.#bus.close()
    await this.#links.close()
    await this.#engine.close()
    await this.#store.close()
    this.#finish()
  }
}
