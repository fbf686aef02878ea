/**
 * The coordinator's process: plans the ring, serves weights, and owns the requests that
 * come by MQTT. Optionally it is the broker too.
 */

import {
  Coordinator,
  type CoordinatorEffect,
  type CoordinatorEvent,
} from '../control/coordinator.ts'
import type { Plan } from '../control/plan.ts'
import { MdiError } from '../errors.ts'
import { type Asker, Bridge } from '../gateway/bridge.ts'
import {
  type AnswerListener,
  type GenerationModel,
  Generations,
  type StreamForm,
  type TextRequest,
} from '../gateway/generation.ts'
import { Owner } from '../gateway/owner.ts'
import { realClock, realRandom } from '../io/clock.ts'
import type { LoadedConfig } from '../io/config.ts'
import { MqttBus } from '../io/mqtt.ts'
import { WeightServer } from '../io/serve.ts'
import type { SqliteStore } from '../io/sqlite.ts'
import { ownAddresses } from '../io/system.ts'
import { TcpLinks } from '../io/tcp.ts'
import { manifestReference } from '../model/manifest.ts'
import { version } from '../version.ts'
import type { BridgeHealth } from '../wire/control.ts'
import { PROTOCOL } from '../wire/frame.ts'
import type { Open } from '../wire/requests.ts'
import {
  buildTopic,
  filterOf,
  matchTopic,
  optionsOf,
  readMessage,
  writeMessage,
} from '../wire/topics.ts'
import type { VerbData, VerbRequest } from '../wire/verbs.ts'
import { contextFor, type Entry, findModel, openStore, textSide } from './local.ts'
import { changes, log } from './log.ts'

const PLAN = 'plan'
const REQUESTS = 'requests'
const HEALTH_MS = 5_000

/** A request as it is kept for a process after this one. */
type KeptRequest = { open: Open; form: StreamForm; asker: Asker; stream: boolean }

export type CoordinatorService = { stop(): Promise<void> }

/** Starts a coordinator. Errors: `store`; a broker that is away is waited for. */
export const startCoordinator = async (
  entry: Entry,
  config: LoadedConfig,
  brokerUrl: string,
): Promise<CoordinatorService> => {
  const store = await openStore(entry, config.data)
  try {
    return await new CoordinatorProcess(entry, config, store).start(brokerUrl)
  } catch (error) {
    await store.close()
    throw error
  }
}

class CoordinatorProcess {
  readonly #entry: Entry
  readonly #config: LoadedConfig
  readonly #store: SqliteStore
  readonly #id: string
  readonly #links: TcpLinks
  readonly #owner: Owner
  readonly #generations: Generations
  readonly #kept = new Map<string, KeptRequest>()
  readonly #replies = new Map<string, (outcome: unknown) => void>()
  readonly #startedAt = realClock.now()
  #coordinator!: Coordinator
  #bus!: MqttBus
  #bridge!: Bridge
  #text: Promise<{ model: GenerationModel; close(): Promise<void> }> | undefined
  #stopHealth: () => void = () => {}
  #tokens = 0
  #rate = 0
  #healthTold = ''

  constructor(entry: Entry, config: LoadedConfig, store: SqliteStore) {
    this.#entry = entry
    this.#config = config
    this.#store = store
    this.#id = `coordinator-${config.node}`.slice(0, 63)
    const weights = new WeightServer(store)
    this.#links = new TcpLinks({
      node: this.#id,
      cluster: config.cluster,
      version,
      onWeights: (connection) => weights.serve(connection),
      onTrouble: changes(log),
    })
    this.#owner = new Owner(this.#links, realClock)
    this.#generations = new Generations(this.#owner, realClock)
    this.#links.onHello((hello) =>
      hello.purpose === 'weights'
        ? undefined
        : { code: 'purpose', reason: 'A coordinator is no stage of a ring.' },
    )
    this.#links.onEvent((event) => this.#owner.handle(event))
  }

  async start(brokerUrl: string): Promise<CoordinatorService> {
    const { config } = { config: this.#config }
    const port = await this.#links.start(config.ports.data, config.ports.host)
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
      generate: (request, model, listener, asked) =>
        void this.#generate(request, model, listener, asked),
      cancel: (id) => this.#cancel(id),
      load: (request) => this.#load(request),
      unload: () => this.#unload(),
      status: () => this.#status(),
      models: () => this.#models(),
      running: (id) => this.#generations.has(id) || this.#kept.has(id),
    })
    this.#feed({ kind: 'start', kept: await this.#keptPlan() })
    await this.#resume()
    this.#subscribe(stateTopic)
    this.#bridge.start()
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
    this.#owner.setStarter(plan.stages[0]?.peer)
    const before = this.#text
    void before?.then((t) => t.close())
    this.#text = plan.model ? this.#openText(plan.model.name, plan.context) : undefined
    // Whoever asks next is told what is wrong.
    this.#text?.catch(() => {})
    if (this.#bus) this.#tellInfo()
  }

  async #openText(
    name: string,
    context: number,
  ): Promise<{ model: GenerationModel; close(): Promise<void> }> {
    const manifest = await findModel(this.#store, name)
    return textSide(this.#entry, manifest, context)
  }

  async #generate(
    request: TextRequest,
    name: string | undefined,
    listener: AnswerListener,
    asked: { asker: Asker; stream: boolean },
  ): Promise<void> {
    try {
      const text = await this.#text
      const loaded = this.#coordinator.plan.model?.name
      if (!text || loaded === undefined)
        throw new MdiError('not-ready', 'No model is loaded; load one with `mdi load MODEL`.')
      if (name !== undefined && name !== loaded)
        throw new MdiError('not-found', `The model ${name} is not loaded; ${loaded} is.`)
      const health = this.#coordinator.health
      if (health.ring !== 'ready')
        throw new MdiError('not-ready', `The ring is not ready. ${health.reason ?? ''}`.trim())
      const open = await this.#generations.submit(
        text.model,
        request,
        this.#counted(request.id, listener),
      )
      if (!open || !this.#generations.has(open.id)) return
      const form = { stops: [...request.stop], continues: 'prompt' in request.input }
      this.#kept.set(open.id, { open, form, ...asked })
      this.#keepRequests()
    } catch (error) {
      if (!(error instanceof MdiError)) throw error
      listener.error(error)
    }
  }

  /** Counts tokens for the health report, and forgets the request when it ends. */
  #counted(id: string, listener: AnswerListener): AnswerListener {
    const forget = () => {
      if (this.#kept.delete(id)) this.#keepRequests()
    }
    return {
      text: (text) => listener.text(text),
      token: (token) => {
        this.#tokens += 1
        listener.token?.(token)
      },
      end: (answer) => {
        listener.end(answer)
        forget()
      },
      error: (error) => {
        listener.error(error)
        forget()
      },
    }
  }

  #keepRequests(): void {
    void this.#store.setConfig(REQUESTS, JSON.stringify([...this.#kept.values()]))
  }

  /** Takes up the requests of the process before this one; the ring has run on with them. */
  async #resume(): Promise<void> {
    const text = await this.#store.getConfig(REQUESTS)
    const kept = text === undefined ? [] : (JSON.parse(text) as KeptRequest[])
    if (kept.length === 0) return
    const side = await this.#text?.catch(() => undefined)
    if (!side) return
    for (const request of kept) {
      const { open, form, asker, stream } = request
      this.#kept.set(open.id, request)
      const listener = this.#counted(open.id, this.#bridge.listener(asker, open.id, stream))
      this.#generations.resume(side.model, open, form, listener, (ring) =>
        this.#owner.attach(open, ring, 0),
      )
    }
  }

  #cancel(id: string): boolean {
    if (!this.#generations.has(id)) return false
    this.#generations.cancel(id)
    return true
  }

  async #load(request: VerbRequest<'load'>): Promise<VerbData<'load'>> {
    const manifest = await findModel(this.#store, request.model)
    const model = {
      manifest,
      reference: manifestReference(manifest),
      context: contextFor(manifest, request.context),
    }
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
      running: this.#generations.running.length,
      queued: 0,
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
    if (!this.#bus) return
    const payload = writeMessage('bridgeHealth', this.#healthNow())
    this.#bus.publish(buildTopic('bridgeHealth', {}), payload, optionsOf('bridgeHealth'))
  }

  #tellInfo(): void {
    const payload = writeMessage('bridgeInfo', this.#coordinator.info)
    this.#bus.publish(buildTopic('bridgeInfo', {}), payload, optionsOf('bridgeInfo'))
  }

  #health(): void {
    this.#stopHealth = realClock.after(HEALTH_MS, () => {
      this.#rate = (this.#tokens * 1000) / HEALTH_MS
      this.#tokens = 0
      this.#tellHealth(true)
      this.#health()
    })
  }

  async #stop(stateTopic: string): Promise<void> {
    this.#stopHealth()
    const offline = writeMessage('bridgeState', { state: 'offline' })
    this.#bus.publish(stateTopic, offline, optionsOf('bridgeState'))
    await this.#bus.close()
    await this.#links.close()
    await this.#text?.then(
      (t) => t.close(),
      () => {},
    )
    await this.#store.close()
  }
}
