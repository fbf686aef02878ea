/** A broker in memory with what a real one does: retained messages, last wills, connections. */
import { matchesFilter } from '../../services/io/mqtt/client.ts'
import type { Bus, BusMessage, ConnectionState, PublishOptions } from '../../services/ports.ts'
import type { Published } from './bus.ts'
import { Events } from './events.ts'

type Handler = (message: BusMessage) => void

export class MemoryBroker {
  readonly published = new Events<Published>()
  readonly retained = new Map<string, string>()
  readonly clients = new Set<MemoryBus>()

  publish(topic: string, payload: string, options: PublishOptions): void {
    this.published.add({ topic, payload, options })
    if (options.retain && payload === '') this.retained.delete(topic)
    else if (options.retain) this.retained.set(topic, payload)
    for (const client of [...this.clients]) client.deliver(topic, payload, false)
  }

  /** The last of a topic, read. */
  last(topic: string): Record<string, unknown> | undefined {
    const payload = this.retained.get(topic)
    return payload === undefined ? undefined : JSON.parse(payload)
  }
}

/** A client of it; messages come in order, each in a turn of its own. */
export class MemoryBus implements Bus {
  readonly #broker: MemoryBroker
  readonly #will: { topic: string; payload: string } | undefined
  readonly #subscriptions: { filter: string; handler: Handler }[] = []
  readonly #connection: ((connection: ConnectionState) => void)[] = []
  #up = false

  constructor(broker: MemoryBroker, will?: { topic: string; payload: string }) {
    this.#broker = broker
    this.#will = will
  }

  connect(): void {
    this.#up = true
    this.#broker.clients.add(this)
    for (const { filter, handler } of this.#subscriptions) this.#tellRetained(filter, handler)
    for (const handler of this.#connection) handler({ up: true })
  }

  /** The connection is lost: the broker publishes the last will. */
  lose(): void {
    this.#up = false
    this.#broker.clients.delete(this)
    if (this.#will)
      this.#broker.publish(this.#will.topic, this.#will.payload, { qos: 1, retain: true })
    for (const handler of this.#connection) handler({ up: false, reason: 'lost' })
  }

  deliver(topic: string, payload: string, retained: boolean): void {
    for (const { filter, handler } of [...this.#subscriptions])
      if (matchesFilter(filter, topic)) this.#later(handler, topic, payload, retained)
  }

  publish(topic: string, payload: string, options: PublishOptions): void {
    if (this.#up) this.#broker.publish(topic, payload, options)
  }

  subscribe(filter: string, handler: Handler): void {
    this.#subscriptions.push({ filter, handler })
    if (this.#up) this.#tellRetained(filter, handler)
  }

  onConnection(handler: (connection: ConnectionState) => void): void {
    this.#connection.push(handler)
  }

  async close(): Promise<void> {
    this.#up = false
    this.#broker.clients.delete(this)
  }

  #tellRetained(filter: string, handler: Handler): void {
    for (const [topic, payload] of this.#broker.retained)
      if (matchesFilter(filter, topic)) this.#later(handler, topic, payload, true)
  }

  #later(handler: Handler, topic: string, payload: string, retained: boolean): void {
    const message = { topic, payload: Buffer.from(payload), retained }
    setImmediate(() => {
      if (this.#up) handler(message)
    })
  }
}

/** Resolves when all that is on its way has come, and what that made. */
export const settled = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
}
