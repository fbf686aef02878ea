/**
 * The request core at work: whatever asks (MQTT, a voice assistant) comes to this desk, and
 * what it asks goes to the starter of the ring that is loaded now. A coordinator has one, and
 * every gateway.
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

export type RequestServiceOptions = {
  links: Links
  clock: Clock
  /** Opens the text side of the model that is loaded. */
  openText(ring: LoadedRing): Promise<TextSide>
  /** Why requests cannot run now; undefined: they can. */
  notReady(): string | undefined
  /** Whether requests wait in the queue even where there are places. */
  holds?(): boolean
}

export class RequestService {
  readonly core: RequestCore
  readonly generations: Generations
  readonly #options: RequestServiceOptions
  readonly #owner: Owner
  #closed = false
  #ring: LoadedRing | undefined
  #text: Promise<TextSide> | undefined
  #loadedText: TextSpec | undefined
  /** Tokens since the desk was opened. */
  tokens = 0

  constructor(options: RequestServiceOptions) {
    this.#options = options
    const { links, clock } = options
    this.#owner = new Owner(links, clock)
    links.onEvent((event) => this.#owner.handle(event))
    this.generations = new Generations(this.#owner, clock)
    this.core = new RequestCore({
      clock,
      places: () => (this.#closed || options.holds?.() ? 0 : placesOf(this.#ring?.stages ?? 1)),
      run: (request, listener) => void this.#run(request, this.#counted(listener)),
      stop: (id) => this.generations.cancel(id),
    })
  }

  /** Requests in the ring that have not ended. */
  get owned(): number {
    return this.#owner.size
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

  /** Another ring is loaded, or the same elsewhere; undefined: none is. */
  setRing(ring: LoadedRing | undefined): void {
    const same = ring?.key === this.#ring?.key
    this.#ring = ring
    this.#owner.setStarter(ring?.starter)
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
    const opening = this.#options.openText(this.#ring)
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

  /** Nothing runs or ends any more: what was asked is for the process after this one. */
  async close(): Promise<void> {
    this.#closed = true
    this.#owner.close()
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
      throw new MdiError('not-ready', 'No model is loaded; load one with `mdi load MODEL`.')
    if (name !== undefined && meantNames([loaded], name).length === 0)
      throw new MdiError('not-found', `The model ${name} is not loaded; ${loaded} is.`)
    const why = runs ? undefined : this.#options.notReady()
    if (why !== undefined) throw new MdiError('not-ready', `The ring is not ready. ${why}`.trim())
    return side.model
  }

  #counted(listener: AnswerListener): AnswerListener {
    return {
      text: (text) => listener.text(text),
      thought: (text) => listener.thought?.(text),
      token: (token) => {
        this.tokens += 1
        listener.token?.(token)
      },
      end: (answer) => listener.end(answer),
      error: (error) => listener.error(error),
    }
  }
}
