/**
 * The coordinator's role on a board: plans the ring, keeps the plan and the requests that come
 * by the cluster's bus, and tells how the ring stands. It computes nothing: the ring runs on
 * without it.
 */
import { Bridge, type Origin } from '../api/mqtt/bridge.ts'
import type { LoadedConfig } from '../config.ts'
import {
  Coordinator,
  type CoordinatorEffect,
  type CoordinatorEvent,
} from '../control/coordinator.ts'
import { type Plan, readPlan } from '../control/plan.ts'
import { Proofs } from '../control/proof.ts'
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Manifest } from '../model/spec.ts'
import type { Clock, Log, Machine, OpenBus, Random, Store, WallClock } from '../ports.ts'
import { RequestJournal, readKept, staleness } from '../requests/journal.ts'
import type { LoadedRing, RequestService, RingGuide, TextSide } from '../requests/service.ts'
import { version } from '../version.ts'
import type { BridgeHealth, NodeState } from '../wire/control.ts'
import { PROTOCOL } from '../wire/frame.ts'
import { CoordinatorCommands } from './commands.ts'
import { CoordinatorBus } from './coordinatorbus.ts'
import { newInstance } from './instance.ts'
import { LiveSettings } from './livesettings.ts'
import { type Remember, rememberIn } from './remember.ts'

/** Keys of the store's configuration. */
const PLAN = 'plan'
const REQUESTS = 'asked'

const HEALTH_MS = 5_000
/** A coordinator knows the ring better than one who reads what it tells. */
const RANK = 1

export type CoordinatorPorts = {
  config: LoadedConfig
  /** Its name among the cluster's. */
  id: string
  store: Store
  /** The data port, which is open. */
  port: number
  openBus: OpenBus
  clock: Clock
  wallClock: WallClock
  random: Random
  log: Log
  machine: Machine
  /** The board's own requests, which other interfaces may share. */
  requests: RequestService
  /** A model of the store. @throws MdiError `not-found` */
  findModel(name: string | undefined): Promise<Manifest>
  /** Fetches a model of the catalogue into the store. */
  pull(name: string): Promise<Manifest>
  /** What a model needs beside its weights to speak. */
  openText(manifest: Manifest, context: number): TextSide
  /** Another coordinator is at work, or the work cannot be taken up. */
  onEnd(error: MdiError): void
}

export class CoordinatorRole {
  readonly #ports: CoordinatorPorts
  readonly #journal: RequestJournal
  readonly #live: LiveSettings
  readonly #remember: Remember
  readonly #startedAt: number
  readonly #coordinator: Coordinator
  readonly #bus: CoordinatorBus
  readonly #commands: CoordinatorCommands
  readonly #bridge: Bridge
  readonly #proofs = new Proofs()
  /** This role is new, and requests wait for its ring to show itself. */
  #resuming = false
  #stopResuming: () => void = () => {}
  #stopHealth: () => void = () => {}
  #stopGuiding: () => void = () => {}
  #standing = false
  #stopped = false

  constructor(ports: CoordinatorPorts) {
    this.#ports = ports
    const { config, id, store, port, clock, random, log, machine, requests } = ports
    this.#startedAt = clock.now()
    this.#live = new LiveSettings(config, store)
    this.#remember = rememberIn(store, (sentence) => log.tell('warning', sentence))
    this.#journal = new RequestJournal((text) => this.#remember(REQUESTS, text), ports.wallClock)
    const addresses = machine.addresses(config.ports.host)
    this.#coordinator = new Coordinator({
      version,
      protocol: PROTOCOL,
      cluster: config.cluster,
      peer: { id, addresses, port },
    })
    this.#bus = new CoordinatorBus({
      id,
      instance: newInstance(random),
      place: `${addresses[0] ?? 'no address'} port ${port}`,
      openBus: ports.openBus,
      clock,
      log,
      onStand: () => this.#stand(),
      onGiveUp: (error) => ports.onEnd(error),
      onBack: () => {
        this.#look()
        this.#doubt()
        this.#feed({ kind: 'away' })
      },
      onUp: () => this.#feed({ kind: 'bus' }),
      onNode: (node, state, remembered) => this.#hear(node, state, remembered),
      onAlive: (node) => this.#proofs.settled(node),
      info: () => ({ ...this.#coordinator.info, ...this.#live.get() }),
      health: () => this.#healthNow(),
    })
    this.#commands = new CoordinatorCommands({
      coordinator: this.#coordinator,
      feed: (event) => this.#feed(event),
      bus: this.#bus,
      live: this.#live,
      health: () => this.#healthNow(),
      ...{ store, requests, random, log },
      findModel: ports.findModel,
      pull: ports.pull,
    })
    this.#bridge = new Bridge(this.#bus.bus, clock, random, {
      generate: (request, listener, asked) =>
        requests.submit(request, this.#journal.follow(request, asked, listener)),
      running: (request) => requests.core.has(request),
      leave: (request) => requests.cancel(request),
      do: this.#commands.all(),
    })
  }

  /** It has taken up the work. */
  get standing(): boolean {
    return this.#standing
  }

  /** The settings, with what was changed while the service ran. */
  get settings(): LoadedConfig {
    return this.#live.now
  }

  get coordinator(): Coordinator {
    return this.#coordinator
  }

  get commands(): CoordinatorCommands {
    return this.#commands
  }

  /** Looks whether another coordinator is there, and takes up the work when none is. */
  async start(): Promise<void> {
    await this.#live.load()
    if (!this.#stopped) this.#bus.start()
  }

  /** Begins with the work, which no other coordinator does. */
  async #stand(): Promise<void> {
    const { requests, store } = this.#ports
    const plan = await this.#keptPlan()
    const asked = await store.getConfig(REQUESTS)
    if (this.#stopped) return
    this.#standing = true
    this.#stopGuiding = requests.follow(this.#guide(), RANK)
    this.#feed({ kind: 'start', kept: plan })
    this.#resume(asked)
    this.#bridge.start()
    this.#health()
  }

  async #keptPlan(): Promise<Plan | undefined> {
    const { store, log } = this.#ports
    const text = await store.getConfig(PLAN)
    try {
      return text === undefined ? undefined : readPlan(text)
    } catch (error) {
      if (!(error instanceof MdiError)) throw error
      const lost = 'What was loaded before cannot be read; load it again.'
      log.tell('warning', `${lost} ${error.message}`)
      return undefined
    }
  }

  /** What the board's requests are told of the ring. */
  #guide(): RingGuide {
    const { findModel, openText } = this.#ports
    const ringNow = () => this.#ringNow
    return {
      get ring() {
        return ringNow()
      },
      openText: async ({ model }) =>
        openText(await findModel(model), this.#coordinator.plan.context),
      notReady: () => {
        const { ring, reason = '' } = this.#coordinator.health
        return ring === 'ready' ? undefined : reason
      },
      holds: () => this.#resuming && this.#coordinator.health.ring === 'waiting',
    }
  }

  get #ringNow(): LoadedRing | undefined {
    const { model, context, stages } = this.#coordinator.plan
    const starter = stages[0]?.peer
    if (!model || !starter) return undefined
    const key = `${model.manifest} ${context}`
    return { model: model.name, starter, stages: stages.length, key }
  }

  /** Looks where this coordinator can be reached: a lease may end, a cable be plugged in. */
  #look(): void {
    const { machine, config } = this.#ports
    this.#feed({ kind: 'addresses', addresses: machine.addresses(config.ports.host) })
  }

  #hear(id: string, state: NodeState, remembered: boolean): void {
    if (state.state === 'online' && remembered) this.#proofs.remembered(id, this.#ports.clock.now())
    else this.#proofs.settled(id)
    this.#feed({ kind: 'node', id, state })
  }

  /** The broker was away: whoever was online then must say so again. */
  #doubt(): void {
    for (const { id, state } of this.#coordinator.nodes)
      if (state === 'online') this.#proofs.remembered(id, this.#ports.clock.now())
  }

  /** Who was silent for too long is offline, whatever the broker remembers. */
  #forgetSilent(): void {
    const { clock, log } = this.#ports
    for (const id of this.#proofs.expired(clock.now())) {
      const node = this.#coordinator.nodes.find((n) => n.id === id)
      if (node?.state !== 'online') continue
      log.tell('warning', `Node ${id} has said nothing since the broker was away: it is offline.`)
      this.#bus.tellOffline(id, node.instance)
      this.#feed({ kind: 'node', id, state: { state: 'offline', instance: node.instance } })
    }
  }

  #feed(event: CoordinatorEvent): void {
    if (this.#stopped) return
    for (const effect of this.#coordinator.handle(event)) this.#do(effect)
    this.#bus.tellHealth()
    if (this.#coordinator.health.ring === 'ready') this.#resuming = false
    this.#ports.requests.core.wake()
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
        // Speak to its starter, with its model's tokenizer.
        this.#ports.requests.refresh()
        this.#bus.tellInfo()
        return
      case 'loaded':
      case 'unloaded':
        this.#commands.settle(effect.reply, effect.data)
        return
      case 'refused':
        this.#commands.settle(effect.reply, effect.error)
        return
      case 'log':
        this.#ports.log.tell(effect.level, effect.message)
    }
  }

  /**
   * Takes up the requests of the process before this one: the ring has run on with some, the
   * others wait in the queue until the ring shows itself.
   */
  #resume(text: string | undefined): void {
    const { clock, requests, wallClock, log } = this.#ports
    this.#resuming = this.#coordinator.plan.model !== null
    this.#stopResuming = clock.after(limits.resumeMs, () => {
      this.#resuming = false
      requests.core.wake()
    })
    if (text === undefined) return
    try {
      for (const kept of readKept(text)) {
        const { id, request, origin, runs } = kept
        const listener = this.#bridge.resume(id, origin as Origin)
        const why = staleness(kept, wallClock.now())
        if (!request || why !== undefined) listener.error(new MdiError('not-ready', why ?? ''))
        else requests.resume(request, this.#journal.follow(request, kept, listener), runs)
      }
    } catch (error) {
      if (!(error instanceof MdiError)) throw error
      log.tell('warning', error.message)
    }
    this.#journal.write()
  }

  #healthNow(): BridgeHealth {
    const { requests, clock } = this.#ports
    return {
      ...this.#coordinator.health,
      ...requests.load,
      tokensPerSecond: requests.tokensPerSecond,
      uptimeSeconds: Math.round((clock.now() - this.#startedAt) / 1000),
    }
  }

  #health(): void {
    this.#stopHealth = this.#ports.clock.after(HEALTH_MS, () => {
      this.#bus.tellHealth(true)
      this.#look()
      this.#forgetSilent()
      this.#feed({ kind: 'tick', now: this.#ports.clock.now() })
      this.#health()
    })
  }

  /**
   * Gives the work back. Its requests are not ended: the ring runs on with them, and whoever
   * coordinates next takes them up.
   */
  async stop(): Promise<void> {
    const { requests } = this.#ports
    this.#stopped = true
    this.#stopHealth()
    this.#stopResuming()
    requests.release(this.#journal.ids)
    this.#stopGuiding()
    this.#standing = false
    await this.#bus.close()
    await this.#journal.written()
  }
}
