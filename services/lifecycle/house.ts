/**
 * The house's broker, which is not the ring's: Home Assistant's discovery, the ring's state
 * and the command topics are told there. Its users reach what is told here, and nothing of the
 * ring's own control topics.
 */
import { readFileSync } from 'node:fs'
import { HermesSkill } from '../api/hermes/skill.ts'
import { birthTopic, Discovery, type Told } from '../api/homeassistant/discovery.ts'
import { MdiError } from '../errors.ts'
import type { Assistant } from '../gateway/assistant.ts'
import { Bridge, type Doings } from '../gateway/bridge.ts'
import type { Forward } from '../gateway/forward.ts'
import { RebasedBus } from '../gateway/rebased.ts'
import { realClock, realRandom } from '../io/clock.ts'
import type { LoadedConfig } from '../io/config.ts'
import { MqttBus } from '../io/mqtt.ts'
import { version } from '../version.ts'
import type { Board } from '../wire/control.ts'
import { buildTopic, optionsOf, writeMessage } from '../wire/topics.ts'
import type { Desk } from './desk.ts'
import { changes, log } from './log.ts'
import type { Change, Watch } from './watch.ts'

export type HouseParts = {
  config: LoadedConfig
  desk: Desk
  watch: Watch
  forward: Forward
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

export class House {
  readonly #parts: HouseParts
  readonly #mqtt: MqttBus
  readonly #bus: RebasedBus
  readonly #discovery: Discovery
  /** What was told last on each retained topic: it is told again only when it has changed. */
  readonly #told = new Map<string, string>()
  #models: string[] = []
  #up = false

  /** @throws MdiError `bad-value` where the settings cannot be used */
  constructor(parts: HouseParts) {
    this.#parts = parts
    const { cluster, node, house_mqtt: settings } = parts.config
    const { user, password, ca, base, discovery } = settings
    const will = buildTopic('bridgeState', {})
    this.#mqtt = new MqttBus({
      url: urlOf(settings),
      clientId: `mdi-house-${node}-${realRandom.uint32().toString(16)}`,
      will: {
        topic: base + will.slice(will.indexOf('/')),
        payload: writeMessage('bridgeState', { state: 'offline' }),
      },
      ...(user !== undefined && { username: user }),
      ...(password !== undefined && { password }),
      ...(ca !== undefined && { ca: readCa(ca) }),
      onTrouble: changes((sentence) => log(`The house's broker: ${sentence}`)),
    })
    this.#bus = new RebasedBus(this.#mqtt, base)
    this.#discovery = new Discovery({ root: discovery, place: this.#bus.place, version, cluster })
  }

  start(): void {
    const { desk, assistant, config } = this.#parts
    const bridge = new Bridge(this.#bus, realClock, realRandom, {
      generate: (request, listener) =>
        desk.submit({ ...request, client: `house ${request.client}` }, listener),
      running: (id) => desk.core.has(id),
      do: this.#doings(),
      reserved: [config.house_mqtt.base, config.house_mqtt.discovery, 'hermes'],
    })
    bridge.start()
    if (config.voice.hermes) new HermesSkill(this.#bus, assistant, realClock).start()
    this.#bus.subscribe(birthTopic(config.house_mqtt.discovery), ({ payload }) => {
      if (Buffer.from(payload).toString() === 'online') this.#tellAll(true)
    })
    const told = changes(log)
    this.#bus.onConnection((connection) => {
      this.#up = connection.up
      told(connection.up ? "Connected to the house's broker." : `The house: ${connection.reason}`)
      if (connection.up) this.#tellAll(true)
    })
    this.#mqtt.start()
  }

  /** The ring has changed. */
  changed(change: Change): void {
    if (change.kind === 'gone') this.#gone(change.node)
    else if (change.kind === 'node' || change.kind === 'vitals') this.#tellBoard(change.node)
    else {
      this.#tellBridge()
      if (change.kind !== 'health') void this.#askModels()
    }
  }

  async stop(): Promise<void> {
    const offline = writeMessage('bridgeState', { state: 'offline' })
    this.#bus.publish(buildTopic('bridgeState', {}), offline, optionsOf('bridgeState'))
    await this.#bus.close()
  }

  /** What the house's users may do; the rest is the operator's, at the ring's broker. */
  #doings(): Doings {
    const { desk, forward } = this.#parts
    return {
      cancel: ({ id }) => {
        if (desk.cancel(id)) return { id }
        throw new MdiError('not-found', `No request ${id} is running.`)
      },
      load: ({ transaction: _, ...request }) => forward.ask('load', request),
      plan: ({ transaction: _, ...request }) => forward.ask('plan', request),
      unload: () => forward.ask('unload', {}),
      status: () => forward.ask('status', {}),
      models: () => forward.ask('models', {}),
      'node/identify': ({ id }) => forward.ask('node/identify', { id }),
      'node/restart': ({ id }) => forward.ask('node/restart', { id }),
    }
  }

  /** Publishes what is retained, where it has changed or is told anew. */
  #retain(topic: string, payload: string): void {
    if (this.#told.get(topic) === payload) return
    this.#told.set(topic, payload)
    this.#bus.publish(topic, payload, { qos: 1, retain: true })
  }

  #config({ topic, payload }: Told): void {
    this.#retain(topic, payload)
  }

  #tellAll(anew: boolean): void {
    if (anew) this.#told.clear()
    this.#tellBridge()
    for (const node of this.#parts.watch.nodes.keys()) this.#tellBoard(node)
    void this.#askModels()
  }

  #tellBridge(): void {
    if (!this.#up) return
    const { info, health } = this.#parts.watch
    const state = writeMessage('bridgeState', { state: 'online' })
    this.#retain(buildTopic('bridgeState', {}), state)
    if (health) this.#retain(buildTopic('bridgeHealth', {}), writeMessage('bridgeHealth', health))
    if (!info) return
    // Settings and addresses of the ring are nothing for the house.
    const { config: _, configSchema: __, ...rest } = info
    const open = { ...rest, coordinator: { ...info.coordinator, addresses: [] } }
    this.#retain(buildTopic('bridgeInfo', {}), writeMessage('bridgeInfo', open))
    this.#config(this.#discovery.cluster(info, this.#models))
  }

  async #askModels(): Promise<void> {
    try {
      const { models } = await this.#parts.forward.ask('models', {})
      this.#models = models.map(({ name }) => name)
      this.#tellBridge()
    } catch (error) {
      // Without a coordinator the select shows the model that is loaded.
      if (!(error instanceof MdiError)) throw error
    }
  }

  #boardOf(node: string): Board | undefined {
    const state = this.#parts.watch.nodes.get(node)
    if (!state) return undefined
    if (state.state === 'offline')
      return { state: 'offline', name: node, phase: 'offline', layers: 0, range: '' }
    const { phase, first = 0, end = 0 } = state.assignment
    const vitals = this.#parts.watch.vitals.get(node)
    return {
      state: 'online',
      name: state.name,
      phase,
      layers: end - first,
      range: end > first ? `${first}–${end - 1}` : '',
      ...(vitals && {
        memoryMB: Math.round(vitals.memoryBytes / 1e6),
        tokensPerSecond: vitals.tokensPerSecond,
        ...(vitals.temperature !== undefined && { temperature: vitals.temperature }),
      }),
    }
  }

  #tellBoard(node: string): void {
    const board = this.#up ? this.#boardOf(node) : undefined
    if (!board) return
    // A board that is offline keeps its device and its name.
    if (board.state === 'online') this.#config(this.#discovery.board(node, board))
    this.#retain(buildTopic('board', { node }), writeMessage('board', board))
  }

  #gone(node: string): void {
    for (const { topic } of [
      this.#discovery.gone(node),
      { topic: buildTopic('board', { node }) },
    ]) {
      this.#told.delete(topic)
      this.#bus.publish(topic, '', { qos: 1, retain: true })
    }
  }
}
