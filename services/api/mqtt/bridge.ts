/**
 * Requests on MQTT: reads what comes on `mdi/bridge/request/<verb>`, has it done, and
 * answers on `mdi/bridge/response/<verb>`. Text of a running request goes out in numbered
 * pieces on a topic of its own.
 */
import { MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { ChatMessage } from '../../model/chat.ts'
import { checkSampling } from '../../model/sampler.ts'
import type { Bus, BusMessage, Clock, Random } from '../../ports.ts'
import { Conversations } from '../../requests/conversations.ts'
import type { CoreListener, CoreRequest, QueuePlace } from '../../requests/core.ts'
import type { Answer, TextRequest } from '../../requests/generation.ts'
import {
  buildTopic,
  filterOf,
  isAgain,
  matchTopic,
  optionsOf,
  readRequest,
  transactionIn,
  transactionOf,
  verbOf,
  writeMessage,
} from '../../wire/topics.ts'
import type { Response, Verb, VerbData, VerbRequest } from '../../wire/verbs.ts'
import { checkAnswerTopic, wrongAnswerTopic } from './responsetopic.ts'
import { Subscribers } from './subscribers.ts'

/** Verbs that are answered by a value; the others by a stream. */
export type PlainVerb = Exclude<Verb, 'generate' | 'chat'>

/** What each verb does; where one is missing, it is not done at this bridge. */
export type VerbHandlers = {
  [V in PlainVerb]?: (request: VerbRequest<V>) => VerbData<V> | Promise<VerbData<V>>
}

/** What the bridge has done by others. */
export type BridgeActions = {
  /** Runs a request; refusals come through the listener. */
  generate(request: CoreRequest, listener: CoreListener, asked: { origin: Origin }): void
  /** Whether a request of this id is running. */
  running(id: string): boolean
  /** Ends a request whose client went away. */
  leave(id: string): void
  do: VerbHandlers
  /** Roots of topics, beside our own, to which no answer may be sent for a client. */
  reserved?: readonly string[]
}

/** Who asked, and how the answer reaches them. */
export type Asker = {
  verb: Verb
  transaction?: string | number
  /** MQTT 5: the answer goes here too, with the correlation data. */
  responseTopic?: string
  correlation?: string
  /** It is run to its end whoever reads its stream. */
  keep?: boolean
}

/** Who asked, and whether its text is streamed: what is kept of a request over a restart. */
export type Origin = { asker: Asker; stream: boolean }

/** Pieces of text are gathered for this long, so that a quick model does not flood. */
const GATHER_MS = 40
/** Answers that are kept for a client that was away when they came, and their bytes. */
const ANSWERS = 256
export const ANSWER_BYTES = 2 << 20

/**
 * A request by what its client calls it, and where that is answered; undefined: it has no
 * transaction.
 */
const keyOf = ({ verb, transaction, responseTopic = '' }: Asker): string | undefined =>
  transaction === undefined ? undefined : `${verb} ${JSON.stringify(transaction)} ${responseTopic}`

export class Bridge {
  readonly #bus: Bus
  readonly #clock: Clock
  readonly #random: Random
  readonly #actions: BridgeActions
  readonly #conversations: Conversations
  readonly #readers: Subscribers
  /** What was asked and is not answered yet, how often, and the last answers, by `keyOf`. */
  readonly #asked = new Map<string, number>()
  readonly #answered = new Map<string, string>()
  #answeredBytes = 0

  constructor(bus: Bus, clock: Clock, random: Random, actions: BridgeActions) {
    this.#bus = bus
    this.#clock = clock
    this.#conversations = new Conversations(clock)
    this.#readers = new Subscribers(bus)
    this.#random = random
    this.#actions = actions
  }

  start(): void {
    const hear = (message: BusMessage) => {
      // A request that is retained would be carried out again at every start.
      if (!message.retained) void this.#request(message)
    }
    this.#bus.subscribe(filterOf('request'), hear, { long: true })
  }

  async #request(message: BusMessage): Promise<void> {
    const name = matchTopic(message.topic)?.parameters.verb ?? ''
    const { wholeBytes } = message
    const transaction = (wholeBytes === undefined ? transactionOf : transactionIn)(message.payload)
    const asker = (verb: Verb): Asker => ({
      verb,
      ...(transaction !== undefined && { transaction }),
      ...(message.responseTopic !== undefined && { responseTopic: message.responseTopic }),
      ...(message.correlation && {
        correlation: Buffer.from(message.correlation).toString('base64'),
      }),
    })
    try {
      const from = asker(verbOf(name))
      if (from.responseTopic !== undefined)
        checkAnswerTopic(from.responseTopic, this.#actions.reserved)
      if (wholeBytes !== undefined)
        throw new MdiError(
          'bad-value',
          `The request has ${wholeBytes} bytes; at most ${limits.controlBytes} are read.`,
        )
      if (this.#known(from, message.payload)) return
      await this.#do(from, message.payload)
    } catch (error) {
      if (!(error instanceof MdiError)) throw error
      const topic = /^[A-Za-z0-9_-]{1,63}(\/[A-Za-z0-9_-]{1,63})?$/.test(name) ? name : 'unknown'
      this.refuse(asker(topic as Verb), error)
    }
  }

  /** Whether this was asked before: then it is not done again, at most answered again. */
  #known(asker: Asker, payload: Uint8Array): boolean {
    const key = keyOf(asker)
    if (key === undefined) return false
    if (isAgain(payload)) {
      if (this.#asked.has(key)) return true
      const answer = this.#answered.get(key)
      if (answer !== undefined) {
        this.#publish(asker, answer)
        return true
      }
    }
    this.#await(key, 1)
    return false
  }

  /** One more, or one less, is to be answered under this key. */
  #await(key: string, change: 1 | -1): void {
    const count = (this.#asked.get(key) ?? 0) + change
    if (count > 0) this.#asked.set(key, count)
    else this.#asked.delete(key)
  }

  async #do(asker: Asker, payload: Uint8Array): Promise<void> {
    const { verb } = asker
    if (verb === 'generate' || verb === 'chat') this.#generate(asker, verb, payload)
    else await this.#plain(asker, verb, payload)
  }

  async #plain<V extends PlainVerb>(asker: Asker, verb: V, payload: Uint8Array): Promise<void> {
    const doing = this.#actions.do[verb] as
      | ((request: VerbRequest<V>) => VerbData<V> | Promise<VerbData<V>>)
      | undefined
    if (!doing)
      throw new MdiError('unsupported', `"${verb}" is answered only at the ring's own broker.`)
    this.answer(asker, await doing(readRequest(verb, payload)))
  }

  #generate(asker: Asker, verb: 'generate' | 'chat', payload: Uint8Array): void {
    const request = readRequest(verb, payload) as VerbRequest<'generate'> | VerbRequest<'chat'>
    const id = this.#idOf(request)
    if (this.#actions.running(id))
      throw new MdiError('bad-value', `A request ${id} is running already; choose another id.`)
    const sampling = checkSampling({ seed: this.#random.uint32(), ...request.sampling })
    const text: TextRequest = {
      id,
      input:
        'prompt' in request ? { prompt: request.prompt } : { messages: this.#withTurns(request) },
      sampling,
      maxTokens: request.maxTokens,
      stop: request.stop ?? [],
    }
    const stream = request.stream ?? true
    if (request.keep) asker.keep = true
    const told = this.#listener(asker, id, stream)
    const listener = 'prompt' in request ? told : this.#remembering(request, told)
    const client = request.client ?? asker.responseTopic ?? 'mqtt'
    const origin: Origin = { asker, stream }
    this.#actions.generate({ client: `mqtt ${client}`, text, model: request.model }, listener, {
      origin,
    })
  }

  /** A chat's messages, with the turns of its conversation before them. */
  #withTurns({ messages, conversation }: VerbRequest<'chat'>): ChatMessage[] {
    if (conversation === undefined) return messages
    const system = messages.filter(({ role }) => role === 'system')
    const rest = messages.filter(({ role }) => role !== 'system')
    return [...system, ...this.#conversations.messages(conversation), ...rest]
  }

  #remembering(
    { messages, conversation }: VerbRequest<'chat'>,
    listener: CoreListener,
  ): CoreListener {
    const last = messages.at(-1)
    if (conversation === undefined || last?.role !== 'user') return listener
    return {
      ...listener,
      end: (answer) => {
        if (answer.reason !== 'cancelled')
          this.#conversations.add(conversation, last.content, answer.text)
        listener.end(answer)
      },
    }
  }

  /** The request's name: its own, its transaction where that can be one, or a new one. */
  #idOf(request: { id?: string | undefined; transaction?: string | number | undefined }): string {
    if (request.id !== undefined) return request.id
    const name = String(request.transaction ?? '')
    const usable = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(name) && !this.#actions.running(name)
    if (usable) return name
    const part = () => this.#random.uint32().toString(16).padStart(8, '0')
    return `r-${part()}${part()}`
  }

  /** Takes up a request that a process before this one was asked. */
  resume(id: string, { asker, stream }: Origin): CoreListener {
    const key = keyOf(asker)
    if (key !== undefined) this.#await(key, 1)
    return this.#listener(asker, id, stream)
  }

  /** Tells a request's text and end to whoever asked. */
  #listener(asker: Asker, id: string, stream: boolean): CoreListener {
    let index = 0
    let at = 0
    let gathered = ''
    let cancelGather: (() => void) | undefined
    const heard = asker.keep ? undefined : this.#readers.watch(() => this.#actions.leave(id))
    const piece = (last: boolean, queue?: QueuePlace) => {
      cancelGather?.()
      cancelGather = undefined
      if (!stream || (gathered === '' && !last && !queue)) return
      const message = {
        ...{ id, index: index++, at, text: gathered },
        ...(queue && { queue }),
        ...(last && { last }),
      }
      at += gathered.length
      gathered = ''
      const topic = buildTopic('stream', { request: id })
      const options = { ...optionsOf('stream'), ...(heard && !last && { heard }) }
      this.#bus.publish(topic, writeMessage('stream', message), options)
    }
    return {
      queued: (place) => piece(false, place),
      text: (text) => {
        gathered += text
        cancelGather ??= this.#clock.after(GATHER_MS, () => piece(false))
      },
      end: (answer) => {
        piece(true)
        this.answer(asker, answerData(answer))
      },
      error: (error) => {
        piece(true)
        this.refuse(asker, error)
      },
    }
  }

  /** Answers with data. */
  answer<V extends Verb>(asker: Asker, data: VerbData<V>): void {
    this.#respond(asker, { status: 'ok', data })
  }

  /** Answers with an error's sentence. */
  refuse(asker: Asker, error: MdiError): void {
    const { code, message } = error
    this.#respond(asker, { status: 'error', data: {}, error: message, code })
  }

  #respond(asker: Asker, response: Response<unknown>): void {
    const { transaction } = asker
    const payload = JSON.stringify({
      ...response,
      ...(transaction !== undefined && { transaction }),
    })
    const key = keyOf(asker)
    if (key !== undefined) {
      this.#await(key, -1)
      this.#keep(key, payload)
    }
    this.#publish(asker, payload)
  }

  /** Keeps an answer; the oldest make room. */
  #keep(key: string, payload: string): void {
    this.#forget(key)
    this.#answered.set(key, payload)
    this.#answeredBytes += payload.length
    for (const oldest of this.#answered.keys()) {
      if (this.#answered.size <= ANSWERS && this.#answeredBytes <= ANSWER_BYTES) return
      this.#forget(oldest)
    }
  }

  #forget(key: string): void {
    this.#answeredBytes -= this.#answered.get(key)?.length ?? 0
    this.#answered.delete(key)
  }

  #publish({ verb, responseTopic, correlation }: Asker, payload: string): void {
    const options = {
      ...optionsOf('response'),
      ...(correlation !== undefined && { correlation: Buffer.from(correlation, 'base64') }),
    }
    this.#bus.publish(buildTopic('response', { verb }), payload, options)
    // Looked at here too: it may be one that a process before this one kept.
    const open =
      responseTopic !== undefined && !wrongAnswerTopic(responseTopic, this.#actions.reserved)
    if (open) this.#bus.publish(responseTopic, payload, options)
  }
}

const answerData = (answer: Answer): VerbData<'generate'> => ({
  id: answer.id,
  model: answer.model,
  text: answer.text,
  reason: answer.reason,
  promptTokens: answer.promptTokens,
  tokens: answer.tokens,
  ...(answer.firstTokenMs !== undefined && { firstTokenMs: answer.firstTokenMs }),
  ...(answer.tokensPerSecond !== undefined && { tokensPerSecond: answer.tokensPerSecond }),
})
