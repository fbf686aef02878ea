/** Asks the coordinator by the ring's bus, for someone who asked elsewhere. */
import { errorFrom, MdiError } from '../errors.ts'
import type { Bus, Clock, Random } from '../ports.ts'
import { buildTopic, optionsOf, readResponse } from '../wire/topics.ts'
import type { Verb, VerbData, VerbRequest } from '../wire/verbs.ts'

/** Most answers come at once; loading a model takes as long as it takes. */
const ANSWER_MS = 15_000
const LOAD_MS = 900_000

export class RequestClient {
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #random: Random
  readonly #listening = new Set<Verb>()
  readonly #waiting = new Map<string, (payload: Uint8Array) => void>()

  constructor(bus: Bus, clock: Clock, random: Random) {
    this.#bus = bus
    this.#clock = clock
    this.#random = random
  }

  /** @throws MdiError what the coordinator refuses with; `not-ready` where it is silent */
  ask<V extends Verb>(verb: V, request: Omit<VerbRequest<V>, 'transaction'>): Promise<VerbData<V>> {
    if (!this.#listening.has(verb)) {
      this.#listening.add(verb)
      this.#bus.subscribe(buildTopic('response', { verb }), ({ payload }) => this.#answer(payload))
    }
    const transaction = `forward-${this.#random.uint32()}-${this.#random.uint32()}`
    return new Promise((resolve, reject) => {
      const stop = this.#clock.after(verb === 'load' ? LOAD_MS : ANSWER_MS, () => {
        this.#waiting.delete(transaction)
        reject(new MdiError('not-ready', 'The coordinator does not answer.'))
      })
      this.#waiting.set(transaction, (payload) => {
        stop()
        try {
          const response = readResponse(verb, payload)
          if (response.status === 'ok') resolve(response.data)
          else reject(errorFrom({ code: response.code, message: response.error }))
        } catch (error) {
          reject(error)
        }
      })
      const topic = buildTopic('request', { verb })
      this.#bus.publish(topic, JSON.stringify({ ...request, transaction }), optionsOf('request'))
    })
  }

  #answer(payload: Uint8Array): void {
    let transaction: unknown
    try {
      transaction = Object(JSON.parse(new TextDecoder().decode(payload))).transaction
    } catch {
      return
    }
    const key = String(transaction)
    const waiting = this.#waiting.get(key)
    this.#waiting.delete(key)
    waiting?.(payload)
  }
}
