/** A stage's end of the cluster's bus: what it publishes there, and what it hears. */
import type { AgentEvent } from '../control/agent.ts'
import { MdiError } from '../errors.ts'
import type { BusConnection, Log, OpenBus } from '../ports.ts'
import type { Command, Online, Vitals } from '../wire/control.ts'
import {
  buildTopic,
  optionsOf,
  type Payload,
  type PlainTopic,
  readMessage,
  writeMessage,
} from '../wire/topics.ts'
import { changesTo } from './log.ts'

export type StageBusOptions = {
  /** The node's id. */
  id: string
  /** Made anew at each start. */
  instance: string
  openBus: OpenBus
  log: Log
  /** What the agent is to hear. */
  onEvent(event: AgentEvent): void
  onCommand(command: Command): void
}

export class StageBus {
  readonly #options: StageBusOptions
  readonly #bus: BusConnection
  readonly #state: string

  constructor(options: StageBusOptions) {
    const { id, instance, openBus } = options
    this.#options = options
    this.#state = buildTopic('state', { node: id })
    this.#bus = openBus(`mdi-${id}-${instance.slice(0, 8)}`, {
      topic: this.#state,
      payload: writeMessage('state', { state: 'offline', instance }),
    })
  }

  /** Hears from now on, and dials. */
  start(): void {
    this.#subscribe()
    this.#bus.start()
  }

  #subscribe(): void {
    const { id, log, onEvent, onCommand } = this.#options
    const tell = changesTo(log)
    const guarded = (work: () => void, otherwise: () => void = () => {}) => {
      try {
        work()
      } catch (error) {
        if (!(error instanceof MdiError)) throw error
        tell(error.message)
        otherwise()
      }
    }
    this.#bus.subscribe(buildTopic('desired', { node: id }), ({ topic, payload }) =>
      guarded(() => {
        if (payload.length === 0) return
        onEvent({ kind: 'desired', desired: readMessage('desired', topic, payload) })
      }),
    )
    this.#bus.subscribe(this.#state, ({ topic, payload, retained }) =>
      guarded(
        () => {
          if (payload.length === 0) {
            // Somebody cleared it: we are here.
            if (!retained) onEvent({ kind: 'bus' })
            return
          }
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
    this.#bus.subscribe(buildTopic('command', { node: id }), (message) =>
      guarded(() => {
        // One that is retained would be carried out again at every start.
        if (message.retained) return
        onCommand(readMessage('command', message.topic, message.payload))
      }),
    )
    const told = changesTo(log)
    this.#bus.onConnection((connection) => {
      told(connection.up ? 'Connected to the broker.' : connection.reason)
      if (connection.up) onEvent({ kind: 'bus' })
    })
  }

  #publish<T extends PlainTopic>(name: T, topic: string, value: Payload<T>): void {
    this.#bus.publish(topic, writeMessage(name, value), optionsOf(name))
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
    await this.#bus.close()
  }
}
