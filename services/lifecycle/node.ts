/** A node: agent, engine, store and links of one board, joined. Runs until it is stopped. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { Agent, type AgentEffect, type AgentEvent, type Identity } from '../control/agent.ts'
import { MdiError } from '../errors.ts'
import { realClock, realRandom } from '../io/clock.ts'
import type { LoadedConfig } from '../io/config.ts'
import { blink } from '../io/leds.ts'
import { MqttBus } from '../io/mqtt.ts'
import { WorkerEngine } from '../io/ort/client.ts'
import { WeightServer } from '../io/serve.ts'
import type { SqliteStore } from '../io/sqlite.ts'
import {
  availableMemory,
  hostKey,
  ownAddresses,
  processor,
  residentMemory,
  temperature,
  threadsFor,
} from '../io/system.ts'
import { TcpLinks } from '../io/tcp.ts'
import type { OnProgress } from '../ports.ts'
import { RingNode, sequencesFor } from '../ring/node.ts'
import { version } from '../version.ts'
import { type Assignment, type Command, type Desired, desiredSchema } from '../wire/control.ts'
import { PROTOCOL } from '../wire/frame.ts'
import { buildTopic, optionsOf, readMessage, writeMessage } from '../wire/topics.ts'
import { Holdings } from './holdings.ts'
import { CHUNK_ROWS, checkFits, type Entry, openStore, sequenceBytes } from './local.ts'
import { changes, log, setLogLevel } from './log.ts'

const KEPT = 'desired'
const PORT = 'port'
const NAME = 'name'
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
  entry: Entry,
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
  readonly #instance = randomUUID()
  #agent!: Agent
  #bus!: MqttBus
  #loadedBytes = 0
  #gaveUp = false
  /** What people call it; kept over restarts. */
  #name: string
  /** Rows computed since the vitals were told. */
  #rows = 0
  #stopVitals: () => void = () => {}
  #stopTick: () => void = () => {}
  #finish: (error?: Error) => void = () => {}

  constructor(entry: Entry, config: LoadedConfig, store: SqliteStore, threads: number) {
    this.#config = config
    this.#name = config.node
    this.#store = store
    this.#engine = new WorkerEngine(entry, {
      store: config.data,
      folder: join(config.data, 'runtime'),
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
        run: (job) => {
          this.#rows += job.segments.reduce((sum, segment) => sum + segment.rows, 0)
          return this.#engine.run(job)
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
    const port = await this.#listen()
    const speed = await this.#engine.measure(config.engine.arithmetic)
    const kept = await this.#kept()
    await this.#holdings.open(kept?.assignment?.model.name)
    this.#name = (await this.#store.getConfig(NAME)) ?? this.#name
    const identity = await this.#identity(port, speed)
    this.#agent = new Agent(identity)
    const stateTopic = buildTopic('state', { node: config.node })
    this.#bus = new MqttBus({
      url: brokerUrl,
      clientId: `mdi-${config.node}-${this.#instance.slice(0, 8)}`,
      will: { topic: stateTopic, payload: writeMessage('state', { state: 'offline' }) },
      ...(config.broker.user !== undefined && { username: config.broker.user }),
      ...(config.broker.password !== undefined && { password: config.broker.password }),
      onTrouble: changes(log),
    })
    const done = new Promise<void>((resolve, reject) => {
      this.#finish = (error) => (error ? reject(error) : resolve())
    })
    done.catch(() => {})
    this.#feed({ kind: 'start', kept })
    this.#subscribe(stateTopic)
    this.#bus.start()
    this.#tick()
    this.#vitals()
    log(`Node ${config.node} of cluster ${config.cluster}: data port ${port}, broker ${brokerUrl}.`)
    return { port, done, stop: () => this.#stop(stateTopic) }
  }

  /**
   * Opens the data port. Where any will do it is the one of last time, if that is free: so a
   * node that comes back is found where it was, and nobody needs a new plan.
   */
  async #listen(): Promise<number> {
    const { data, host } = this.#config.ports
    const last = data === 0 ? Number(await this.#store.getConfig(PORT)) : 0
    if (Number.isInteger(last) && last > 0) {
      try {
        return await this.#links.start(last, host)
      } catch (error) {
        if (!(error instanceof MdiError)) throw error
      }
    }
    const port = await this.#links.start(data, host)
    await this.#store.setConfig(PORT, String(port))
    return port
  }

  async #identity(port: number, speed: Record<string, number>): Promise<Identity> {
    const { node, cluster, engine } = this.#config
    const { name, cores } = processor()
    return {
      id: node,
      name: this.#name,
      cluster,
      version,
      protocol: PROTOCOL,
      instance: this.#instance,
      addresses: ownAddresses(this.#config.ports.host),
      port,
      profile: {
        memoryBytes: availableMemory(engine.memory) + this.#loadedBytes,
        cpu: name,
        cores,
        speed,
        host: hostKey(),
      },
      held: await this.#holdings.held(),
    }
  }

  async #kept(): Promise<Desired | undefined> {
    const text = await this.#store.getConfig(KEPT)
    if (text === undefined) return undefined
    const parsed = desiredSchema.safeParse(JSON.parse(text))
    return parsed.success ? parsed.data : undefined
  }

  #subscribe(stateTopic: string): void {
    const tell = changes(log)
    const guarded = (work: () => void, otherwise: () => void = () => {}) => {
      try {
        work()
      } catch (error) {
        if (!(error instanceof MdiError)) throw error
        tell(error.message)
        otherwise()
      }
    }
    this.#bus.subscribe(buildTopic('desired', { node: this.#config.node }), ({ topic, payload }) =>
      guarded(() => {
        if (payload.length === 0) return
        this.#feed({ kind: 'desired', desired: readMessage('desired', topic, payload) })
      }),
    )
    this.#bus.subscribe(stateTopic, ({ topic, payload, retained }) =>
      guarded(
        () => {
          if (payload.length === 0) return
          const state = readMessage('state', topic, payload)
          if (state.state === 'offline') {
            // The will of a former life of ours came late: we are here.
            if (!retained) this.#feed({ kind: 'bus' })
            return
          }
          const address = `${state.addresses[0] ?? 'unknown'} port ${state.port}`
          const { instance } = state
          this.#feed({ kind: 'twin', instance, address, retained })
        },
        // Somebody's garbage, which a broker may retain in place of our state.
        () => this.#feed({ kind: 'bus' }),
      ),
    )
    this.#bus.subscribe(buildTopic('command', { node: this.#config.node }), (message) =>
      guarded(() => {
        // One that is retained would be carried out again at every start.
        if (message.retained) return
        this.#command(readMessage('command', message.topic, message.payload))
      }),
    )
    const told = changes(log)
    this.#bus.onConnection((connection) => {
      told(connection.up ? 'Connected to the broker.' : connection.reason)
      if (connection.up) this.#feed({ kind: 'bus' })
    })
  }

  #command(command: Command): void {
    switch (command.action) {
      case 'identify':
        log(`This is node ${this.#config.node} ("${this.#name}").`, 'error')
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
    await this.#store.setConfig(NAME, name)
    this.#name = name
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
      const topic = buildTopic('vitals', { node: this.#config.node })
      this.#bus.publish(topic, writeMessage('vitals', vitals), optionsOf('vitals'))
      this.#vitals()
    })
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
        this.#publish(effect.state)
        return
      case 'keep':
        void this.#store.setConfig(KEPT, JSON.stringify(effect.desired))
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
        // The state is the other node's to tell, our going too.
        this.#gaveUp = true
        this.#finish(new MdiError('bad-value', effect.message))
    }
  }

  #publish(state: Parameters<typeof writeMessage<'state'>>[1]): void {
    const topic = buildTopic('state', { node: this.#config.node })
    this.#bus.publish(topic, writeMessage('state', state), optionsOf('state'))
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
    await this.#holdings.fetch(assignment, onProgress)
    const speed = await this.#engine.measure(assignment.arithmetic)
    const identity = await this.#identity(this.#agent.state.port, speed)
    this.#feed({ kind: 'identity', identity })
  }

  async #load(assignment: Assignment, onProgress: OnProgress): Promise<void> {
    const { manifest } = this.#holdings
    if (!manifest) throw new MdiError('not-found', 'The manifest is not here.')
    const { first, end, starter, arithmetic, context } = assignment
    const available = availableMemory(this.#config.engine.memory) + this.#loadedBytes
    checkFits(manifest, first, end, starter, Math.min(context, 256), available)
    const report = await this.#engine.load(
      { manifest, first, end, ends: starter, arithmetic, context },
      onProgress,
    )
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

  async #stop(stateTopic: string): Promise<void> {
    this.#stopTick()
    this.#stopVitals()
    this.#holdings.abort()
    this.#ring.stop(`node ${this.#config.node} was stopped`)
    const offline = writeMessage('state', { state: 'offline' })
    if (!this.#gaveUp) this.#bus.publish(stateTopic, offline, optionsOf('state'))
    await this.#bus.close()
    await this.#links.close()
    await this.#engine.close()
    await this.#store.close()
    this.#finish()
  }
}
