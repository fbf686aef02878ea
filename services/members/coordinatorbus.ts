/** The coordinator's end of the cluster's bus: what it publishes there, and what it hears of nodes. */
import { Presence, type PresenceEvent } from '../control/presence.ts'
import { MdiError } from '../errors.ts'
import type { BusConnection, Clock, Log, OpenBus } from '../ports.ts'

import type {
  BridgeHealth,
  BridgeInfo,
  BridgeState,
  Command,
  Desired,
  NodeState,
} from '../wire/control.ts'
import {
  buildTopic,
  filterOf,
  matchTopic,
  optionsOf,
  type Payload,
  type PlainTopic,
  readMessage,
  writeMessage,
} from '../wire/topics.ts'
import { changesTo } from './log.ts'
import { OwnTopics } from './ownedtopics.ts'

export type CoordinatorBusOptions = {
  id: string
  /** Where it is, for a sentence. */
  place: string
  /** Made anew at each start. */
  instance: string
  openBus: OpenBus
  clock: Clock
  log: Log
  /** No other coordinator is at work: the work is to be taken up. Called once. */
  onStand(): Promise<void>
  /** Another coordinator is there, or the work cannot be taken up. */
  onGiveUp(error: MdiError): void
  /** The broker is there (again); what it retains is heard after this. */
  onBack(): void
  /** What is retained is to be told again. */
  onUp(): void
  /** @param remembered the broker says so, not the node itself */
  onNode(id: string, state: NodeState, remembered: boolean): void
  /** A node has told its vitals: it lives. */
  onAlive(id: string): void
  info(): BridgeInfo
  health(): BridgeHealth
}

const STATE = buildTopic('bridgeState', {})
const INFO = buildTopic('bridgeInfo', {})
const HEALTH = buildTopic('bridgeHealth', {})
const TICK_MS = 250

export class CoordinatorBus {
  readonly bus: BusConnection
  readonly #options: CoordinatorBusOptions
  readonly #presence: Presence
  readonly #own: OwnTopics
  #healthTold = ''
  /** The work has been taken up. */
  #working = false
  #stopTick: () => void = () => {}

  constructor(options: CoordinatorBusOptions) {
    this.#options = options
    this.#own = new OwnTopics((topic, payload) =>
      this.bus.publish(topic, payload, optionsOf('bridgeInfo')),
    )
    const { id, instance } = options
    this.#presence = new Presence(instance)
    this.bus = options.openBus(`mdi-${id}-${instance.slice(0, 8)}`, {
      topic: STATE,
      payload: writeMessage('bridgeState', this.#state('offline')),
    })
  }

  /** Dials, and finds out whether another coordinator is there. */
  start(): void {
    this.bus.subscribe(STATE, ({ payload, retained }) => {
      this.#feed({ kind: 'state', state: readState(payload), retained })
    })
    for (const topic of [INFO, HEALTH])
      this.bus.subscribe(topic, ({ payload, retained }) => {
        if (!retained) this.#own.heard(topic, Buffer.from(payload).toString())
      })
    const told = changesTo(this.#options.log)
    this.bus.onConnection((connection) => {
      told(connection.up ? 'Connected to the broker.' : connection.reason)
      if (!connection.up) return
      this.#options.onBack()
      this.#feed({ kind: 'bus' })
    })
    this.bus.start()
    this.#tick()
  }

  #tick(): void {
    this.#stopTick = this.#options.clock.after(TICK_MS, () => {
      this.#feed({ kind: 'tick' })
      this.#tick()
    })
  }

  #feed(event: PresenceEvent): void {
    for (const effect of this.#presence.handle(event, this.#options.clock.now())) {
      if (effect.kind === 'tell') this.#tell(effect.asks, effect.to)
      else if (effect.kind === 'stand') void this.#stand()
      else this.#options.onGiveUp(new MdiError('bad-value', effect.message))
    }
  }

  #state(state: BridgeState['state']): BridgeState {
    const { id, instance, place } = this.#options
    return { state, instance, id, place }
  }

  #tell(asks: boolean, to?: string): void {
    const whom = to === undefined ? {} : { to }
    this.#publish('bridgeState', STATE, {
      ...this.#state('online'),
      ...(asks && { asks }),
      ...whom,
    })
  }

  async #stand(): Promise<void> {
    if (!this.#working) {
      try {
        await this.#options.onStand()
      } catch (error) {
        if (!(error instanceof MdiError)) throw error
        this.#options.onGiveUp(error)
        return
      }
      this.#working = true
      this.#listen()
    }
    this.#up()
    // At last: whoever has asked something meanwhile asks again.
    this.#tell(false)
  }

  #up(): void {
    this.#options.onUp()
    this.tellInfo()
    // A broker that restarts may have forgotten what it retained.
    this.tellHealth(true)
  }

  /** Hears nodes from now on. */
  #listen(): void {
    const tell = changesTo(this.#options.log)
    this.bus.subscribe(filterOf('vitals'), ({ topic, retained }) => {
      const id = matchTopic(topic)?.parameters.node
      if (id !== undefined && !retained) this.#options.onAlive(id)
    })
    this.bus.subscribe(filterOf('state'), ({ topic, payload, retained }) => {
      const id = matchTopic(topic)?.parameters.node
      if (id === undefined || payload.length === 0) return
      try {
        this.#options.onNode(id, readMessage('state', topic, payload), retained)
      } catch (error) {
        if (!(error instanceof MdiError)) throw error
        tell(error.message)
      }
    })
  }

  #publish<T extends PlainTopic>(name: T, topic: string, value: Payload<T>): void {
    this.bus.publish(topic, writeMessage(name, value), optionsOf(name))
  }

  /** Says of a node that is gone without a word that it is offline. One that lives says so. */
  tellOffline(node: string, instance: string): void {
    this.#publish('state', buildTopic('state', { node }), { state: 'offline', instance })
  }

  desire(node: string, desired: Desired): void {
    this.#publish('desired', buildTopic('desired', { node }), desired)
  }

  command(node: string, command: Command): void {
    this.#publish('command', buildTopic('command', { node }), command)
  }

  /** Has the broker forget a node. */
  forget(node: string): void {
    for (const name of ['state', 'desired'] as const)
      this.bus.publish(buildTopic(name, { node }), '', optionsOf(name))
  }

  tellInfo(): void {
    if (this.#working) this.#own.say(INFO, writeMessage('bridgeInfo', this.#options.info()))
  }

  /** Told when the ring's state changes, and now and then. */
  tellHealth(always = false): void {
    if (!this.#working) return
    const health = this.#options.health()
    const state = `${health.ring} ${health.reason ?? ''}`
    if (!always && state === this.#healthTold) return
    this.#healthTold = state
    this.#own.say(HEALTH, writeMessage('bridgeHealth', health))
  }

  async close(): Promise<void> {
    this.#stopTick()
    // Where another is at work, the topic is its own.
    if (this.#presence.standing) this.#publish('bridgeState', STATE, this.#state('offline'))
    await this.bus.close()
  }
}

const readState = (payload: Uint8Array): BridgeState | undefined => {
  try {
    return readMessage('bridgeState', STATE, payload)
  } catch (error) {
    if (!(error instanceof MdiError)) throw error
    return undefined
  }
}
