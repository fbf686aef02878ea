/**
 * Messages that wait while the broker is away: the last one of each retained topic, and the others in
 * their order, with bounds on number and bytes. `passing` messages are dropped first.
 */
import { limits } from '../../limits.ts'
import type { PublishOptions } from '../../ports.ts'

export type Waiting = { topic: string; payload: string; options: PublishOptions }

const bytesOf = ({ topic, payload }: Waiting): number =>
  Buffer.byteLength(topic) + Buffer.byteLength(payload)

export class Outbox {
  readonly #retained = new Map<string, Waiting>()
  #queue: Waiting[] = []
  #bytes = 0

  /** Keeps a message; of QoS 0 only what is retained. */
  keep(message: Waiting): void {
    const { qos, retain } = message.options
    if (retain) {
      this.#retained.delete(message.topic)
      if (this.#retained.size < limits.busRetained) this.#retained.set(message.topic, message)
    } else if (qos > 0) {
      this.#queue.push(message)
      this.#bytes += bytesOf(message)
      while (this.#queue.length > limits.busQueue || this.#bytes > limits.busQueueBytes)
        this.#drop()
    }
  }

  #drop(): void {
    const passing = this.#queue.findIndex(({ options }) => options.passing)
    for (const dropped of this.#queue.splice(Math.max(0, passing), 1))
      this.#bytes -= bytesOf(dropped)
  }

  /** Takes everything out. */
  take(): Waiting[] {
    const all = [...this.#retained.values(), ...this.#queue]
    this.#retained.clear()
    this.#queue = []
    this.#bytes = 0
    return all
  }
}
