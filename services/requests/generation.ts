/**
 * The request core: text in, text out. It makes the prompt's tokens, follows the tokens
 * that come back, and cuts them into text; whoever asked (command line, MQTT, a voice
 * assistant) sees only events.
 */
import { errorFrom, MdiError } from '../errors.ts'
import { type ChatFormat, type ChatMessage, cutHistory } from '../model/chat.ts'
import type { Manifest, TextSpec } from '../model/spec.ts'
import { type StreamPiece, TextStream } from '../model/stream.ts'
import { opensThinking, type ThinkingMarks, thinkingMarks } from '../model/thinking.ts'
import type { Tokenizer } from '../model/tokenizer.ts'
import type { Clock, SamplingParameters } from '../ports.ts'
import type { TokenListener } from '../ring/ledger.ts'
import type { End, Open, Token } from '../wire/requests.ts'
import type { TokenSource } from './tokensource.ts'

export type TextRequest = {
  id: string
  /** A text to continue as it is, with its control tokens; or a conversation to answer. */
  input: { prompt: string } | { messages: readonly ChatMessage[] }
  sampling: SamplingParameters
  /** Tokens at most; absent: `DEFAULT_TOKENS`, as far as the context has room. */
  maxTokens?: number | undefined
  stop: readonly string[]
  /** A process before this one asked it: the ring may run it, or have run it, already. */
  again?: boolean | undefined
  /** Compares with a reference instead of sampling; see `Open`. */
  score?: Open['score'] | undefined
  /**
   * Whether the answer tells its first line's probability. It may depend on the model: with a
   * large vocabulary each token takes a millisecond more.
   */
  lineLogprob?: boolean | ((text: TextSpec) => boolean) | undefined
}

/** What a request came to. */
export type Answer = {
  id: string
  model: string
  text: string
  /** What the model thought before, which is no part of the answer; absent: nothing. */
  reasoning?: string
  /** `end`: an end token or a stop string. */
  reason: End['reason']
  promptTokens: number
  tokens: number
  /** From the request to the first token, and tokens a second after it. */
  firstTokenMs?: number
  tokensPerSecond?: number
  /** Turns of the conversation that were dropped to fit the context. */
  dropped: number
  /** Pieces of the prompt that the model's vocabulary cannot spell; absent: none. */
  unspelled?: number
  /** Natural log of the probability of the first line, its end included; see `TextRequest`. */
  lineLogprob?: number
}

export interface AnswerListener {
  /** Text that is certain, as it comes. */
  text(text: string): void
  /** What the model thinks before it answers, as it comes; whoever has no use for it is not told. */
  thought?(text: string): void
  /** For a scored request, and for whoever wants the tokens. */
  token?(token: Token): void
  end(answer: Answer): void
  error(error: MdiError): void
}

/** Tokens of an answer unless a request says otherwise. */
export const DEFAULT_TOKENS = 512

export type GenerationModel = {
  manifest: Manifest
  tokenizer: Tokenizer
  chat: Pick<ChatFormat, 'prompt'>
  /** Positions that a sequence may reach in the ring as it is loaded. */
  context: number
}

/** How tokens become text: stop strings, thoughts, and whether it goes on from the prompt's text. */
export type StreamForm = {
  stops: string[]
  continues: boolean
  thoughts: { marks: ThinkingMarks; open: boolean } | undefined
}

type Running = {
  listener: AnswerListener
  stream: TextStream
  answer: Answer
  startedAt: number
  firstAt: number
  lastAt: number
  /** A stop string was met: the ring is told, and what still comes is not text. */
  stopped: boolean
  /** Whether the first line's probability is told. */
  lineLogprob: boolean
  /** The model thinks, so that tokens without text are none of the answer's line. */
  thoughts: boolean
}

/** Runs requests against one model in one ring. */
export class Generations {
  readonly #source: TokenSource
  readonly #clock: Clock
  readonly #running = new Map<string, Running>()
  /** Requests whose prompt is being made: how each is given up, or forgotten. */
  readonly #starting = new Map<string, (how: 'cancelled' | 'released') => void>()

  constructor(source: TokenSource, clock: Clock) {
    this.#source = source
    this.#clock = clock
  }

  /** Ids of the requests that run. */
  get running(): string[] {
    return [...this.#running.keys()]
  }

  has(id: string): boolean {
    return this.#running.has(id)
  }

  /**
   * Starts a request. Errors of its making, the model's among them, go to the listener too.
   * It can be cancelled as soon as this has been called.
   */
  async submit(
    from: GenerationModel | Promise<GenerationModel>,
    request: TextRequest,
    listener: AnswerListener,
  ): Promise<Open | undefined> {
    const { id } = request
    const startedAt = this.#clock.now()
    let over = false
    let unwanted = false
    const giveUp = (how: 'cancelled' | 'released') => {
      // The ring may run it already: it ends when that has been told.
      unwanted = how === 'cancelled' && request.again === true
      if (unwanted) return
      over = true
      this.#starting.delete(id)
      if (how === 'cancelled') listener.end(cancelledAnswer(id))
    }
    this.#starting.set(id, giveUp)
    try {
      const model = await from
      if (over) return undefined
      const { ids, stops, dropped, text, lost } = await promptOf(model, request)
      if (over) return undefined
      this.#starting.delete(id)
      const open = openOf(model, request, ids)
      const marks = marksOf(model)
      const stream = {
        stops: [...request.stop, ...stops],
        continues: 'prompt' in request.input,
        thoughts: marks && { marks, open: opensThinking(text, marks) },
      }
      const told = this.#take(model, open, stream, listener, startedAt, dropped)
      const running = this.#running.get(id)
      if (running && lost > 0) running.answer.unspelled = lost
      this.#source.open(open, told, request.again)
      if (unwanted) this.#source.cancel(id)
      return open
    } catch (error) {
      if (!(error instanceof MdiError)) throw error
      if (over) return undefined
      this.#starting.delete(id)
      this.#running.delete(id)
      listener.error(error)
      return undefined
    }
  }

  #take(
    model: GenerationModel,
    open: Open,
    { stops, continues, thoughts }: StreamForm,
    listener: AnswerListener,
    startedAt: number,
    dropped: number,
  ): TokenListener {
    const stream = new TextStream(model.tokenizer, {
      stops,
      endIds: open.endIds,
      start: continues ? 'continuation' : 'text',
      thoughts,
    })
    this.#running.set(open.id, {
      listener,
      stream,
      answer: { ...emptyAnswer(model, open.id), promptTokens: open.tokens.length, dropped },
      startedAt,
      firstAt: 0,
      lastAt: 0,
      stopped: false,
      lineLogprob: open.logprob === true,
      thoughts: stream.thinking,
    })
    return { token: (token) => this.#token(token), end: (end) => this.#end(end) }
  }

  /** Ends a request: at once while its prompt is being made, or else when the ring says so. */
  cancel(id: string): void {
    const giveUp = this.#starting.get(id)
    if (giveUp) giveUp('cancelled')
    else this.#source.cancel(id)
  }

  /** Forgets a request without a word; the ring runs on with it. */
  release(id: string): void {
    this.#starting.get(id)?.('released')
    this.#running.delete(id)
  }

  #token(token: Token): void {
    const running = this.#running.get(token.id)
    if (!running || running.stopped) return
    const now = this.#clock.now()
    if (running.answer.tokens === 0) running.firstAt = now
    running.lastAt = now
    running.answer.tokens += 1
    running.listener.token?.(token)
    const [logprob] = running.lineLogprob ? (token.logprobs ?? []) : []
    const firstLine = !running.answer.text.includes('\n')
    const piece = running.stream.push(token.token)
    if (logprob !== undefined && firstLine && !(running.thoughts && piece.text === ''))
      running.answer.lineLogprob = (running.answer.lineLogprob ?? 0) + logprob
    running.thoughts = running.stream.thinking
    this.#emit(running, piece)
    if (piece.stopped === 'stop') {
      running.stopped = true
      this.#source.cancel(token.id)
    }
  }

  #emit(
    { answer, listener }: Running,
    { thought, text }: Pick<StreamPiece, 'thought' | 'text'>,
  ): void {
    if (thought !== '') {
      answer.reasoning = (answer.reasoning ?? '') + thought
      listener.thought?.(thought)
    }
    if (text === '') return
    answer.text += text
    listener.text(text)
  }

  #end(end: End): void {
    const running = this.#running.get(end.id)
    if (!running) return
    this.#running.delete(end.id)
    const { answer, startedAt, firstAt, lastAt, stopped } = running
    if (!stopped) this.#emit(running, running.stream.flush())
    if (end.reason === 'error' && !stopped) {
      const lost = { code: 'node-lost', message: 'The request was ended.' }
      running.listener.error(errorFrom(end.error ?? lost))
      return
    }
    answer.reason = stopped ? 'end' : end.reason
    if (answer.tokens > 0) answer.firstTokenMs = firstAt - startedAt
    if (answer.tokens > 1 && lastAt > firstAt)
      answer.tokensPerSecond = ((answer.tokens - 1) * 1000) / (lastAt - firstAt)
    running.listener.end(answer)
  }
}

const emptyAnswer = (model: GenerationModel, id: string): Answer => ({
  id,
  model: model.manifest.name,
  text: '',
  reason: 'end',
  promptTokens: 0,
  tokens: 0,
  dropped: 0,
})

/** What a request comes to that was cancelled before it entered the ring. */
export const cancelledAnswer = (id: string, model = ''): Answer => ({
  ...{ id, model, text: '', reason: 'cancelled' },
  ...{ promptTokens: 0, tokens: 0, dropped: 0 },
})

/** @throws MdiError `too-long` where the prompt leaves no room for an answer */
const openOf = (model: GenerationModel, request: TextRequest, ids: number[]): Open => {
  const { text } = model.manifest
  const room = model.context - ids.length
  if (room < 1)
    throw new MdiError(
      'too-long',
      `The prompt has ${ids.length} tokens or more; the context holds ${model.context}. Shorten it, or load the model with a larger context.`,
    )
  return {
    id: request.id,
    model: model.manifest.name,
    tokens: ids,
    generated: 0,
    sampling: request.sampling,
    maxTokens: Math.min(request.maxTokens ?? DEFAULT_TOKENS, room),
    endIds: text.endIds,
    ...(request.score && { score: request.score }),
    ...(wantsLogprob(request, text) && { logprob: true }),
  }
}

/** A model's marks of thoughts. */
const marksOf = (model: GenerationModel): ThinkingMarks | undefined => {
  const { tokenizer, manifest } = model
  return thinkingMarks((text) => tokenizer.isAdded(text), manifest.text.chatTemplate)
}

const wantsLogprob = ({ lineLogprob }: TextRequest, text: TextSpec): boolean =>
  typeof lineLogprob === 'function' ? lineLogprob(text) : lineLogprob === true

const promptOf = async (
  model: GenerationModel,
  request: TextRequest,
): Promise<{ ids: number[]; text: string; stops: string[]; dropped: number; lost: number }> => {
  if ('prompt' in request.input) {
    // One token more than fits tells that it is too long; the rest is not worth the time.
    let lost = 0
    const ids = model.tokenizer.encode(request.input.prompt, {
      bos: true,
      lost: (pieces) => {
        lost += pieces
      },
      // Whoever gives a prompt as it is writes the control tokens, too.
      control: { foreign: [] },
      atMost: model.context,
    })
    // A text may be empty; the ring needs one row to begin with.
    const { bosId, endIds } = model.manifest.text
    if (ids.length === 0) ids.push(bosId ?? endIds[0] ?? 0)
    return { ids, text: request.input.prompt, stops: [], dropped: 0, lost }
  }
  // Room for an answer of some length, so that the history is cut before it crowds it out.
  const reserve = Math.min(request.maxTokens ?? DEFAULT_TOKENS, Math.ceil(model.context / 4))
  const room = { context: model.context, reserve }
  const { prompt, dropped } = await cutHistory(model.chat, request.input.messages, room)
  const { ids, text, stops, lost } = prompt
  return { ids, text, stops, dropped, lost }
}
