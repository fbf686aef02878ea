/**
 * The control plane's bus on MQTT. Speaks version 5 where the broker does and 3.1.1 where it
 * does not; a broker that is away is told about and dialed again, for ever.
 */
import type { IClientOptions, IConnackPacket, IPublishPacket, MqttClient } from 'mqtt'
import mqtt from 'mqtt'
import { MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { Bus, BusMessage, ConnectionState, PublishOptions } from '../../ports.ts'
import { type BrokerAddress, readBrokerUrl, withoutLogins } from '../../wire/brokerurl.ts'
import { socketWords } from '../links/connection.ts'
import { Outbox, type Waiting } from './outbox.ts'

export type MqttOptions = {
  /** `mqtt://host:1883`, `mqtts://…`, `ws://…`. */
  url: string
  /** Unique among the broker's clients. */
  clientId: string
  /** Published by the broker, retained, when this client is lost. */
  will?: { topic: string; payload: string }
  username?: string
  password?: string
  /** PEM: the authority that signed the broker's certificate, and our own certificate. */
  ca?: string
  cert?: string
  key?: string
  /** Who listens to a topic is known without being told: the broker is of this process. */
  heard?: ((topic: string) => boolean) | undefined
  /** Told of troubles that end nothing, as a sentence. */
  onTrouble?: (sentence: string) => void
}

/** CONNACK codes by which a broker says that it does not speak our version (3.1.1, 5). */
const WRONG_VERSION = [1, 132]
/** PUBACK of version 5 (3.4.2.1): no subscription matches. */
const NOBODY_LISTENS = 0x10
/** Bytes of a packet beside topic and payload, at most: header, packet id, lengths, properties. */
const PACKET_OVERHEAD = 64
/** Topics whose messages are too long, of which each is told once. */
const MOST_TOLD = 256
/** Closed without an answer this often, version 5 is given up too. */
const SILENT_CLOSES = 2

type Subscription = { filter: string; handler: (message: BusMessage) => void; long: boolean }

/** Whether a topic is matched by a filter with `+` and `#` (MQTT 3.1.1, 4.7). */
export const matchesFilter = (filter: string, topic: string): boolean => {
  const levels = topic.split('/')
  const wanted = filter.split('/')
  for (const [i, level] of wanted.entries()) {
    if (level === '#') return true
    if (levels[i] === undefined || (level !== '+' && level !== levels[i])) return false
  }
  return wanted.length === levels.length
}

/** The address's parts as mqtt.js names them; given a string, it would use the deprecated parser. */
const partsOf = ({
  protocol,
  host,
  port,
  path,
  user,
  password,
}: BrokerAddress): IClientOptions => ({
  ...{ protocol, host, port },
  ...(protocol.startsWith('ws') && { path }),
  ...(user !== undefined && { username: user }),
  ...(password !== undefined && { password }),
})

/** The bus. The constructor does nothing; `start` dials. */
export class MqttBus implements Bus {
  readonly #options: MqttOptions
  readonly #subscriptions: Subscription[] = []
  readonly #listeners: ((connection: ConnectionState) => void)[] = []
  readonly #outbox = new Outbox()
  #client: MqttClient | undefined
  /** Messages (by packet id) sent in this connection and not acknowledged. */
  readonly #sent = new Set<number>()
  /** QoS 1 messages that the broker takes at once without acknowledging one (MQTT 5, 3.2.2.3.3). */
  #window = Number.POSITIVE_INFINITY
  #inFlight = 0
  /** Messages that wait for room in the window, in their order. */
  #ready: Waiting[] = []
  /** Called once when nothing waits for room any more. */
  #onDrained: () => void = () => {}
  /** The longest packet that the broker takes (MQTT 5, 3.2.2.3.6). */
  #packetBytes = Number.POSITIVE_INFINITY
  readonly #tooLongTold = new Set<string>()
  /** Messages of which the broker says that nobody got them, until that is told. */
  readonly #unheard = new Set<number>()
  /** How often the connection was lost during a message. */
  readonly #losses = new Map<number, number>()
  #up = false
  #reason = ''
  #problem = ''
  #silentCloses = 0
  /** The next loss of the connection only changes the version. */
  #fellBack = false
  #closed = false

  constructor(options: MqttOptions) {
    this.#options = options
  }

  /** Version of MQTT that is spoken now. */
  get version(): number {
    return this.#client?.options.protocolVersion ?? 5
  }

  /** Begins to dial. @throws MdiError `bad-value` when the URL is none */
  start(): void {
    const address = readBrokerUrl(this.#options.url)
    this.#client = mqtt.connect({ ...partsOf(address), ...this.#connectOptions() })
    const client = this.#client
    client.on('connect', ({ properties }) => this.#connected(properties))
    client.on('message', (topic, payload, packet) => this.#receive(topic, payload, packet))
    client.on('error', (error) => this.#failed(error))
    client.on('close', () => this.#lost())
    client.on('packetsend', (packet) => {
      if (packet.cmd === 'publish' && packet.messageId) this.#sent.add(packet.messageId)
    })
    client.on('packetreceive', (packet) => {
      if (packet.cmd !== 'puback' || !packet.messageId) return
      // Before the callback of `publish`, which does not tell the reason.
      if (packet.reasonCode === NOBODY_LISTENS) this.#unheard.add(packet.messageId)
      this.#acknowledged(packet.messageId)
    })
  }

  publish(topic: string, payload: string, options: PublishOptions): void {
    const bytes = Buffer.byteLength(payload)
    if (bytes > limits.controlBytes)
      throw new MdiError(
        'bad-value',
        `A message for ${topic} has ${bytes} bytes; at most ${limits.controlBytes} go by MQTT.`,
      )
    const message = { topic, payload, options }
    if (!this.#up) this.#outbox.keep(message)
    else if (options.qos > 0 && (this.#ready.length > 0 || this.#inFlight >= this.#window)) {
      this.#ready.push(message)
      // What waits here has a bound too: the oldest that are worth little go.
      if (this.#ready.length > limits.busQueue) {
        const passing = this.#ready.findIndex((m) => m.options.passing)
        this.#ready.splice(Math.max(0, passing), 1)
      }
    } else this.#send(message)
  }

  /** Sends what waits for room in the window. */
  #sendReady(): void {
    while (this.#up && this.#inFlight < this.#window) {
      const message = this.#ready.shift()
      if (!message) break
      this.#send(message)
    }
    if (this.#ready.length > 0) return
    this.#onDrained()
    this.#onDrained = () => {}
  }

  /** Whether a packet is longer than the broker takes; it would hang up for it. */
  #isTooLong(topic: string, payload: string): boolean {
    const bytes = Buffer.byteLength(topic) + Buffer.byteLength(payload) + PACKET_OVERHEAD
    if (bytes <= this.#packetBytes) return false
    if (!this.#tooLongTold.has(topic))
      this.#options.onTrouble?.(
        `The broker takes packets of ${this.#packetBytes} bytes at most (its max_packet_size); the message on ${topic} has ${bytes} and is not sent.`,
      )
    if (this.#tooLongTold.size < MOST_TOLD) this.#tooLongTold.add(topic)
    return true
  }

  subscribe(
    filter: string,
    handler: (message: BusMessage) => void,
    { long = false }: { long?: boolean } = {},
  ): void {
    this.#subscriptions.push({ filter, handler, long })
    if (this.#up) this.#subscribe([filter])
  }

  /** Hears no more of a filter. */
  unsubscribe(filter: string): void {
    for (let i = this.#subscriptions.length - 1; i >= 0; i--)
      if (this.#subscriptions[i]?.filter === filter) this.#subscriptions.splice(i, 1)
    // What still comes has no handler: nobody waits for the broker's word.
    if (this.#up) this.#client?.unsubscribe(filter, () => {})
  }

  onConnection(handler: (connection: ConnectionState) => void): void {
    this.#listeners.push(handler)
  }

  /** Sends what is on its way, for a moment, and leaves. The last will is not published. */
  async close(): Promise<void> {
    this.#closed = true
    const client = this.#client
    if (!client) return
    const force = !this.#up
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => client.end(true, () => resolve()), limits.helloMs)
      // What waits for room in the window leaves first.
      this.#onDrained = () =>
        client.end(force, () => {
          clearTimeout(timer)
          resolve()
        })
      if (force) this.#onDrained()
      else this.#sendReady()
    })
    this.#up = false
  }

  get #place(): string {
    return withoutLogins(this.#options.url)
  }

  #connectOptions(): IClientOptions {
    const { clientId, username, password, ca, cert, key, will } = this.#options
    const given = { username, password, ca, cert, key }
    return {
      ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
      clientId,
      protocolVersion: 5,
      clean: true,
      resubscribe: false,
      queueQoSZero: false,
      reconnectOnConnackError: true,
      reconnectPeriod: limits.brokerRedialMs,
      connectTimeout: limits.brokerConnectMs,
      keepalive: limits.brokerKeepaliveSeconds,
      properties: { maximumPacketSize: limits.packetBytes },
      ...(will
        ? { will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: true } }
        : {}),
    }
  }

  #connected(properties: IConnackPacket['properties'] = {}): void {
    this.#window = properties.receiveMaximum ?? Number.POSITIVE_INFINITY
    this.#packetBytes = properties.maximumPacketSize ?? Number.POSITIVE_INFINITY
    this.#fellBack = false
    this.#silentCloses = 0
    this.#problem = ''
    this.#subscribe([...new Set(this.#subscriptions.map((s) => s.filter))])
    this.#up = true
    for (const message of this.#outbox.take())
      this.publish(message.topic, message.payload, message.options)
    this.#reason = ''
    for (const listener of this.#listeners) listener({ up: true })
  }

  #failed(error: Error & { code?: number | string }): void {
    this.#problem =
      typeof error.code === 'string'
        ? socketWords({ ...error, message: error.message, code: error.code })
        : error.message
    const client = this.#client
    if (typeof error.code === 'number' && WRONG_VERSION.includes(error.code)) this.#fallBack(client)
  }

  #fallBack(client: MqttClient | undefined): void {
    if (!client || client.options.protocolVersion === 4) return
    client.options.protocolVersion = 4
    delete client.options.properties
    this.#silentCloses = 0
    this.#fellBack = true
  }

  #acknowledged(id: number): void {
    this.#sent.delete(id)
    this.#losses.delete(id)
  }

  /**
   * A message without acknowledgement is sent again after every loss. A message for which the broker
   * hangs up must not be sent for ever.
   */
  #giveUpPoison(): void {
    for (const id of this.#sent) {
      const losses = (this.#losses.get(id) ?? 0) + 1
      this.#losses.set(id, losses)
      if (losses < limits.publishTries) continue
      this.#losses.delete(id)
      this.#client?.removeOutgoingMessage(id)
      this.#options.onTrouble?.(
        'The broker hung up again and again during one message: it was given up.',
      )
    }
    this.#sent.clear()
  }

  #lost(): void {
    this.#giveUpPoison()
    const wasUp = this.#up
    this.#up = false
    // mqtt.js sends again what was on its way, and tells when it is acknowledged: it still counts.
    // What waited for room waits for the broker now.
    for (const message of this.#ready.splice(0)) this.#outbox.keep(message)
    this.#onDrained()
    this.#onDrained = () => {}
    if (this.#closed) return
    if (this.#fellBack) {
      this.#fellBack = false
      this.#problem = ''
      // After mqtt.js has set its own timer for this close, which this clears.
      setImmediate(() => {
        if (!this.#closed) this.#client?.reconnect()
      })
      return
    }
    // An old broker may close without a word, or answer in a form that cannot be read.
    if (!wasUp && this.#problem === '' && ++this.#silentCloses >= SILENT_CLOSES)
      this.#fallBack(this.#client)
    const why = this.#problem || 'it closed the connection'
    const reason = `The broker at ${this.#place} cannot be reached: ${why}. Trying again.`
    if (reason === this.#reason) return
    this.#reason = reason
    for (const listener of this.#listeners) listener({ up: false, reason })
  }

  #subscribe(filters: string[]): void {
    if (filters.length === 0) return
    this.#client?.subscribe(filters, { qos: 1 }, (error, granted) => {
      const refused = granted?.filter((g) => g.qos >= 128).map((g) => g.topic)
      if (refused?.length)
        this.#options.onTrouble?.(`The broker refuses to let us read ${refused.join(', ')}.`)
      else if (error && this.#up)
        this.#options.onTrouble?.(`Subscribing at the broker failed: ${error.message}.`)
    })
  }

  #send({ topic, payload, options }: Waiting): void {
    const { qos, retain, correlation, heard } = options
    if (this.#isTooLong(topic, payload)) return
    if (qos > 0) this.#inFlight += 1
    const properties =
      correlation && this.version === 5 ? { correlationData: Buffer.from(correlation) } : undefined
    this.#client?.publish(
      topic,
      payload,
      { qos, retain, ...(properties ? { properties } : {}) },
      (error, packet) => {
        if (qos > 0) {
          this.#inFlight = Math.max(0, this.#inFlight - 1)
          this.#sendReady()
        }
        if (packet?.messageId !== undefined) {
          const unheard = this.#unheard.delete(packet.messageId)
          const known = this.#options.heard?.(topic)
          if (!error && (known !== undefined || this.version === 5)) heard?.(known ?? !unheard)
        }
        // A lost connection is told elsewhere; here a broker says no.
        if (error && this.#up)
          this.#options.onTrouble?.(`Publishing to ${topic} failed: ${error.message}.`)
      },
    )
  }

  #receive(topic: string, payload: Uint8Array, packet: IPublishPacket): void {
    const wholeBytes = payload.length
    const tooLong = wholeBytes > limits.controlBytes
    if (tooLong)
      this.#options.onTrouble?.(`A message on ${topic} has ${wholeBytes} bytes: not read.`)
    const { responseTopic, correlationData } = packet.properties ?? {}
    const message: BusMessage = {
      topic,
      payload: tooLong ? payload.subarray(0, limits.prefixBytes) : payload,
      retained: packet.retain,
      ...(tooLong && { wholeBytes }),
      ...(responseTopic === undefined ? {} : { responseTopic }),
      ...(correlationData === undefined ? {} : { correlation: correlationData }),
    }
    for (const { filter, handler, long } of [...this.#subscriptions])
      if ((long || !tooLong) && matchesFilter(filter, topic)) handler(message)
  }
}
