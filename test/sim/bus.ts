/**
 * A simulated broker and its clients: retained messages, wills, delays, restarts with or
 * without a memory. No more than MQTT 3.1.1.
 */
import type {
  BusConnection,
  BusMessage,
  ConnectionState,
  PublishOptions,
  Will,
} from '../../services/ports.ts'
import type { Exit, Process, World } from './world.ts'

type Handler = (message: BusMessage) => void

const matches = (filter: string, topic: string): boolean => {
  const [f, t] = [filter.split('/'), topic.split('/')]
  return (
    f.every((part, i) => part === '#' || part === '+' || part === t[i]) &&
    (f.at(-1) === '#' || f.length === t.length)
  )
}

export class Broker {
  readonly world: World
  readonly #retained = new Map<string, string>()
  readonly #clients = new Set<SimBus>()
  up = true
  /** Messages taken, for telling a storm. */
  taken = 0

  constructor(world: World) {
    this.world = world
  }

  /** All clients are cut off; what is retained is kept or not. */
  stop(keepsRetained: boolean): void {
    this.up = false
    if (!keepsRetained) this.#retained.clear()
    for (const client of [...this.#clients]) {
      this.#clients.delete(client)
      client.lost()
    }
  }

  start(): void {
    this.up = true
  }

  attach(client: SimBus): void {
    this.#clients.add(client)
  }

  /** The client is gone without a goodbye: its will is published. */
  gone(client: SimBus): void {
    if (!this.#clients.delete(client)) return
    if (client.will) this.take(client.will.topic, client.will.payload, true)
  }

  /** A clean goodbye. */
  leave(client: SimBus): void {
    this.#clients.delete(client)
  }

  take(topic: string, payload: string, retain: boolean): void {
    this.taken += 1
    if (retain && payload === '') this.#retained.delete(topic)
    else if (retain) this.#retained.set(topic, payload)
    for (const client of this.#clients) client.deliver(topic, payload, false)
  }

  /** What is retained on a topic. */
  retained(topic: string): string | undefined {
    return this.#retained.get(topic)
  }

  retainedFor(filter: string): [string, string][] {
    return [...this.#retained].filter(([topic]) => matches(filter, topic))
  }
}

/** The port `BusConnection` of one process. */
export class SimBus implements BusConnection {
  readonly #broker: Broker
  readonly #process: Process
  readonly will: Will | undefined
  readonly #handlers: { filter: string; handler: Handler }[] = []
  readonly #queue: { topic: string; payload: string; options: PublishOptions }[] = []
  readonly #listeners: ((connection: ConnectionState) => void)[] = []
  #connected = false
  #closed = false
  #arrival = 0

  constructor(broker: Broker, process: Process, will?: Will) {
    this.#broker = broker
    this.#process = process
    this.will = will
    process.onExit((how) => this.#exit(how))
  }

  start(): void {
    this.#connect()
  }

  publish(topic: string, payload: string, options: PublishOptions): void {
    if (this.#connected) this.#send(topic, payload, options.retain)
    else if (options.qos === 1 || options.retain) this.#queue.push({ topic, payload, options })
  }

  subscribe(filter: string, handler: Handler): void {
    this.#handlers.push({ filter, handler })
    if (this.#connected) this.#tellRetained(filter)
  }

  onConnection(handler: (connection: ConnectionState) => void): void {
    this.#listeners.push(handler)
  }

  close(): Promise<void> {
    this.#closed = true
    this.#connected = false
    // What was published last still leaves.
    this.#broker.world.after(50, () => this.#broker.leave(this))
    return Promise.resolve()
  }

  deliver(topic: string, payload: string, retained: boolean): void {
    if (!this.#handlers.some((h) => matches(h.filter, topic))) return
    const { world } = this.#broker
    this.#arrival = Math.max(this.#arrival, world.now + world.between(0.5, 30))
    this.#process.soon(() => {
      if (this.#closed) return
      const bytes = new TextEncoder().encode(payload)
      for (const { filter, handler } of this.#handlers)
        if (matches(filter, topic)) handler({ topic, payload: bytes, retained })
    }, this.#arrival - world.now)
  }

  lost(): void {
    this.#connected = false
    this.#process.soon(() => this.#tell({ up: false, reason: 'The broker is away.' }))
    this.#connect()
  }

  #connect(): void {
    const { world } = this.#broker
    this.#process.soon(
      () => {
        if (this.#closed) return
        if (!this.#broker.up) {
          this.#connect()
          return
        }
        this.#broker.attach(this)
        this.#connected = true
        for (const { filter } of this.#handlers) this.#tellRetained(filter)
        for (const { topic, payload, options } of this.#queue.splice(0))
          this.#send(topic, payload, options.retain)
        this.#tell({ up: true })
      },
      world.between(5, 500),
    )
  }

  #tell(connection: ConnectionState): void {
    for (const listener of this.#listeners) listener(connection)
  }

  #tellRetained(filter: string): void {
    for (const [topic, payload] of this.#broker.retainedFor(filter))
      this.deliver(topic, payload, true)
  }

  #sendAt = 0

  #send(topic: string, payload: string, retain: boolean): void {
    const { world } = this.#broker
    this.#sendAt = Math.max(this.#sendAt, world.now + world.between(0.5, 20))
    world.after(this.#sendAt - world.now, () => {
      if (this.#broker.up) this.#broker.take(topic, payload, retain)
    })
  }

  /** The kernel closes a killed process's connection; a lost power is only noticed later. */
  #exit(how: Exit): void {
    const ms = how === 'kill' ? 20 : 15_000
    this.#broker.world.after(ms, () => this.#broker.gone(this))
  }
}
