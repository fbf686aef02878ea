/**
 * The home's broker, which is not the cluster's: Home Assistant's discovery, the ring's state and
 * the command topics are told there. Its users reach what is told here, and nothing of the
 * cluster's own control topics.
 */

import { changes } from '../../changes.ts'
import type { RequestClient } from '../../client/ask.ts'
import type { ClusterView, ViewChange } from '../../client/view.ts'
import type { LoadedConfig } from '../../config.ts'
import { MdiError } from '../../errors.ts'
import type { Bus, BusConnection, Clock, Log, OpenHomeBus, Random } from '../../ports.ts'
import type { RequestService } from '../../requests/service.ts'
import type { Assistant } from '../../voice/assistant.ts'
import { BASE, buildTopic, writeMessage } from '../../wire/topics.ts'
import { HermesSkill } from '../hermes/skill.ts'
import { Bridge, type VerbHandlers } from '../mqtt/bridge.ts'
import { GatedBus } from '../mqtt/gate.ts'
import { HomeLease, type Role } from '../mqtt/lease.ts'
import { RebasedBus } from '../mqtt/rebased.ts'
import { openStatus } from '../mqtt/redact.ts'
import { Announcer, type OwnLoad } from './announcer.ts'

export type HomeBrokerParts = {
  config: LoadedConfig
  requests: RequestService
  /** The cluster's own. */
  bus: Bus
  openBus: OpenHomeBus
  view: ClusterView
  own(): OwnLoad
  /** Asks the coordinator. */
  client: RequestClient
  assistant: Assistant
  clock: Clock
  random: Random
  log: Log
}

export class HomeBroker {
  readonly #parts: HomeBrokerParts
  readonly #connection: BusConnection
  readonly #home: RebasedBus
  /** The home's broker as long as this gateway answers there. */
  readonly #gated: GatedBus
  readonly #claim: HomeLease
  #announcer: Announcer

  /** @throws MdiError `bad-value` where the settings cannot be used */
  constructor(parts: HomeBrokerParts) {
    this.#parts = parts
    const { config, clock, random, openBus } = parts
    const { base } = config.house_mqtt
    const will = buildTopic('bridgeState', {})
    const instance = `${config.node.slice(0, 40)}-${random.uint32().toString(16)}`
    this.#connection = openBus(`mdi-home-${instance}`, {
      topic: base + will.slice(will.indexOf('/')),
      payload: writeMessage('bridgeState', { state: 'offline', instance }),
    })
    this.#home = new RebasedBus(this.#connection, base)
    this.#gated = new GatedBus(this.#home)
    this.#claim = new HomeLease({
      home: this.#home,
      ring: parts.bus,
      sameNames: base === BASE,
      instance,
      clock,
      onRole: (role) => this.#be(role),
    })
    this.#announcer = this.#announcerOn(this.#home, true)
  }

  start(): void {
    const { requests, config, clock, random, log } = this.#parts
    const { base, discovery } = config.house_mqtt
    this.#claim.start()
    this.#announcer.start()
    new Bridge(this.#gated, clock, random, {
      generate: (request, listener) =>
        requests.submit({ ...request, client: `home ${request.client}` }, listener),
      running: (id) => requests.core.has(id),
      leave: (id) => requests.cancel(id),
      do: this.#handlers(),
      reserved: [base, discovery, 'hermes'],
    }).start()
    this.#hear(this.#gated)
    const told = changes((sentence) => log.tell('info', sentence))
    this.#connection.onConnection((connection) => {
      if (this.#claim.role === 'shared') return
      told(connection.up ? "Connected to the home's broker." : `The home: ${connection.reason}`)
    })
    this.#connection.start()
  }

  /** The ring, or what this gateway does, has changed. */
  changed(change: ViewChange): void {
    this.#announcer.changed(change)
  }

  async stop(): Promise<void> {
    this.#claim.stop()
    this.#announcer.turn(false)
    await this.#home.close()
  }

  #announcerOn(bus: RebasedBus, bridge: boolean): Announcer {
    const { config, view, client, own, clock } = this.#parts
    const { discovery } = config.house_mqtt
    return new Announcer({
      ...{ bus, place: bus.place, discovery, cluster: config.cluster },
      ...{ view, client, own, bridge, clock },
    })
  }

  #hear(bus: Bus): void {
    const { config, assistant, clock } = this.#parts
    if (config.voice.hermes) new HermesSkill(bus, assistant, clock).start()
  }

  #be(role: Role): void {
    const { base } = this.#parts.config.house_mqtt
    this.#gated.open = role === 'answers'
    if (role === 'shared') {
      this.#parts.log.tell(
        'info',
        "The home's broker is the ring's own: its coordinator answers there.",
      )
      this.#share()
      return
    }
    if (role === 'waits')
      this.#parts.log.tell(
        'info',
        `Another gateway answers at the home's broker under ${base}/; this one waits for its end. Give it a house_mqtt.base of its own if both are to answer.`,
      )
    this.#announcer.turn(role === 'answers')
  }

  /** There is one broker, to which the ring's connection leads: devices are told by that. */
  #share(): void {
    // Its last will would say that the coordinator is gone.
    void this.#home.close()
    this.#announcer.turn(false)
    const { bus } = this.#parts
    this.#announcer = this.#announcerOn(new RebasedBus(bus, BASE), false)
    this.#announcer.start()
    this.#hear(bus)
    bus.onConnection(({ up }) => this.#announcer.turn(up))
    this.#announcer.turn(true)
  }

  /** What the home's users may do; the rest is the operator's, at the cluster's broker. */
  #handlers(): VerbHandlers {
    const { requests, client } = this.#parts
    return {
      cancel: ({ id }) => {
        if (requests.cancel(id)) return { id }
        throw new MdiError('not-found', `No request ${id} is running.`)
      },
      load: ({ transaction: _, ...request }) => client.ask('load', request),
      plan: ({ transaction: _, ...request }) => client.ask('plan', request),
      unload: () => client.ask('unload', {}),
      status: async () => openStatus(await client.ask('status', {})),
      models: () => client.ask('models', {}),
      'node/identify': ({ id }) => client.ask('node/identify', { id }),
      'node/restart': ({ id }) => client.ask('node/restart', { id }),
    }
  }
}
