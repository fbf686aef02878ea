/** A client of the ring: asks the coordinator by MQTT, from any machine. */
import { randomUUID } from 'node:crypto'
import type { LoadedConfig } from '../config.ts'
import { errorFrom, MdiError } from '../errors.ts'
import { MqttBus } from '../io/mqtt/client.ts'
import { buildTopic, optionsOf, readMessage, readResponse } from '../wire/topics.ts'
import type { Verb, VerbData, VerbRequest } from '../wire/verbs.ts'
import { brokerOf } from './settings.ts'

/** How long the broker, and then a coordinator, may take to show themselves. */
const BROKER_MS = 5_000
const COORDINATOR_MS = 3_000
/** What was asked is given up when broker or coordinator stay away for so long. */
const AWAY_MS = 30_000

export type Ask<V extends Verb> = Omit<VerbRequest<V>, 'transaction'>

/** A request that is not answered yet. */
type Waiting = {
  verb: Verb
  request: object
  settle: (payload: Uint8Array) => void
  fail: (error: MdiError) => void
}

export class RemoteRing {
  readonly #bus: MqttBus
  readonly #url: string
  readonly #waiting = new Map<string, Waiting>()
  #away: NodeJS.Timeout | undefined
  #coordinator: 'unknown' | 'online' | 'offline' = 'unknown'
  #onCoordinator: () => void = () => {}
  #presence: Promise<void> | undefined
  readonly #listening = new Set<Verb>()

  private constructor(settings: LoadedConfig) {
    this.#url = brokerOf(settings)
    const { user, password } = settings.broker
    this.#bus = new MqttBus({
      url: this.#url,
      clientId: `mdi-client-${randomUUID().slice(0, 13)}`,
      ...(user !== undefined && { username: user }),
      ...(password !== undefined && { password }),
    })
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
          this.#gone(`The broker ${this.#url}`)
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
      } catch {
        // Somebody else's message on our topic: as if nothing had come.
      }
    })
    this.#bus.start()
    const broker = () => new MdiError('broker', `The broker ${this.#url} is not there: ${reason}`)
    await within(connected, BROKER_MS, broker)
  }

  /** The coordinator is there, perhaps again: what it may have missed is asked again. */
  #back(): void {
    clearTimeout(this.#away)
    this.#away = undefined
    for (const [transaction, { verb, request }] of this.#waiting)
      this.#publish(verb, { ...request, transaction, again: true })
  }

  #gone(who: string): void {
    if (this.#away || this.#waiting.size === 0) return
    this.#away = setTimeout(() => {
      this.#away = undefined
      const message = `${who} went away and has not come back for ${AWAY_MS / 1000} s.`
      for (const { fail } of this.#waiting.values()) fail(new MdiError('not-ready', message))
      this.#waiting.clear()
    }, AWAY_MS)
  }

  #publish(verb: Verb, request: object): void {
    const topic = buildTopic('request', { verb })
    this.#bus.publish(topic, JSON.stringify(request), optionsOf('request'))
  }

  /** Ends the wait for a request that nobody is there to cancel. */
  giveUp(id: string): void {
    for (const [transaction, { request, fail }] of this.#waiting) {
      if ((request as { id?: unknown }).id !== id) continue
      this.#waiting.delete(transaction)
      fail(new MdiError('cancelled', 'Cancelled.'))
    }
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
    const message = `No coordinator is there on ${this.#url}; start one with \`mdi coordinator\`.`
    const presence = within(seen, COORDINATOR_MS, () => new MdiError('not-ready', message))
    this.#presence = presence.finally(() => {
      this.#presence = undefined
    })
    return this.#presence
  }

  /** Asks, and waits for the answer. @throws MdiError what the coordinator refuses with */
  async ask<V extends Verb>(verb: V, request: Ask<V>): Promise<VerbData<V>> {
    await this.#present()
    const transaction = randomUUID()
    this.#listen(verb)
    const answer = new Promise<VerbData<V>>((resolve, reject) => {
      this.#waiting.set(transaction, {
        verb,
        request,
        fail: reject,
        settle: (payload) => {
          try {
            const response = readResponse(verb, payload)
            if (response.status === 'ok') resolve(response.data)
            else reject(errorFrom({ code: response.code, message: response.error }))
          } catch (error) {
            reject(error)
          }
        },
      })
    })
    this.#publish(verb, { ...request, transaction })
    return answer
  }

  #listen(verb: Verb): void {
    if (this.#listening.has(verb)) return
    this.#listening.add(verb)
    this.#bus.subscribe(buildTopic('response', { verb }), ({ payload }) => {
      try {
        const parsed: unknown = JSON.parse(new TextDecoder().decode(payload))
        const { transaction } = Object(parsed) as { transaction?: unknown }
        const waiting = this.#waiting.get(String(transaction))
        this.#waiting.delete(String(transaction))
        waiting?.settle(payload)
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error
      }
    })
  }

  /** Asks for text; its pieces are told in order, each once. */
  async stream<V extends 'generate' | 'chat'>(
    verb: V,
    request: Ask<V> & { id: string },
    onText: (text: string) => void,
  ): Promise<VerbData<V>> {
    const topic = buildTopic('stream', { request: request.id })
    let told = 0
    const tell = (at: number, text: string) => {
      // A piece that was missed is in the answer; a coordinator that restarts tells all again.
      const more = at > told ? '' : text.slice(told - at)
      told += more.length
      if (more !== '') onText(more)
    }
    this.#bus.subscribe(topic, ({ payload }) => {
      try {
        const { at, text } = readMessage('stream', topic, payload)
        tell(at, text)
      } catch (error) {
        // Somebody else's message on our topic; the answer has the text in any case.
        if (!(error instanceof MdiError)) throw error
      }
    })
    try {
      // It may lose its broker and come back: it says itself when it is not wanted any more.
      const answer = await this.ask(verb, { ...request, keep: true })
      tell(0, answer.text)
      return answer
    } finally {
      this.#bus.unsubscribe(topic)
    }
  }

  close(): Promise<void> {
    clearTimeout(this.#away)
    return this.#bus.close()
  }
}

const within = async (promise: Promise<void>, ms: number, error: () => MdiError): Promise<void> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(error()), ms)
  })
  try {
    await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
