/**
 * The coordinator's process: plans the ring, serves weights, and owns the requests that
 * come by MQTT. Optionally it is the broker too.
 */

import { Bridge, type Origin } from '../api/mqtt/bridge.ts'
import type { LoadedConfig } from '../config.ts'
import {
  Coordinator,
  type CoordinatorEffect,
  type CoordinatorEvent,
} from '../control/coordinator.ts'
import { type Plan, readPlan } from '../control/plan.ts'
import { MdiError } from '../errors.ts'
import { ownAddresses } from '../io/board/system.ts'
import { realClock, realRandom, realWallClock } from '../io/clock.ts'
import { WeightServer } from '../io/fetch/serve.ts'
import { TcpLinks } from '../io/links/tcp.ts'
import type { SqliteStore } from '../io/store/client.ts'
import { limits } from '../limits.ts'
import { LiveSettings } from '../members/livesettings.ts'
import { type Remember, rememberIn } from '../members/remember.ts'
import { RequestJournal, readKept, staleness } from '../requests/journal.ts'
import { RequestService } from '../requests/service.ts'
import { version } from '../version.ts'
import type { BridgeHealth } from '../wire/control.ts'
import { PROTOCOL } from '../wire/frame.ts'
import { CoordinatorBus, type CoordinatorBusOptions } from './coordinatorbus.ts'
import { CoordinatorCommands } from './doings.ts'
import { Gateway } from './gateway.ts'
import { findModel, openStore, textSide, type WorkerEntry } from './local.ts'
import { changes, log } from './log.ts'

const PLAN = 'plan'
const REQUESTS = 'asked'
const HEALTH_MS = 5_000

export type CoordinatorService = {
  /** Ends when the coordinator gives up by itself: another is at work. */
  done: Promise<void>
  stop(): Promise<void>
}

type CoordinatorOptions = {
  withGateway?: boolean | undefined
  heard?: CoordinatorBusOptions['heard']
}

/**
 * Starts a coordinator. Errors: `store`; a broker that is away is waited for.
 * @param options `withGateway` answers the house in this process, too; `heard`: see `MqttOptions`
 */
export const startCoordinator = async (
  entry: WorkerEntry,
  config: LoadedConfig,
  brokerUrl: string,
  options: CoordinatorOptions = {},
): Promise<CoordinatorService> => {
  const store = await openStore(entry, config.data)
  try {
    return await new CoordinatorProcess(entry, config, store).start(brokerUrl, options)
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
  readonly #desk: RequestService
  readonly #wallClock = realWallClock()
  readonly #kept: RequestJournal
  /** This process is new, and requests wait for its ring to show itself. */
  #resuming = false
  #stopResuming: () => void = () => {}
  readonly #live: LiveSettings
  readonly #remember: Remember
  readonly #startedAt = realClock.now()
  #coordinator!: Coordinator
  #bus!: CoordinatorBus
  #doings!: CoordinatorCommands
  #bridge!: Bridge
  #gateway: Gateway | undefined
  #stopHealth: () => void = () => {}
  #rate = 0
  #finish: (error?: Error) => void = () => {}

  constructor(entry: WorkerEntry, config: LoadedConfig, store: SqliteStore) {
    this.#config = config
    this.#store = store
    this.#id = `coordinator-${config.node}`.slice(0, 63)
    this.#live = new LiveSettings(config, store)
    this.#remember = rememberIn(store, (sentence) => log(sentence, 'warning'))
    const weights = new WeightServer(store)
    this.#links = new TcpLinks({
      node: this.#id,
      cluster: config.cluster,
      version,
      onWeights: (connection) => weights.serve(connection),
      onTrouble: changes(log),
    })
    this.#desk = new RequestService({
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
    this.#kept = new RequestJournal((text) => this.#remember(REQUESTS, text), this.#wallClock)
    this.#links.onHello((hello) =>
      hello.purpose === 'weights'
        ? undefined
        : { code: 'purpose', reason: 'A coordinator is no stage of a ring.' },
    )
  }

  async start(
    brokerUrl: string,
    { withGateway, heard }: CoordinatorOptions,
  ): Promise<CoordinatorService> {
    const { config } = { config: this.#config }
    const port = await this.#links.start(config.ports.data, config.ports.host)
    await this.#live.load()
    const addresses = ownAddresses(config.ports.host)
    this.#coordinator = new Coordinator({
      version,
      protocol: PROTOCOL,
      cluster: config.cluster,
      peer: { id: this.#id, addresses, port },
    })
    this.#bus = new CoordinatorBus({
      id: this.#id,
      place: `${addresses[0] ?? 'no address'} port ${port}`,
      url: brokerUrl,
      broker: config.broker,
      heard,
      onStand: () => this.#stand(),
      onGiveUp: (error) => this.#finish(error),
      onBack: () => {
        this.#look()
        this.#feed({ kind: 'away' })
      },
      onUp: () => this.#feed({ kind: 'bus' }),
      onNode: (id, state) => this.#feed({ kind: 'node', id, state }),
      info: () => ({ ...this.#coordinator.info, ...this.#live.get() }),
      health: () => this.#healthNow(),
    })
    this.#doings = new CoordinatorCommands({
      coordinator: this.#coordinator,
      feed: (event) => this.#feed(event),
      bus: this.#bus,
      desk: this.#desk,
      live: this.#live,
      store: this.#store,
      data: config.data,
      health: () => this.#healthNow(),
    })
    this.#bridge = new Bridge(this.#bus.mqtt, realClock, realRandom, {
      generate: (request, listener, asked) => {
        this.#desk.submit(request, this.#kept.follow(request, asked, listener))
      },
      running: (id) => this.#desk.core.has(id),
      leave: (id) => this.#desk.core.cancel(id),
      do: this.#doings.all(),
    })
    const done = new Promise<void>((resolve, reject) => {
      this.#finish = (error) => (error ? reject(error) : resolve())
    })
    done.catch(() => {})
    if (withGateway) {
      const { desk, bus } = { desk: this.#desk, bus: this.#bus.mqtt }
      this.#gateway = new Gateway({ config: () => this.#live.now, desk, bus })
    }
    this.#bus.start()
    log(`Coordinator of cluster ${config.cluster}: data port ${port}, broker ${brokerUrl}.`)
    return { done, stop: () => this.#stop() }
  }

  /** Begins with the work, which no other coordinator does. */
  async #stand(): Promise<void> {
    this.#feed({ kind: 'start', kept: await this.#keptPlan() })
    await this.#resume()
    this.#bridge.start()
    await this.#gateway?.start()
    this.#health()
  }

  async #keptPlan(): Promise<Plan | undefined> {
    const text = await this.#store.getConfig(PLAN)
    try {
      return text === undefined ? undefined : readPlan(text)
    } catch (error) {
      if (!(error instanceof MdiError)) throw error
      log(`What was loaded before cannot be read; load it again. ${error.message}`, 'warning')
      return undefined
    }
  }

  /** Looks where this coordinator can be reached: a lease may end, a cable be plugged in. */
  #look(): void {
    this.#feed({ kind: 'addresses', addresses: ownAddresses(this.#config.ports.host) })
  }

  #feed(event: CoordinatorEvent): void {
    for (const effect of this.#coordinator.handle(event)) this.#do(effect)
    this.#bus.tellHealth()
    if (this.#coordinator.health.ring === 'ready') this.#resuming = false
    this.#desk.core.wake()
  }

  #do(effect: CoordinatorEffect): void {
    switch (effect.kind) {
      case 'desire':
        this.#bus.desire(effect.node, effect.desired)
        return
      case 'keep':
        void this.#remember(PLAN, JSON.stringify(effect.plan))
        return
      case 'plan':
        this.#follow(effect.plan)
        return
      case 'loaded':
      case 'unloaded':
        this.#doings.settle(effect.reply, effect.data)
        return
      case 'refused':
        this.#doings.settle(effect.reply, effect.error)
        return
      case 'log':
        log(effect.message)
    }
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
    this.#bus.tellInfo()
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
      const { id, request, origin, runs } = kept
      const listener = this.#bridge.resume(id, origin as Origin)
      const why = staleness(kept, this.#wallClock.now())
      if (!request || why !== undefined) listener.error(new MdiError('not-ready', why ?? ''))
      else this.#desk.resume(request, this.#kept.follow(request, kept, listener), runs)
    }
    if (text !== undefined) this.#kept.write()
  }

  #healthNow(): BridgeHealth {
    return {
      ...this.#coordinator.health,
      ...this.#desk.core.load,
      tokensPerSecond: this.#rate,
      uptimeSeconds: Math.round((realClock.now() - this.#startedAt) / 1000),
    }
  }

  #health(): void {
    this.#stopHealth = realClock.after(HEALTH_MS, () => {
      this.#rate = (this.#desk.tokens * 1000) / HEALTH_MS
      this.#desk.tokens = 0
      this.#bus.tellHealth(true)
      this.#look()
      this.#health()
    })
  }

  async #stop(): Promise<void> {
    this.#stopHealth()
    this.#stopResuming()
    await this.#gateway?.stop()
    await this.#desk.close()
    await this.#bus.close()
    await this.#links.close()
    await this.#kept.written()
    await this.#store.close()
    this.#finish()
  }
}
