/** A client of the ring: asks the coordinator by MQTT, from any machine. */
import { randomUUID } from 'node:crypto'
import { type Ask, RequestClient } from '../client/ask.ts'
import type { LoadedConfig } from '../config.ts'
import { MdiError } from '../errors.ts'
import { realClock, realRandom } from '../io/clock.ts'
import { MqttBus } from '../io/mqtt/client.ts'
import { readCa } from '../lifecycle/adapters.ts'
import { withoutLogins } from '../wire/brokerurl.ts'
import { buildTopic, readMessage } from '../wire/topics.ts'
import type { Verb, VerbData } from '../wire/verbs.ts'
import { brokerOf } from './settings.ts'

/** How long the broker, and then a coordinator, may take to show themselves. */
const BROKER_MS = 5_000
const COORDINATOR_MS = 3_000
/** What was asked is given up when broker or coordinator stay away for so long. */
const AWAY_MS = 30_000

export class RemoteRing {
  readonly #bus: MqttBus
  /** The broker, for sentences. */
  readonly #place: string
  readonly #client: RequestClient
  #stopAway: (() => void) | undefined
  #coordinator: 'unknown' | 'online' | 'offline' = 'unknown'
  #onCoordinator: () => void = () => {}
  #presence: Promise<void> | undefined

  private constructor(settings: LoadedConfig) {
    const url = brokerOf(settings)
    this.#place = withoutLogins(url)
    const { user, password, ca } = settings.broker
    const authority = readCa('broker.ca', ca)
    this.#bus = new MqttBus({
      url,
      clientId: `mdi-client-${randomUUID().slice(0, 13)}`,
      ...(user !== undefined && { username: user }),
      ...(password !== undefined && { password }),
      ...(authority !== undefined && { ca: authority }),
    })
    this.#client = new RequestClient(this.#bus, realClock, realRandom)
  }

  /** Connects to the broker of the settings. @throws MdiError `broker`, `not-ready` */
  static async connect(settings: LoadedConfig): Promise<RemoteRing> {
    const ring = new RemoteRing(settings)
    try {
      await ring.#start()
    } catch (error) {
      await ring.close()
      throw error
    }
    return ring
  }

  async #start(): Promise<void> {
    let reason = 'no answer'
    const connected = new Promise<void>((resolve) => {
      this.#bus.onConnection((connection) => {
        if (connection.up) resolve()
        else {
          reason = connection.reason
          this.#gone(`The broker ${this.#place}`)
        }
      })
    })
    const topic = buildTopic('bridgeState', {})
    this.#bus.subscribe(topic, ({ payload }) => {
      try {
        this.#coordinator = readMessage('bridgeState', topic, payload).state
        if (this.#coordinator === 'online') this.#back()
        else this.#gone('The coordinator')
        this.#onCoordinator()
      } catch (error) {
        // A message of somebody else on our topic is ignored.
        if (!(error instanceof MdiError)) throw error
      }
    })
    this.#bus.start()
    const broker = () => new MdiError('broker', `The broker ${this.#place} is not there: ${reason}`)
    await within(connected, BROKER_MS, broker)
  }

  #back(): void {
    this.#stopAway?.()
    this.#stopAway = undefined
    this.#client.askAgain()
  }

  #gone(who: string): void {
    if (this.#stopAway || this.#client.waiting === 0) return
    this.#stopAway = realClock.after(AWAY_MS, () => {
      this.#stopAway = undefined
      const message = `${who} went away and has not come back for ${AWAY_MS / 1000} s.`
      this.#client.giveUpAll(new MdiError('not-ready', message))
    })
  }

  /** Ends the wait for a request that nobody is there to cancel. */
  giveUp(id: string): void {
    this.#client.giveUp(id)
  }

  /** Waits until a coordinator shows itself. */
  #present(): Promise<void> {
    if (this.#coordinator === 'online') return Promise.resolve()
    if (this.#presence) return this.#presence
    const seen = new Promise<void>((resolve) => {
      this.#onCoordinator = () => {
        if (this.#coordinator === 'online') resolve()
      }
    })
    const message = `No coordinator is there on ${this.#place}; start one with \`mdi coordinator\`.`
    const presence = within(seen, COORDINATOR_MS, () => new MdiError('not-ready', message))
    this.#presence = presence.finally(() => {
      this.#presence = undefined
    })
    return this.#presence
  }

  /** Asks, and waits for the answer. @throws MdiError what the coordinator refuses with */
  async ask<V extends Verb>(verb: V, request: Ask<V>): Promise<VerbData<V>> {
    await this.#present()
    return this.#client.ask(verb, request)
  }

  /** Asks for text; its pieces are told in order, each once. */
  async stream<V extends 'generate' | 'chat'>(
    verb: V,
    request: Ask<V> & { id: string },
    onText: (text: string) => void,
  ): Promise<VerbData<V>> {
    await this.#present()
    return this.#client.stream(verb, request, onText)
  }

  close(): Promise<void> {
    this.#stopAway?.()
    return this.#bus.close()
  }
}

const within = async (promise: Promise<void>, ms: number, error: () => MdiError): Promise<void> => {
  let stop = (): void => {}
  const late = new Promise<never>((_, reject) => {
    stop = realClock.after(ms, () => reject(error()))
  })
  try {
    await Promise.race([promise, late])
  } finally {
    stop()
  }
}
