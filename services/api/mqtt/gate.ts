/** A bus that can be shut: nothing is heard or told by it meanwhile. */
import type { Bus, BusMessage, ConnectionState, PublishOptions } from '../../ports.ts'

export class GatedBus implements Bus {
  readonly #bus: Bus
  open = false

  constructor(bus: Bus) {
    this.#bus = bus
  }

  publish(topic: string, payload: string, options: PublishOptions): void {
    if (this.open) this.#bus.publish(topic, payload, options)
  }

  subscribe(
    filter: string,
    handler: (message: BusMessage) => void,
    options?: { long?: boolean },
  ): void {
    const hear = (message: BusMessage) => {
      if (this.open) handler(message)
    }
    this.#bus.subscribe(filter, hear, options)
  }

  onConnection(handler: (connection: ConnectionState) => void): void {
    this.#bus.onConnection(handler)
  }

  close(): Promise<void> {
    return this.#bus.close()
  }
}
