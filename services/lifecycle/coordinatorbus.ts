/** The coordinator's end of the ring's bus: what it publishes there, and what it hears of nodes. */
import { MdiError } from '../errors.ts'
import { realRandom } from '../io/clock.ts'
import type { LoadedConfig } from '../io/config.ts'
import { MqttBus } from '../io/mqtt.ts'
import type { BridgeHealth, BridgeInfo, Command, Desired, NodeState } from '../wire/control.ts'
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
import { changes, log } from './log.ts'

export type CoordinatorBusOptions = {
  id: string
  url: string
  broker: LoadedConfig['broker']
  /** The broker is there (again): what is retained is to be told again. */
  onUp(): void
  onNode(id: string, state: NodeState): void
  info(): BridgeInfo
  health(): BridgeHealth
}

const STATE = buildTopic('bridgeState', {})

export class CoordinatorBus {
  readonly mqtt: MqttBus
  readonly #options: CoordinatorBusOptions
  #healthTold = ''

  constructor(options: CoordinatorBusOptions) {
    this.#options = options
    const { user, password } = options.broker
    this.mqtt = new MqttBus({
      url: options.url,
      clientId: `mdi-${options.id}-${realRandom.uint32().toString(16)}`,
      will: { topic: STATE, payload: writeMessage('bridgeState', { state: 'offline' }) },
      ...(user !== undefined && { username: user }),
      ...(password !== undefined && { password }),
      onTrouble: changes(log),
    })
  }

  /** Hears nodes from now on; the client is started by its owner. */
  listen(): void {
    const tell = changes(log)
    this.mqtt.subscribe(filterOf('state'), ({ topic, payload }) => {
      const id = matchTopic(topic)?.parameters.node
      if (id === undefined || payload.length === 0) return
      try {
        this.#options.onNode(id, readMessage('state', topic, payload))
      } catch (error) {
        if (!(error instanceof MdiError)) throw error
        tell(error.message)
      }
    })
    const told = changes(log)
    this.mqtt.onConnection((connection) => {
      told(connection.up ? 'Connected to the broker.' : connection.reason)
      if (!connection.up) return
      this.#publish('bridgeState', STATE, { state: 'online' })
      this.#options.onUp()
      this.tellInfo()
      // A broker that restarts may have forgotten what it retained.
      this.tellHealth(true)
    })
  }

  #publish<T extends PlainTopic>(name: T, topic: string, value: Payload<T>): void {
    this.mqtt.publish(topic, writeMessage(name, value), optionsOf(name))
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
      this.mqtt.publish(buildTopic(name, { node }), '', optionsOf(name))
  }

  tellInfo(): void {
    this.#publish('bridgeInfo', buildTopic('bridgeInfo', {}), this.#options.info())
  }

  /** Told when the ring's state changes, and now and then. */
  tellHealth(always = false): void {
    const health = this.#options.health()
    const state = `${health.ring} ${health.reason ?? ''}`
    if (!always && state === this.#healthTold) return
    this.#healthTold = state
    this.#publish('bridgeHealth', buildTopic('bridgeHealth', {}), health)
  }

  async close(): Promise<void> {
    this.#publish('bridgeState', STATE, { state: 'offline' })
    await this.mqtt.close()
  }
}
