/**
 * The request core at work: whatever asks (MQTT, a voice assistant) comes to this desk, and
 * what it asks goes to the starter of the ring that is loaded now. A coordinator has one, and
 * every gateway.
 */
import { MdiError } from '../errors.ts'
import { type CoreListener, type CoreRequest, RequestCore } from '../gateway/core.ts'
import {
  type AnswerListener,
  type GenerationModel,
  Generations,
  type StreamForm,
} from '../gateway/generation.ts'
import { Owner } from '../gateway/owner.ts'
import type { Clock, Links } from '../ports.ts'
import { placesOf } from '../ring/node.ts'
import type { Open } from '../wire/requests.ts'
import type { Peer } from '../wire/values.ts'

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

export type DeskOptions = {
  links: Links
  clock: Clock
  /** Opens the text side of the model that is loaded. */
  openText(ring: LoadedRing): Promise<TextSide>
  /** Why requests cannot run now; undefined: they can. */
  notReady(): string | undefined
  /** A request has entered the ring, or it has ended. */
  onOpened?(open: Open, form: StreamForm): void
  onEnded?(id: string): void
}

export class Desk {
  readonly core: RequestCore
  readonly generations: Generations
  readonly #options: DeskOptions
  readonly #owner: Owner
  #ring: LoadedRing | undefined
  #text: Promise<TextSide> | undefined
  /** Tokens since the desk was opened. */
  tokens = 0

  constructor(options: DeskOptions) {
    this.#options = options
    const { links, clock } = options
    this.#owner = new Owner(links, clock)
    links.onEvent((event) => this.#owner.handle(event))
    this.generations = new Generations(this.#owner, clock)
    this.core = new RequestCore({
      clock,
      places: () => placesOf(this.#ring?.stages ?? 1),
      run: (request, listener) => void this.#run(request, this.#counted(request.text.id, listener)),
      stop: (id) => this.generations.cancel(id),
    })
  }

  /** Name of the model that is loaded. */
  get model(): string | undefined {
    return this.#ring?.model
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
    const opening = this.#text ?? this.#options.openText(this.#ring)
    this.#text = opening
    opening.catch(() => {
      if (this.#text === opening) this.#text = undefined
    })
    return opening
  }

  /** Takes up a request that a process before this one had started. */
  resume(side: TextSide, open: Open, form: StreamForm, listener: AnswerListener): void {
    const over = this.core.adopt(open.id, 'before')
    const counted = this.#counted(open.id, listener)
    const told: AnswerListener = {
      ...counted,
      end: (answer) => {
        over?.()
        counted.end(answer)
      },
      error: (error) => {
        over?.()
        counted.error(error)
      },
    }
    this.generations.resume(side.model, open, form, told, (ring) =>
      this.#owner.attach(open, ring, 0),
    )
  }

  async close(): Promise<void> {
    await this.#text?.then(
      (t) => t.close(),
      () => {},
    )
  }

  async #run({ text, model }: CoreRequest, listener: AnswerListener): Promise<void> {
    const open = await this.generations.submit(this.#modelFor(model), text, listener)
    if (!open || !this.generations.has(open.id)) return
    const form = { stops: [...text.stop], continues: 'prompt' in text.input }
    this.#options.onOpened?.(open, form)
  }

  /** The model that a request is to run on. @throws MdiError why it cannot */
  async #modelFor(name: string | undefined): Promise<GenerationModel> {
    const side = await this.#side()
    const loaded = this.#ring?.model
    if (!side || loaded === undefined)
      throw new MdiError('not-ready', 'No model is loaded; load one with `mdi load MODEL`.')
    if (name !== undefined && name !== loaded)
      throw new MdiError('not-found', `The model ${name} is not loaded; ${loaded} is.`)
    const why = this.#options.notReady()
    if (why !== undefined) throw new MdiError('not-ready', `The ring is not ready. ${why}`.trim())
    return side.model
  }

  #counted(id: string, listener: AnswerListener): AnswerListener {
    return {
      text: (text) => listener.text(text),
      token: (token) => {
        this.tokens += 1
        listener.token?.(token)
      },
      end: (answer) => {
        listener.end(answer)
        this.#options.onEnded?.(id)
      },
      error: (error) => {
        listener.error(error)
        this.#options.onEnded?.(id)
      },
    }
  }
}
