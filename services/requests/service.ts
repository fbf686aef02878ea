/**
 * A board's requests. Every interface (MQTT, a voice assistant) asks here, and the request goes to the
 * starter of the ring that is loaded now.
 */
import { MdiError } from '../errors.ts'
import { meantNames } from '../model/modelname.ts'
import type { TextSpec } from '../model/spec.ts'
import { placesOf } from '../plan/places.ts'
import type { Clock, Links } from '../ports.ts'
import type { Peer } from '../wire/values.ts'
import { type CoreListener, type CoreRequest, RequestCore } from './core.ts'
import { type AnswerListener, type GenerationModel, Generations } from './generation.ts'
import { Owner } from './owner.ts'

/** A model's tokenizer and template, until it is closed. */
export type TextSide = { model: GenerationModel; close(): Promise<void> }

/** The ring as it is loaded now. */
export type LoadedRing = {
  model: string
  starter: Peer
  stages: number
  /** The text side serves as long as this stays: manifest and context. */
  key: string
}

/**
 * Whoever knows the ring: the coordinator of this process, or else what the bus tells.
 */
export interface RingGuide {
  /** The ring as it is loaded now; undefined: none is. */
  readonly ring: LoadedRing | undefined
  /** Opens the text side of the model that is loaded. */
  openText(ring: LoadedRing): Promise<TextSide>
  /** Why requests cannot run now; undefined: they can. */
  notReady(): string | undefined
  /** Whether requests wait in the queue even where there are places. */
  holds?(): boolean
}

export type RequestServiceOptions = {
  /** Links to the starter that owners of requests dial. */
  links: Links
  clock: Clock
}

/** How often the tokens a second are reckoned anew. */
const RATE_MS = 5_000

export class RequestService {
  readonly core: RequestCore
  readonly generations: Generations
  readonly #clock: Clock
  /** The end of the link to the starter. */
  readonly owner: Owner
  /** Who knows the ring best is asked. */
  #guides: { guide: RingGuide; rank: number }[] = []
  #closed = false
  #ring: LoadedRing | undefined
  #text: Promise<TextSide> | undefined
  #loadedText: TextSpec | undefined
  /** Tokens since the rate was reckoned. */
  #tokens = 0
  #rate = 0
  #reckonedAt: number

  constructor({ links, clock }: RequestServiceOptions) {
    this.#clock = clock
    this.#reckonedAt = clock.now()
    this.owner = new Owner(links, clock)
    links.onEvent((event) => this.owner.handle(event))
    this.generations = new Generations(this.owner, clock)
    this.core = new RequestCore({
      clock,
      places: () =>
        this.#closed || this.#guide?.holds?.() ? 0 : placesOf(this.#ring?.stages ?? 1),
      run: (request, listener) => void this.#run(request, this.#counted(listener)),
      stop: (id) => this.generations.cancel(id),
    })
  }

  get #guide(): RingGuide | undefined {
    return this.#guides[0]?.guide
  }

  /**
   * From now on this guide is asked about the ring, unless there is one of a higher rank.
   * @param rank the coordinator's is the higher one
   * @returns takes the guide away again
   */
  follow(guide: RingGuide, rank: number): () => void {
    const entry = { guide, rank }
    this.#guides = [...this.#guides, entry].sort((a, b) => b.rank - a.rank)
    this.refresh()
    return () => {
      this.#guides = this.#guides.filter((g) => g !== entry)
      if (!this.#closed) this.refresh()
    }
  }

  /** Tokens a second of this board's own requests, over the last seconds. */
  get tokensPerSecond(): number {
    const ms = this.#clock.now() - this.#reckonedAt
    if (ms >= RATE_MS) {
      this.#rate = (this.#tokens * 1000) / ms
      this.#tokens = 0
      this.#reckonedAt += ms
    }
    return this.#rate
  }

  /** Requests that run and wait here. */
  get load(): { running: number; queued: number } {
    return this.core.load
  }

  /** Requests in the ring that have not ended. */
  get owned(): number {
    return this.owner.size
  }

  /** Name of the model that is loaded. */
  get model(): string | undefined {
    return this.#ring?.model
  }

  /** What the loaded model's file tells of its text; undefined until it has been read. */
  get loadedText(): TextSpec | undefined {
    return this.#loadedText
  }

  submit(request: CoreRequest, listener: CoreListener): void {
    this.core.submit(request, listener)
  }

  cancel(id: string): boolean {
    return this.core.cancel(id)
  }

  /** The ring may have changed, or whether requests may run. */
  refresh(): void {
    const ring = this.#guide?.ring
    const same = ring?.key === this.#ring?.key
    this.#ring = ring
    this.owner.setStarter(ring?.starter)
    if (!same) {
      const before = this.#text
      this.#text = undefined
      this.#loadedText = undefined
      void before?.then((t) => t.close()).catch(() => {})
    }
    // Whoever asks next is told what is wrong.
    void this.text()
    this.core.wake()
  }

  /** The model's text side once it is there; opened again where that failed before. */
  async text(): Promise<TextSide | undefined> {
    return this.#side().catch(() => undefined)
  }

  async #side(): Promise<TextSide | undefined> {
    if (!this.#ring) return undefined
    if (this.#text) return this.#text
    const guide = this.#guide
    if (!guide) return undefined
    const opening = guide.openText(this.#ring)
    this.#text = opening
    opening.then(
      ({ model }) => {
        if (this.#text === opening) this.#loadedText = model.manifest.text
      },
      () => {
        if (this.#text === opening) this.#text = undefined
      },
    )
    return opening
  }

  /**
   * Takes up a request that a process before this one was asked.
   * @param runs it had a place in the ring, which runs on without a coordinator
   */
  resume(request: CoreRequest, listener: CoreListener, runs: boolean): void {
    const again = { ...request, runs, text: { ...request.text, again: true } }
    if (runs) this.core.resume(again, listener)
    else this.core.submit(again, listener)
  }

  /**
   * Forgets requests and ends none: the ring runs on with those that have a place. Whoever takes
   * them up asks again under the same names.
   */
  release(ids: Iterable<string>): void {
    for (const id of ids) {
      this.generations.release(id)
      this.owner.release(id)
      this.core.release(id)
    }
  }

  /** Nothing runs or ends any more. The process after this one takes up what was asked. */
  async close(): Promise<void> {
    this.#closed = true
    this.owner.close()
    await this.#text?.then(
      (t) => t.close(),
      () => {},
    )
  }

  async #run(request: CoreRequest, listener: AnswerListener): Promise<void> {
    await this.generations.submit(this.#modelFor(request), request.text, listener)
  }

  /** The model that a request is to run on. @throws MdiError why it cannot */
  async #modelFor({ model: name, runs }: CoreRequest): Promise<GenerationModel> {
    const side = await this.#side()
    const loaded = this.#ring?.model
    if (!side || loaded === undefined)
      throw new MdiError('no-model', 'No model is loaded; load one with `mdi load MODEL`.')
    if (name !== undefined && meantNames([loaded], name).length === 0)
      throw new MdiError('not-found', `The model ${name} is not loaded; ${loaded} is.`)
    const why = runs ? undefined : this.#guide?.notReady()
    if (why !== undefined) throw new MdiError('not-ready', `The ring is not ready. ${why}`.trim())
    return side.model
  }

  #counted(listener: AnswerListener): AnswerListener {
    return {
      text: (text) => listener.text(text),
      thought: (text) => listener.thought?.(text),
      token: (token) => {
        this.#tokens += 1
        listener.token?.(token)
      },
      end: (answer) => listener.end(answer),
      error: (error) => listener.error(error),
    }
  }
}
