import { matchesFilter } from '../../services/io/mqtt/client.ts'
import type { Bus, BusMessage, ConnectionState, PublishOptions } from '../../services/ports.ts'
import { Events } from './events.ts'

export type Published = { topic: string; payload: string; options: PublishOptions }

/** A broker in memory: what is published comes back to whoever subscribed. */
export class FakeBus implements Bus {
  readonly published = new Events<Published>()
  readonly #subscriptions: { filter: string; handler: (message: BusMessage) => void }[] = []
  readonly #connection: ((connection: ConnectionState) => void)[] = []

  publish(topic: string, payload: string, options: PublishOptions): void {
    this.published.add({ topic, payload, options })
    this.come(topic, payload)
  }

  subscribe(filter: string, handler: (message: BusMessage) => void): void {
    this.#subscriptions.push({ filter, handler })
  }

  onConnection(handler: (connection: ConnectionState) => void): void {
    this.#connection.push(handler)
  }

  connect(connection: ConnectionState): void {
    for (const handler of this.#connection) handler(connection)
  }

  /** A message comes from elsewhere. */
  come(topic: string, payload: string | Uint8Array, more: Partial<BusMessage> = {}): void {
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
    for (const { filter, handler } of [...this.#subscriptions])
      if (matchesFilter(filter, topic)) handler({ topic, payload: bytes, retained: false, ...more })
  }

  async close(): Promise<void> {}
}
