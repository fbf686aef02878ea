/** A bus on which the topics of our table stand under another root. */
import type { Bus, BusMessage, ConnectionState, PublishOptions } from '../../ports.ts'
import { BASE, matchTopic } from '../../wire/topics.ts'

export class RebasedBus implements Bus {
  readonly #bus: Bus
  readonly #base: string

  constructor(bus: Bus, base: string) {
    this.#bus = bus
    this.#base = base
  }

  /** A topic of our table as it is there; any other as it is. */
  readonly place = (topic: string): string =>
    matchTopic(topic) ? this.#base + topic.slice(BASE.length) : topic

  publish(topic: string, payload: string, options: PublishOptions): void {
    this.#bus.publish(this.place(topic), payload, options)
  }

  subscribe(
    filter: string,
    handler: (message: BusMessage) => void,
    options?: { long?: boolean },
  ): void {
    const own = filter.startsWith(`${BASE}/`)
    const place = own ? this.#base + filter.slice(BASE.length) : filter
    const hear = (message: BusMessage) => {
      const { topic } = message
      const ours = topic.startsWith(`${this.#base}/`)
      handler(own && ours ? { ...message, topic: BASE + topic.slice(this.#base.length) } : message)
    }
    this.#bus.subscribe(place, hear, options)
  }

  onConnection(handler: (connection: ConnectionState) => void): void {
    this.#bus.onConnection(handler)
  }

  close(): Promise<void> {
    return this.#bus.close()
  }
}
