/**
 * An embedded MQTT broker (3.1.1) for one machine and the demo. Real use has mosquitto.
 */
import type { Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import type { TransformCallback } from 'node:stream'
import { Duplex, Transform } from 'node:stream'
import { Aedes } from 'aedes'
import { MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { matchesFilter } from './client.ts'

const PROTOCOL_NAME = Buffer.from('\0\x04MQTT', 'latin1')
const OPENING_BYTES = 12
/** CONNACK: the protocol level is not supported (MQTT 3.1.1, 3.2.2.3). */
const WRONG_LEVEL = Buffer.from([0x20, 2, 0, 1])

/**
 * Passes a client's bytes on while every packet is within its bound. The broker's own parser
 * would collect up to 256 MB of a packet before it looks at it.
 */
export class PacketGuard extends Transform {
  /** Bytes of the packet that are still to come. */
  #rest = 0
  /** The remaining length as read so far (MQTT 3.1.1, 2.2.3), and its bytes; −1: the type byte. */
  #length = 0
  #digits = -1

  /** The first packet's bytes, as far as they tell the version that a client speaks. */
  #opening = Buffer.alloc(0)
  readonly #onOtherVersion: () => void

  /** @param onOtherVersion called when the client's CONNECT is not of MQTT 3.1.1 or 3.1 */
  constructor(onOtherVersion: () => void = () => {}) {
    super()
    this.#onOtherVersion = onOtherVersion
  }

  /** @returns false when the client speaks a version that the broker does not */
  #speaksOurs(bytes: Buffer): boolean {
    if (this.#opening.length >= OPENING_BYTES) return true
    this.#opening = Buffer.concat([this.#opening, bytes.subarray(0, OPENING_BYTES)])
    // Type, remaining length (1 to 4 bytes), name "MQTT" with its length, level.
    const name = this.#opening.indexOf(PROTOCOL_NAME)
    const level = name > 0 && name < 6 ? this.#opening[name + PROTOCOL_NAME.length] : undefined
    return level === undefined || level <= 4
  }

  override _transform(bytes: Buffer, _encoding: string, done: TransformCallback): void {
    if (!this.#speaksOurs(bytes)) {
      this.#onOtherVersion()
      done()
      return
    }
    for (let at = 0; at < bytes.length; ) {
      if (this.#rest > 0) {
        const skip = Math.min(this.#rest, bytes.length - at)
        this.#rest -= skip
        at += skip
        continue
      }
      if (!this.#header(bytes[at++] as number)) {
        done(new Error('the packet is too long'))
        return
      }
    }
    done(null, bytes)
  }

  /** Takes a byte of a packet's header. @returns false when the packet is too long */
  #header(byte: number): boolean {
    if (this.#digits === -1) {
      this.#digits = 0
      this.#length = 0
      return true
    }
    this.#length += (byte & 0x7f) * 128 ** this.#digits++
    if (this.#length > limits.packetBytes || this.#digits > 4) return false
    if (byte < 0x80) {
      this.#rest = this.#length
      this.#digits = -1
    }
    return true
  }
}

/** The embedded broker. */
export class Broker {
  readonly #onTrouble: (sentence: string) => void
  readonly #sockets = new Set<Socket>()
  /** Bytes of what is retained, by topic. */
  readonly #retained = new Map<string, number>()
  #retainedBytes = 0
  #fullTold = false
  /** What each connected client listens to. */
  readonly #filters = new Map<string, Set<string>>()
  #aedes: Aedes | undefined
  #server: Server | undefined

  constructor(onTrouble: (sentence: string) => void = () => {}) {
    this.#onTrouble = onTrouble
  }

  /**
   * Opens the broker.
   * @param port 0 takes a free one
   * @returns the port
   * @throws MdiError `broker` when the port is taken
   */
  async start(port: number, host = '127.0.0.1'): Promise<number> {
    const aedes = await Aedes.createBroker({
      connectTimeout: limits.brokerConnectMs,
      drainTimeout: limits.brokerConnectMs,
      maxTopicLevels: 16,
      authorizePublish: (_client, packet, done) => {
        const { topic, payload } = packet
        if (topic.startsWith('$') || payload.length > limits.controlBytes) {
          done(new Error('this may not be published'))
          return
        }
        // Passed on all the same: MQTT 3.1.1 can only hang up on whoever publishes too much.
        if (packet.retain && !this.#retains(topic, payload.length)) packet.retain = false
        done(null)
      },
    })
    this.#aedes = aedes
    // As an EventEmitter it would throw an error that nobody listens to.
    ;(aedes as NodeJS.EventEmitter).on('error', (error: Error) =>
      this.#onTrouble(`The embedded broker: ${error.message}.`),
    )
    this.#follow(aedes)
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket, aedes))
    server.maxConnections = limits.brokerClients
    this.#server = server
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen({ port, host }, () => resolve())
      })
    } catch (error) {
      await this.close()
      const taken = (error as { code?: string }).code === 'EADDRINUSE'
      throw new MdiError(
        'broker',
        `The embedded broker cannot open port ${port}: ${taken ? 'another program uses it' : (error as Error).message}.`,
        { cause: error },
      )
    }
    server.on('error', (error) => this.#onTrouble(`The embedded broker: ${error.message}.`))
    const address = server.address()
    return typeof address === 'object' && address ? address.port : port
  }

  /** Counts what is to be retained. @returns whether there is room for it */
  #retains(topic: string, payloadBytes: number): boolean {
    const before = this.#retained.get(topic) ?? 0
    const bytes = payloadBytes === 0 ? 0 : payloadBytes + Buffer.byteLength(topic)
    const all = this.#retainedBytes - before + bytes
    const count = this.#retained.size + (before === 0 && bytes > 0 ? 1 : 0)
    if (bytes > before && (all > limits.brokerRetainedBytes || count > limits.brokerRetained)) {
      if (!this.#fullTold)
        this.#onTrouble(
          `The embedded broker retains ${this.#retained.size} messages, as many as it may: one on ${topic.slice(0, 100)} is not kept, nor are more. Somebody publishes too much with "retain".`,
        )
      this.#fullTold = true
      return false
    }
    this.#retainedBytes = all
    if (bytes === 0) this.#retained.delete(topic)
    else this.#retained.set(topic, bytes)
    return true
  }

  /** Whether a client listens to a topic. MQTT 3.1.1 has no way to tell a publisher. */
  readonly heard = (topic: string): boolean =>
    [...this.#filters.values()].some((filters) =>
      [...filters].some((filter) => matchesFilter(filter, topic)),
    )

  #follow(aedes: Aedes): void {
    aedes.on('subscribe', (subscriptions, { id }) => {
      const filters = this.#filters.get(id) ?? new Set()
      this.#filters.set(id, filters)
      for (const { topic } of subscriptions) filters.add(topic)
    })
    aedes.on('unsubscribe', (topics, { id }) => {
      for (const topic of topics) this.#filters.get(id)?.delete(topic)
    })
    aedes.on('clientDisconnect', ({ id }) => this.#filters.delete(id))
  }

  /** Ends the broker and its connections; the port can be used again at once. */
  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    if (this.#server?.listening) this.#server.close(() => resolve())
    else resolve()
    const aedes = this.#aedes
    if (aedes) await new Promise<void>((done) => aedes.close(() => done()))
    for (const socket of this.#sockets) socket.destroy()
    await promise
  }

  #accept(socket: Socket, aedes: Aedes): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    // Without an answer a client of version 5 would try it again and again.
    const guard = new PacketGuard(() => socket.end(WRONG_LEVEL))
    guard.on('error', () => socket.destroy())
    socket.on('error', () => guard.destroy())
    const stream = Duplex.from({ readable: socket.pipe(guard), writable: socket })
    stream.on('error', () => socket.destroy())
    aedes.handle(stream)
  }
}
