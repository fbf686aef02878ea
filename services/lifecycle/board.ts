/**
 * One board: its store, links, clock, randomness and log, and the roles that it plays. Roles
 * start and stop while the board runs.
 */
import type { LoadedConfig, RoleName } from '../config.ts'
import { MdiError } from '../errors.ts'
import { threadsFor } from '../io/board/system.ts'
import { realClock, realRandom, realWallClock } from '../io/clock.ts'
import { hubEnvironment } from '../io/fetch/hub.ts'
import { WeightServer } from '../io/fetch/serve.ts'
import { fetchManifest, fetchRecords } from '../io/fetch/transfer.ts'
import { TcpLinks } from '../io/links/tcp.ts'
import { WorkerEngine } from '../io/ort/client.ts'
import type { SqliteStore } from '../io/store/client.ts'
import { CoordinatorRole } from '../members/coordinator.ts'
import { GatewayRole } from '../members/gateway.ts'
import { LinkReceivers, type LinkView } from '../members/linkreceivers.ts'
import { changesTo } from '../members/log.ts'
import { rememberIn } from '../members/remember.ts'
import { StageRole } from '../members/stage.ts'
import { findEntry } from '../model/catalogue.ts'
import { manifestReference } from '../model/manifest.ts'
import type { Manifest } from '../model/spec.ts'
import type { Log, OpenBus, WallClock, WeightFetch } from '../ports.ts'
import { RequestService } from '../requests/service.ts'
import { mb } from '../units.ts'
import { version } from '../version.ts'
import { withoutLogins } from '../wire/brokerurl.ts'
import { announceBy, clusterBus, homeBus, machine, openDoorway } from './adapters.ts'
import { findModel, openStore, textSide, type WorkerEntry } from './local.ts'
import { pull } from './pull.ts'
import { runtimeFolder, withRoom } from './runtimefiles.ts'

/** Key of the store's configuration: the data port of last time. */
const PORT = 'port'

export type BoardOptions = {
  entry: WorkerEntry
  config: LoadedConfig
  brokerUrl: string
  log: Log
  /** The roles that it will play; they say what it is called and what it opens. */
  roles: readonly RoleName[]
  /** Who listens to a topic, where the broker is of this process; see `MqttOptions`. */
  heard?: ((topic: string) => boolean) | undefined
}

/** A role that runs: how it is stopped. */
type Running = { stop(): Promise<void> }

export class Board {
  readonly #options: BoardOptions
  readonly #id: string
  readonly #openBus: OpenBus
  readonly #wallClock: WallClock = realWallClock()
  readonly #links: TcpLinks
  readonly #receivers: LinkReceivers
  readonly #ownerLinks: LinkView
  readonly #requests: RequestService
  readonly #running = new Map<RoleName, Running>()
  #store: SqliteStore | undefined
  #weightServer: WeightServer | undefined
  #coordinator: CoordinatorRole | undefined
  #port = 0
  #finish: (error?: Error) => void = () => {}
  /** Ends when a restart was asked for, or fails when a role gives up by itself. */
  readonly done: Promise<void>

  private constructor(options: BoardOptions) {
    this.#options = options
    const { config, log, brokerUrl, heard } = options
    const [first = 'stage'] = options.roles
    // A coordinator or gateway of its own stands beside a node of the same name.
    this.#id = (options.roles.includes('stage') ? config.node : `${first}-${config.node}`).slice(
      0,
      63,
    )
    this.#openBus = clusterBus(brokerUrl, config.broker, log, heard)
    this.#links = new TcpLinks({
      node: this.#id,
      cluster: config.cluster,
      version,
      ...(this.#keepsStore && { onWeights: (c) => this.#weightServer?.serve(c) }),
      onTrouble: changesTo(log),
    })
    this.#receivers = new LinkReceivers(this.#links, `${this.#id} (${options.roles.join(', ')})`)
    this.#ownerLinks = this.#receivers.owner()
    this.#requests = new RequestService({ links: this.#ownerLinks, clock: realClock })
    this.done = new Promise<void>((resolve, reject) => {
      this.#finish = (error) => (error ? reject(error) : resolve())
    })
    this.done.catch(() => {})
  }

  /**
   * Opens what the roles share; no role is started yet.
   * @throws MdiError `store`, `bad-value`
   */
  static async open(options: BoardOptions): Promise<Board> {
    const board = new Board(options)
    try {
      await board.#open()
      return board
    } catch (error) {
      await board.close()
      throw error
    }
  }

  async #open(): Promise<void> {
    const { entry, config } = this.#options
    if (!this.#keepsStore) {
      this.#port = await this.#links.start(0, '127.0.0.1')
      return
    }
    this.#store = await openStore(entry, config.data)
    this.#weightServer = new WeightServer(this.#store)
    this.#port = await this.#listen(this.#store)
  }

  /**
   * Opens the data port. Where any will do it is the one of last time, if that is free: so a
   * board that comes back is found where it was, and nobody needs a new plan.
   */
  async #listen(store: SqliteStore): Promise<number> {
    const { data, host } = this.#options.config.ports
    const last = data === 0 ? Number(await store.getConfig(PORT)) : 0
    if (Number.isInteger(last) && last > 0) {
      try {
        return await this.#links.start(last, host)
      } catch (error) {
        if (!(error instanceof MdiError)) throw error
      }
    }
    const port = await this.#links.start(data, host)
    const { log } = this.#options
    await rememberIn(store, (sentence) => log.tell('warning', sentence))(PORT, String(port))
    return port
  }

  /** A gateway alone keeps nothing, and may stand beside a node that has the store. */
  get #keepsStore(): boolean {
    return this.#options.roles.some((role) => role !== 'gateway')
  }

  get port(): number {
    return this.#port
  }

  /** Roles that run. */
  get running(): RoleName[] {
    return [...this.#running.keys()]
  }

  /** Starts a role. @throws MdiError `bad-value`, `store` */
  async start(role: RoleName): Promise<void> {
    if (this.#running.has(role)) return
    const make = { stage: this.#stage, coordinator: this.#coordinate, gateway: this.#gateway }
    this.#running.set(role, await make[role].call(this))
  }

  /** Stops a role; the others go on. */
  async stop(role: RoleName): Promise<void> {
    const running = this.#running.get(role)
    this.#running.delete(role)
    await running?.stop()
  }

  /** Stops every role and closes everything. */
  async close(): Promise<void> {
    for (const role of ['gateway', 'coordinator', 'stage'] as const) await this.stop(role)
    await this.#requests.close()
    this.#ownerLinks.close()
    await this.#links.close()
    await this.#store?.close()
    this.#finish()
  }

  get #storeOpen(): SqliteStore {
    if (!this.#store) throw new Error('a gateway alone has no store')
    return this.#store
  }

  /** What every role is given. */
  get #common() {
    const { config, log } = this.#options
    return {
      ...{ config, log, machine, clock: realClock, random: realRandom },
      ...{ id: this.#id, port: this.#port, openBus: this.#openBus, wallClock: this.#wallClock },
      requests: this.#requests,
    }
  }

  async #stage(): Promise<Running> {
    const { entry, config, log, brokerUrl } = this.#options
    const store = this.#storeOpen
    const engine = new WorkerEngine(entry, {
      store: config.data,
      folder: runtimeFolder(config.data),
      threads: threadsFor(config.engine.threads),
    })
    const links = this.#receivers.stage()
    const stage = new StageRole({
      ...this.#common,
      ...{ store, engine, links },
      weights: this.#weights(store),
      withRoom: (wanted, work) => withRoom(config.data, wanted, tellFreed(log), work),
      onEnd: (error) => this.#finish(error),
    })
    const stop = async () => {
      await stage.stop()
      links.close()
      await engine.close()
    }
    await this.#startOr(() => stage.start(), stop)
    const what = `Node ${config.node} of cluster ${config.cluster}`
    log.tell('info', `${what}: data port ${this.#port}, broker ${withoutLogins(brokerUrl)}.`)
    return { stop }
  }

  async #coordinate(): Promise<Running> {
    const { entry, config, log, brokerUrl } = this.#options
    const store = this.#storeOpen
    const coordinator = new CoordinatorRole({
      ...this.#common,
      store,
      findModel: (name) => findModel(store, name),
      pull: (name) => pullEntry(store, config.data, name, log),
      openText: (manifest, context) => textSide(entry, manifest, context),
      onEnd: (error) => this.#finish(error),
    })
    const stop = async () => {
      if (this.#coordinator === coordinator) this.#coordinator = undefined
      await coordinator.stop()
    }
    await this.#startOr(() => coordinator.start(), stop)
    this.#coordinator = coordinator
    const what = `Coordinator of cluster ${config.cluster}`
    log.tell('info', `${what}: data port ${this.#port}, broker ${withoutLogins(brokerUrl)}.`)
    return { stop }
  }

  async #gateway(): Promise<Running> {
    const { entry, config, log } = this.#options
    const weights = this.#weights(this.#store)
    const gateway = new GatewayRole({
      ...this.#common,
      ...{ openDoorway, announce: announceBy(log) },
      openHomeBus: homeBus(config.house_mqtt, log),
      manifest: weights.manifest,
      openText: (manifest, context) => textSide(entry, manifest, context),
      coordinatorSettings: () =>
        this.#coordinator?.standing ? this.#coordinator.settings : undefined,
    })
    const stop = () => gateway.stop()
    await this.#startOr(() => gateway.start(), stop)
    log.tell('info', `Gateway of cluster ${config.cluster}.`)
    return { stop }
  }

  /** A start that fails undoes itself. */
  async #startOr(start: () => Promise<void>, undo: () => Promise<void>): Promise<void> {
    try {
      await start()
    } catch (error) {
      await undo()
      throw error
    }
  }

  #weights(store: SqliteStore | undefined): WeightFetch {
    const dial = (...[peer, signal]: Parameters<Parameters<typeof fetchManifest>[1]['dial']>) =>
      this.#links.dial(peer, 'weights', signal)
    return {
      manifest: async (model, from) => {
        const own = await store?.getModel(model.name)
        if (own && manifestReference(own).manifest === model.manifest) return own
        return fetchManifest(model, { ...from, dial })
      },
      records: async (wanted, from, onProgress) => {
        if (!store) throw new Error('weights are fetched into a store')
        await fetchRecords(store, wanted, { ...from, dial, onProgress })
      },
    }
  }
}

const tellFreed =
  (log: Log) =>
  (bytes: number): void =>
    log.tell(
      'warning',
      `The disk is full: ${mb(bytes)} that were prepared of other models are given up.`,
    )

const pullEntry = async (
  store: SqliteStore,
  data: string,
  name: string,
  log: Log,
): Promise<Manifest> => {
  const entry = findEntry(name)
  if (!entry) throw new MdiError('not-found', `There is no model ${name} in the catalogue.`)
  const { sources, sketch } = entry
  const wanted = { name: entry.name, sources, expectedBytes: sketch.bytes }
  const options = { hub: hubEnvironment(process.env), onTrouble: changesTo(log) }
  const { manifest } = await pull(store, data, wanted, options)
  return manifest
}
