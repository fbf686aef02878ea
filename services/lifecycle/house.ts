/**
 * The house's broker, which is not the ring's: Home Assistant's discovery, the ring's state
 * and the command topics are told there. Its users reach what is told here, and nothing of the
 * ring's own control topics.
 */
import { readFileSync } from 'node:fs'
import { HermesSkill } from '../api/hermes/skill.ts'
import { Announcer, type OwnLoad } from '../api/homeassistant/announcer.ts'
import { Bridge, type VerbHandlers } from '../api/mqtt/bridge.ts'
import { GatedBus } from '../api/mqtt/gate.ts'
import { HomeLease, type Role } from '../api/mqtt/lease.ts'
import { RebasedBus } from '../api/mqtt/rebased.ts'
import { openStatus } from '../api/mqtt/redact.ts'
import type { RequestClient } from '../client/ask.ts'
import type { ClusterView, ViewChange } from '../client/view.ts'
import type { LoadedConfig } from '../config.ts'
import { MdiError } from '../errors.ts'
import { realClock, realRandom } from '../io/clock.ts'
import { MqttBus } from '../io/mqtt/client.ts'
import type { Bus } from '../ports.ts'
import type { RequestService } from '../requests/service.ts'
import type { Assistant } from '../voice/assistant.ts'
import { BASE, buildTopic, writeMessage } from '../wire/topics.ts'
import { changes, log } from './log.ts'

export type HomeBrokerParts = {
  config: LoadedConfig
  desk: RequestService
  /** The ring's own. */
  bus: Bus
  watch: ClusterView
  own(): OwnLoad
  forward: RequestClient
  assistant: Assistant
}

const urlOf = ({ host, port, tls }: LoadedConfig['house_mqtt']): string => {
  const place = host?.includes(':') ? `[${host}]` : host
  return `${tls ? 'mqtts' : 'mqtt'}://${place}:${port ?? (tls ? 8883 : 1883)}`
}

const readCa = (file: string): string => {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new MdiError('bad-value', `house_mqtt.ca: ${file} cannot be read.`, { cause: error })
  }
}

export class HomeBroker {
  readonly #parts: HomeBrokerParts
  readonly #mqtt: MqttBus
  readonly #house: RebasedBus
  /** The house's broker as long as this gateway answers there. */
  readonly #gated: GatedBus
  readonly #claim: HomeLease
  #telling: Announcer

  /** @throws MdiError `bad-value` where the settings cannot be used */
  constructor(parts: HomeBrokerParts) {
    this.#parts = parts
    const { node, house_mqtt: settings } = parts.config
    const { user, password, ca, base } = settings
    const will = buildTopic('bridgeState', {})
    const instance = `${node.slice(0, 40)}-${realRandom.uint32().toString(16)}`
    this.#mqtt = new MqttBus({
      url: urlOf(settings),
      clientId: `mdi-house-${instance}`,
      will: {
        topic: base + will.slice(will.indexOf('/')),
        payload: writeMessage('bridgeState', { state: 'offline', instance }),
      },
      ...(user !== undefined && { username: user }),
      ...(password !== undefined && { password }),
      ...(ca !== undefined && { ca: readCa(ca) }),
      onTrouble: changes((sentence) => log(`The house's broker: ${sentence}`)),
    })
    this.#house = new RebasedBus(this.#mqtt, base)
    this.#gated = new GatedBus(this.#house)
    this.#claim = new HomeLease({
      house: this.#house,
      ring: parts.bus,
      sameNames: base === BASE,
      instance,
      clock: realClock,
      onRole: (role) => this.#be(role),
    })
    this.#telling = this.#tellingOn(this.#house, true)
  }

  start(): void {
    const { desk, config } = this.#parts
    const { base, discovery } = config.house_mqtt
    this.#claim.start()
    this.#telling.start()
    new Bridge(this.#gated, realClock, realRandom, {
      generate: (request, listener) =>
        desk.submit({ ...request, client: `house ${request.client}` }, listener),
      running: (id) => desk.core.has(id),
      leave: (id) => desk.core.cancel(id),
      do: this.#doings(),
      reserved: [base, discovery, 'hermes'],
    }).start()
    this.#hear(this.#gated)
    const told = changes(log)
    this.#mqtt.onConnection((connection) => {
      if (this.#claim.role === 'shared') return
      told(connection.up ? "Connected to the house's broker." : `The house: ${connection.reason}`)
    })
    this.#mqtt.start()
  }

  /** The ring, or what this gateway does, has changed. */
  changed(change: ViewChange): void {
    this.#telling.changed(change)
  }

  async stop(): Promise<void> {
    this.#claim.stop()
    this.#telling.turn(false)
    await this.#house.close()
  }

  #tellingOn(bus: RebasedBus, bridge: boolean): Announcer {
    const { config, watch, forward, own } = this.#parts
    const { discovery } = config.house_mqtt
    return new Announcer({
      ...{ bus, place: bus.place, discovery, cluster: config.cluster },
      ...{ watch, forward, own, bridge, clock: realClock },
    })
  }

  #hear(bus: Bus): void {
    const { config, assistant } = this.#parts
    if (config.voice.hermes) new HermesSkill(bus, assistant, realClock).start()
  }

  #be(role: Role): void {
    const { base } = this.#parts.config.house_mqtt
    this.#gated.open = role === 'answers'
    if (role === 'shared') {
      log("The house's broker is the ring's own: its coordinator answers there.")
      this.#share()
      return
    }
    if (role === 'waits')
      log(
        `Another gateway answers at the house's broker under ${base}/; this one waits for its end. Give it a house_mqtt.base of its own if both are to answer.`,
      )
    this.#telling.turn(role === 'answers')
  }

  /** There is one broker, to which the ring's connection leads: devices are told by that. */
  #share(): void {
    // Its last will would say that the coordinator is gone.
    void this.#house.close()
    this.#telling.turn(false)
    const { bus } = this.#parts
    this.#telling = this.#tellingOn(new RebasedBus(bus, BASE), false)
    this.#telling.start()
    this.#hear(bus)
    bus.onConnection(({ up }) => this.#telling.turn(up))
    this.#telling.turn(true)
  }

  /** What the house's users may do; the rest is the operator's, at the ring's broker. */
  #doings(): VerbHandlers {
    const { desk, forward } = this.#parts
    return {
      cancel: ({ id }) => {
        if (desk.cancel(id)) return { id }
        throw new MdiError('not-found', `No request ${id} is running.`)
      },
      load: ({ transaction: _, ...request }) => forward.ask('load', request),
      plan: ({ transaction: _, ...request }) => forward.ask('plan', request),
      unload: () => forward.ask('unload', {}),
      status: async () => openStatus(await forward.ask('status', {})),
      models: () => forward.ask('models', {}),
      'node/identify': ({ id }) => forward.ask('node/identify', { id }),
      'node/restart': ({ id }) => forward.ask('node/restart', { id }),
    }
  }
}
