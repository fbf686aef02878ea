/** A node's end of the ring's bus: what it publishes there, and what it hears. */

import type { LoadedConfig } from '../config.ts'
import type { AgentEvent } from '../control/agent.ts'
import { MdiError } from '../errors.ts'
import { MqttBus } from '../io/mqtt/client.ts'
import type { Command, Online, Vitals } from '../wire/control.ts'
import {
  buildTopic,
  optionsOf,
  type Payload,
  type PlainTopic,
  readMessage,
  writeMessage,
} from '../wire/topics.ts'
import { changes, log } from './log.ts'

export type NodeBusOptions = {
  id: string
  instance: string
  url: string
  broker: LoadedConfig['broker']
  /** What the agent is to hear. */
  onEvent(event: AgentEvent): void
  onCommand(command: Command): void
}

export class NodeBus {
  readonly #options: NodeBusOptions
  readonly #mqtt: MqttBus
  readonly #state: string

  constructor(options: NodeBusOptions) {
    const { id, instance, url, broker } = options
    this.#options = options
    this.#state = buildTopic('state', { node: id })
    this.#mqtt = new MqttBus({
      url,
      clientId: `mdi-${id}-${instance.slice(0, 8)}`,
      will: { topic: this.#state, payload: writeMessage('state', { state: 'offline', instance }) },
      ...(broker.user !== undefined && { username: broker.user }),
      ...(broker.password !== undefined && { password: broker.password }),
      onTrouble: changes(log),
    })
  }

  /** Hears from now on, and dials. */
  start(): void {
    this.#subscribe()
    this.#mqtt.start()
  }

  #subscribe(): void {
    const { id, onEvent, onCommand } = this.#options
    const tell = changes(log)
    const guarded = (work: () => void, otherwise: () => void = () => {}) => {
      try {
        work()
      } catch (error) {
        if (!(error instanceof MdiError)) throw error
        tell(error.message)
        otherwise()
      }
    }
    this.#mqtt.subscribe(buildTopic('desired', { node: id }), ({ topic, payload }) =>
      guarded(() => {
        if (payload.length === 0) return
        onEvent({ kind: 'desired', desired: readMessage('desired', topic, payload) })
      }),
    )
    this.#mqtt.subscribe(this.#state, ({ topic, payload, retained }) =>
      guarded(
        () => {
          if (payload.length === 0) return
          const state = readMessage('state', topic, payload)
          if (state.state === 'offline') {
            // The will of a former life of ours came late: we are here.
            if (!retained) onEvent({ kind: 'bus' })
            return
          }
          const address = `${state.addresses[0] ?? 'unknown'} port ${state.port}`
          const { instance } = state
          onEvent({ kind: 'twin', instance, address, retained })
        },
        // Somebody's garbage, which a broker may retain in place of our state.
        () => onEvent({ kind: 'bus' }),
      ),
    )
    this.#mqtt.subscribe(buildTopic('command', { node: id }), (message) =>
      guarded(() => {
        // One that is retained would be carried out again at every start.
        if (message.retained) return
        onCommand(readMessage('command', message.topic, message.payload))
      }),
    )
    const told = changes(log)
    this.#mqtt.onConnection((connection) => {
      told(connection.up ? 'Connected to the broker.' : connection.reason)
      if (connection.up) onEvent({ kind: 'bus' })
    })
  }

  #publish<T extends PlainTopic>(name: T, topic: string, value: Payload<T>): void {
    this.#mqtt.publish(topic, writeMessage(name, value), optionsOf(name))
  }

  tellState(state: Online): void {
    this.#publish('state', this.#state, state)
  }

  tellVitals(vitals: Vitals): void {
    this.#publish('vitals', buildTopic('vitals', { node: this.#options.id }), vitals)
  }

  /**
   * Says who goes, and leaves. Where another has the same id that one says at once that it is
   * there; whoever knew this one hears that it is not.
   */
  async close(): Promise<void> {
    const { instance } = this.#options
    this.#publish('state', this.#state, { state: 'offline', instance })
    await this.#mqtt.close()
  }
}
