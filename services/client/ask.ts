/** Requests to the coordinator by the cluster's bus, and their answers. */
import { errorFrom, MdiError } from '../errors.ts'
import type { Bus, Clock, Random } from '../ports.ts'
import { buildTopic, optionsOf, readMessage, readResponse } from '../wire/topics.ts'
import type { Verb, VerbData, VerbRequest } from '../wire/verbs.ts'

export type Ask<V extends Verb> = Omit<VerbRequest<V>, 'transaction'>

/** A request that is not answered yet. */
type Waiting = {
  verb: Verb
  request: object
  settle: (payload: Uint8Array) => void
  fail: (error: MdiError) => void
}

/** A bus of which a topic can be left again. */
type LeavableBus = Pick<Bus, 'publish' | 'subscribe'> & { unsubscribe?(filter: string): void }

/** Most answers come at once; loading a model takes as long as it takes. */
const ANSWER_MS = 15_000
const LOAD_MS = 900_000

/** Milliseconds after which a silent coordinator is given up, for one who cannot see it go. */
export const patience = (verb: Verb): number => (verb === 'load' ? LOAD_MS : ANSWER_MS)

export class RequestClient {
  readonly #bus: LeavableBus
  readonly #clock: Clock
  readonly #random: Random
  readonly #listening = new Set<Verb>()
  readonly #waiting = new Map<string, Waiting>()

  readonly #patience: ((verb: Verb) => number) | undefined

  /** @param within milliseconds for an answer; absent: as long as it takes */
  constructor(bus: LeavableBus, clock: Clock, random: Random, within?: (verb: Verb) => number) {
    this.#patience = within
    this.#bus = bus
    this.#clock = clock
    this.#random = random
  }

  /** Requests that are not answered yet. */
  get waiting(): number {
    return this.#waiting.size
  }

  /**
   * Asks, and waits for the answer.
   * @throws MdiError what the coordinator refuses with; `not-ready` where it is silent
   */
  ask<V extends Verb>(verb: V, request: Ask<V>): Promise<VerbData<V>> {
    this.#listen(verb)
    const transaction = this.#newTransaction()
    const { promise, resolve, reject } = Promise.withResolvers<VerbData<V>>()
    const fail = (error: MdiError) => {
      if (this.#waiting.delete(transaction)) reject(error)
    }
    const late = () => fail(new MdiError('not-ready', 'The coordinator does not answer.'))
    const stop = this.#patience ? this.#clock.after(this.#patience(verb), late) : () => {}
    const settle = (payload: Uint8Array) => {
      stop()
      try {
        const response = readResponse(verb, payload)
        if (response.status === 'ok') resolve(response.data)
        else reject(errorFrom({ code: response.code, message: response.error }))
      } catch (error) {
        reject(error)
      }
    }
    this.#waiting.set(transaction, { verb, request, settle, fail })
    this.#publish(verb, { ...request, transaction })
    return promise
  }

  /** Asks for text; its pieces are told in order, each once. @throws MdiError as `ask` */
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
      const answer = await this.ask(verb, { ...request, keep: true } as Ask<V>)
      tell(0, answer.text)
      return answer
    } finally {
      this.#bus.unsubscribe?.(topic)
    }
  }

  /** The coordinator is there, perhaps again: what it may have missed is asked again. */
  askAgain(): void {
    for (const [transaction, { verb, request }] of this.#waiting)
      this.#publish(verb, { ...request, transaction, again: true })
  }

  /** Ends the wait for a request that nobody is there to cancel. */
  giveUp(id: string): void {
    for (const { request, fail } of [...this.#waiting.values()])
      if ((request as { id?: unknown }).id === id) fail(new MdiError('cancelled', 'Cancelled.'))
  }

  /** Ends every wait. */
  giveUpAll(error: MdiError): void {
    for (const { fail } of [...this.#waiting.values()]) fail(error)
  }

  #newTransaction(): string {
    const part = () => this.#random.uint32().toString(16).padStart(8, '0')
    return `${part()}${part()}${part()}${part()}`
  }

  #publish(verb: Verb, request: object): void {
    const topic = buildTopic('request', { verb })
    this.#bus.publish(topic, JSON.stringify(request), optionsOf('request'))
  }

  #listen(verb: Verb): void {
    if (this.#listening.has(verb)) return
    this.#listening.add(verb)
    this.#bus.subscribe(buildTopic('response', { verb }), ({ payload }) => this.#answer(payload))
  }

  #answer(payload: Uint8Array): void {
    let transaction: unknown
    try {
      transaction = Object(JSON.parse(new TextDecoder().decode(payload))).transaction
    } catch {
      // Somebody else's message on our topic.
      return
    }
    const waiting = this.#waiting.get(String(transaction))
    this.#waiting.delete(String(transaction))
    waiting?.settle(payload)
  }
}
