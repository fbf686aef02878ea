/**
 * The coordinator's process: plans the ring, serves weights, and owns the requests that
 * come by MQTT. Optionally it is the broker too.
 */

import {
  Coordinator,
  type CoordinatorEffect,
  type CoordinatorEvent,
  type LoadModel,
} from '../control/coordinator.ts'
import type { Plan } from '../control/plan.ts'
import { MdiError } from '../errors.ts'
import { Bridge, type Doings } from '../gateway/bridge.ts'
import { KeptRequests, readKept, staleness } from '../gateway/kept.ts'
import { realClock, realRandom, realWallClock } from '../io/clock.ts'
import type { LoadedConfig } from '../io/config.ts'
import { hubEnvironment } from '../io/hub.ts'
import { MqttBus } from '../io/mqtt.ts'
import { WeightServer } from '../io/serve.ts'
import type { SqliteStore } from '../io/sqlite.ts'
import { ownAddresses } from '../io/system.ts'
import { TcpLinks } from '../io/tcp.ts'
import { limits } from '../limits.ts'
import { catalogue, findEntry } from '../model/catalogue.ts'
import { manifestReference } from '../model/manifest.ts'
import { version } from '../version.ts'
import type { BridgeHealth, Command } from '../wire/control.ts'
import { PROTOCOL } from '../wire/frame.ts'
import {
  buildTopic,
  filterOf,
  matchTopic,
  optionsOf,
  readMessage,
  writeMessage,
} from '../wire/topics.ts'
import type { VerbData, VerbRequest } from '../wire/verbs.ts'
import { Desk } from './desk.ts'
import { Gateway } from './gateway.ts'
import { LiveSettings } from './livesettings.ts'
import { contextFor, type Entry, findModel, openStore, textSide } from './local.ts'
import { changes, log, setLogLevel } from './log.ts'
import { pull } from './pull.ts'

const PLAN = 'plan'
const REQUESTS = 'asked'
const HEALTH_MS = 5_000

export type CoordinatorService = { stop(): Promise<void> }

/**
 * Starts a coordinator. Errors: `store`; a broker that is away is waited for.
 * @param withGateway answers the house in this process, too
 */
export const startCoordinator = async (
  entry: Entry,
  config: LoadedConfig,
  brokerUrl: string,
  withGateway = false,
): Promise<CoordinatorService> => {
  const store = await openStore(entry, config.data)
  try {
    return await new CoordinatorProcess(entry, config, store).start(brokerUrl, withGateway)
  } catch (error) {
    await store.close()
    throw error
  }
}

class CoordinatorProcess {
  readonly #config: LoadedConfig
  readonly #store: SqliteStore
  readonly #id: string
  readonly #links: TcpLinks
  readonly #desk: Desk
  readonly #wallClock = realWallClock()
  readonly #kept: KeptRequests
  /** This process is new, and requests wait for its ring to show itself. */
  #resuming = false
  #stopResuming: () => void = () => {}
  readonly #live: LiveSettings
  readonly #replies = new Map<string, (outcome: unknown) => void>()
  readonly #startedAt = realClock.now()
  #coordinator!: Coordinator
  #bus!: MqttBus
  #bridge!: Bridge
  #gateway: Gateway | undefined
  /** Name of the model that is being fetched. */
  #pulling: string | undefined
  #stopHealth: () => void = () => {}
  #rate = 0
  #healthTold = ''

  constructor(entry: Entry, config: LoadedConfig, store: SqliteStore) {
    this.#config = config
    this.#store = store
    this.#id = `coordinator-${config.node}`.slice(0, 63)
    this.#live = new LiveSettings(config, store)
    const weights = new WeightServer(store)
    this.#links = new TcpLinks({
      node: this.#id,
      cluster: config.cluster,
      version,
      onWeights: (connection) => weights.serve(connection),
      onTrouble: changes(log),
    })
    this.#desk = new Desk({
      links: this.#links,
      clock: realClock,
      openText: async ({ model }) => {
        const manifest = await findModel(store, model)
        return textSide(entry, manifest, this.#coordinator.plan.context)
      },
      notReady: () => {
        const { ring, reason = '' } = this.#coordinator.health
        return ring === 'ready' ? undefined : reason
      },
      holds: () => this.#resuming && this.#coordinator.health.ring === 'waiting',
    })
    const told = changes(log)
    this.#kept = new KeptRequests(async (text) => {
      try {
        await store.setConfig(REQUESTS, text)
      } catch (error) {
        if (!(error instanceof MdiError)) throw error
        told(`Requests are not kept over a restart: ${error.message}`)
      }
    }, this.#wallClock)
    this.#links.onHello((hello) =>
      hello.purpose === 'weights'
        ? undefined
        : { code: 'purpose', reason: 'A coordinator is no stage of a ring.' },
    )
  }

  async start(brokerUrl: string, withGateway: boolean): Promise<CoordinatorService> {
    const { config } = { config: this.#config }
    const port = await this.#links.start(config.ports.data, config.ports.host)
    await this.#live.load()
    this.#coordinator = new Coordinator({
      version,
      protocol: PROTOCOL,
      cluster: config.cluster,
      peer: { id: this.#id, addresses: ownAddresses(config.ports.host), port },
    })
    const stateTopic = buildTopic('bridgeState', {})
    this.#bus = new MqttBus({
      url: brokerUrl,
      clientId: `mdi-${this.#id}-${realRandom.uint32().toString(16)}`,
      will: { topic: stateTopic, payload: writeMessage('bridgeState', { state: 'offline' }) },
      ...(config.broker.user !== undefined && { username: config.broker.user }),
      ...(config.broker.password !== undefined && { password: config.broker.password }),
      onTrouble: changes(log),
    })
    this.#bridge = new Bridge(this.#bus, realClock, realRandom, {
      generate: (request, listener, asked) => {
        this.#desk.submit(request, this.#kept.follow(request, asked, listener))
      },
      running: (id) => this.#desk.core.has(id),
      do: this.#doings(),
    })
    this.#feed({ kind: 'start', kept: await this.#keptPlan() })
    await this.#resume()
    this.#subscribe(stateTopic)
    this.#bridge.start()
    if (withGateway) {
      const { desk, bus } = { desk: this.#desk, bus: this.#bus }
      this.#gateway = new Gateway({ config: () => this.#live.now, desk, bus })
      await this.#gateway.start()
    }
    this.#bus.start()
    this.#health()
    log(`Coordinator of cluster ${config.cluster}: data port ${port}, broker ${brokerUrl}.`)
    return { stop: () => this.#stop(stateTopic) }
  }

  #subscribe(stateTopic: string): void {
    const tell = changes(log)
    this.#bus.subscribe(filterOf('state'), ({ topic, payload }) => {
      const id = matchTopic(topic)?.parameters.node
      if (id === undefined || payload.length === 0) return
      try {
        this.#feed({ kind: 'node', id, state: readMessage('state', topic, payload) })
      } catch (error) {
        if (!(error instanceof MdiError)) throw error
        tell(error.message)
      }
    })
    const told = changes(log)
    this.#bus.onConnection((connection) => {
      told(connection.up ? 'Connected to the broker.' : connection.reason)
      if (!connection.up) return
      this.#bus.publish(
        stateTopic,
        writeMessage('bridgeState', { state: 'online' }),
        optionsOf('bridgeState'),
      )
      this.#feed({ kind: 'bus' })
      this.#tellInfo()
      // A broker that restarts may have forgotten what it retained.
      this.#tellHealth(true)
    })
  }

  async #keptPlan(): Promise<Plan | undefined> {
    const text = await this.#store.getConfig(PLAN)
    return text === undefined ? undefined : (JSON.parse(text) as Plan)
  }

  #feed(event: CoordinatorEvent): void {
    for (const effect of this.#coordinator.handle(event)) this.#do(effect)
    this.#tellHealth()
  }

  #do(effect: CoordinatorEffect): void {
    switch (effect.kind) {
      case 'desire': {
        const topic = buildTopic('desired', { node: effect.node })
        this.#bus.publish(topic, writeMessage('desired', effect.desired), optionsOf('desired'))
        return
      }
      case 'keep':
        void this.#store.setConfig(PLAN, JSON.stringify(effect.plan))
        return
      case 'plan':
        this.#follow(effect.plan)
        return
      case 'loaded':
      case 'unloaded':
        this.#reply(effect.reply, effect.data)
        return
      case 'refused':
        this.#reply(effect.reply, effect.error)
        return
      case 'log':
        log(effect.message)
    }
  }

  #reply(key: string, outcome: unknown): void {
    const reply = this.#replies.get(key)
    this.#replies.delete(key)
    reply?.(outcome)
  }

  /** The plan has changed: speak to its starter, with its model's tokenizer. */
  #follow(plan: Plan): void {
    const starter = plan.stages[0]?.peer
    this.#desk.setRing(
      plan.model && starter
        ? {
            model: plan.model.name,
            starter,
            stages: plan.stages.length,
            key: `${plan.model.manifest} ${plan.context}`,
          }
        : undefined,
    )
    if (this.#bus) this.#tellInfo()
  }

  /**
   * Takes up the requests of the process before this one: the ring has run on with some, the
   * others wait in the queue until the ring shows itself.
   */
  async #resume(): Promise<void> {
    const text = await this.#store.getConfig(REQUESTS)
    this.#resuming = this.#coordinator.plan.model !== null
    this.#stopResuming = realClock.after(limits.resumeMs, () => {
      this.#resuming = false
      this.#desk.core.wake()
    })
    for (const kept of text === undefined ? [] : readKept(text)) {
      const { id, request, asker, stream, runs } = kept
      const listener = this.#bridge.resume(asker, id, stream)
      const why = staleness(kept, this.#wallClock.now())
      if (!request || why !== undefined) listener.error(new MdiError('not-ready', why ?? ''))
      else this.#desk.resume(request, this.#kept.follow(request, kept, listener), runs)
    }
    if (text !== undefined) this.#kept.write()
  }

  #doings(): Doings {
    return {
      cancel: ({ id }) => {
        if (this.#desk.cancel(id)) return { id }
        throw new MdiError('not-found', `No request ${id} is running.`)
      },
      load: (request) => this.#load(request),
      plan: async (request) => this.#coordinator.preview(request, await this.#modelOf(request)),
      unload: () => this.#unload(),
      pull: ({ model }) => this.#pull(model),
      status: () => this.#status(),
      models: () => this.#models(),
      'node/rename': ({ id, name }) => {
        this.#command(id, { action: 'rename', name })
        return { id, name }
      },
      'node/remove': ({ id }) => this.#remove(id),
      'node/identify': ({ id }) => this.#command(id, { action: 'identify' }),
      'node/restart': ({ id }) => this.#command(id, { action: 'restart' }),
      'config/get': () => this.#live.get(),
      'config/set': async ({ config }) => {
        const data = await this.#live.set(config)
        this.#tellInfo()
        return data
      },
      log: ({ level, id }) => {
        if (id === undefined) setLogLevel(level)
        else this.#command(id, { action: 'log', level })
        return { level }
      },
    }
  }

  /**
   * Fetches a model of the catalogue, and of nowhere else: who may ask by MQTT may not have
   * this machine read any file or run any installer.
   */
  async #pull(name: string): Promise<VerbData<'pull'>> {
    const entry = findEntry(name)
    if (!entry) {
      const known = catalogue().map((e) => e.name)
      const message = `There is no model ${name.slice(0, 80)} in the catalogue; there are ${known.join(', ')}.`
      throw new MdiError('not-found', message)
    }
    if (this.#pulling)
      throw new MdiError('busy', `${this.#pulling} is being fetched; ask again later.`)
    this.#pulling = entry.name
    log(`Fetching ${entry.name}.`)
    try {
      const { name: wanted, sources, sketch } = entry
      const { manifest } = await pull(
        this.#store,
        this.#config.data,
        { name: wanted, sources, expectedBytes: sketch.bytes },
        { hub: hubEnvironment(process.env), onTrouble: changes(log) },
      )
      log(`${manifest.name} is here.`)
      return { model: manifest.name, bytes: manifest.records.reduce((sum, r) => sum + r.bytes, 0) }
    } finally {
      this.#pulling = undefined
    }
  }

  /** Tells a node what to do once. @throws MdiError `not-found` where it is not online */
  #command(id: string, command: Command): { id: string } {
    this.#coordinator.online(id)
    const topic = buildTopic('command', { node: id })
    this.#bus.publish(topic, writeMessage('command', command), optionsOf('command'))
    return { id }
  }

  /** Forgets a node, here and at the broker. */
  #remove(id: string): { id: string } {
    this.#coordinator.checkRemovable(id)
    for (const name of ['state', 'desired'] as const)
      this.#bus.publish(buildTopic(name, { node: id }), '', optionsOf(name))
    this.#feed({ kind: 'remove', id })
    return { id }
  }

  async #modelOf(request: VerbRequest<'load'>): Promise<LoadModel> {
    const manifest = await findModel(this.#store, request.model)
    return {
      manifest,
      reference: manifestReference(manifest),
      context: contextFor(manifest, request.context),
    }
  }

  async #load(request: VerbRequest<'load'>): Promise<VerbData<'load'>> {
    const model = await this.#modelOf(request)
    return this.#ask((reply) => this.#feed({ kind: 'load', reply, request, model }))
  }

  #unload(): Promise<VerbData<'unload'>> {
    return this.#ask((reply) => this.#feed({ kind: 'unload', reply }))
  }

  #ask<T>(start: (reply: string) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const key = String(realRandom.uint32())
      this.#replies.set(key, (outcome) => {
        if (outcome instanceof Error) reject(outcome)
        else resolve(outcome as T)
      })
      start(key)
    })
  }

  #status(): VerbData<'status'> {
    const { info, nodes } = this.#coordinator
    return { info, health: this.#healthNow(), nodes }
  }

  async #models(): Promise<VerbData<'models'>> {
    const loaded = this.#coordinator.plan.model?.name
    const models = (await this.#store.listModels()).map((m) => ({
      name: m.name,
      family: m.spec.family,
      parameters: m.parameters,
      layers: m.spec.layers,
      bytes: m.records.reduce((sum, r) => sum + r.bytes, 0),
      loaded: m.name === loaded,
    }))
    return { models }
  }

  #healthNow(): BridgeHealth {
    return {
      ...this.#coordinator.health,
      ...this.#desk.core.load,
      tokensPerSecond: this.#rate,
      uptimeSeconds: Math.round((realClock.now() - this.#startedAt) / 1000),
    }
  }

  /** Told when the ring's state changes, and now and then. */
  #tellHealth(always = false): void {
    const { ring, reason } = this.#coordinator.health
    const state = `${ring} ${reason ?? ''}`
    if (!always && state === this.#healthTold) return
    this.#healthTold = state
    if (ring === 'ready') this.#resuming = false
    this.#desk.core.wake()
    if (!this.#bus) return
    const payload = writeMessage('bridgeHealth', this.#healthNow())
    this.#bus.publish(buildTopic('bridgeHealth', {}), payload, optionsOf('bridgeHealth'))
  }

  #tellInfo(): void {
    const payload = writeMessage('bridgeInfo', {
      ...this.#coordinator.info,
      ...this.#live.get(),
    })
    this.#bus.publish(buildTopic('bridgeInfo', {}), payload, optionsOf('bridgeInfo'))
  }

  #health(): void {
    this.#stopHealth = realClock.after(HEALTH_MS, () => {
      this.#rate = (this.#desk.tokens * 1000) / HEALTH_MS
      this.#desk.tokens = 0
      this.#tellHealth(true)
      this.#health()
    })
  }

  async #stop(stateTopic: string): Promise<void> {
    this.#stopHealth()
    this.#stopResuming()
    await this.#gateway?.stop()
    const offline = writeMessage('bridgeState', { state: 'offline' })
    this.#bus.publish(stateTopic, offline, optionsOf('bridgeState'))
    await this.#bus.close()
    await this.#links.close()
    await this.#desk.close()
    await this.#store.close()
  }
}
