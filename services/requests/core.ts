/**
 * Who asks the ring for what. As many requests run as the ring has places. More wait in a bounded
 * queue that is fair between clients, and are told their position. When the queue is full a client is
 * told that all is busy, and for how long.
 */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Clock } from '../ports.ts'
import { type AnswerListener, cancelledAnswer, type TextRequest } from './generation.ts'
import { FairQueue } from './queue.ts'

/** Where a waiting request stands. */
export type QueuePlace = {
  /** From 1. */
  position: number
  waitMs: number
}

export interface CoreListener extends AnswerListener {
  /** It waits, at this place now. */
  queued?(place: QueuePlace): void
  /** It has left the queue. */
  started?(): void
}

export type CoreRequest = {
  /** Whose it is; requests of one client wait for each other, not for those of others. */
  client: string
  text: TextRequest
  /** Absent: whatever is loaded. */
  model?: string | undefined
  /** It runs in the ring already, for a process before this one. */
  runs?: boolean | undefined
}

export type CoreOptions = {
  clock: Clock
  /** Requests that may run at once. */
  places(): number
  /** Runs a request; refusals come through the listener. */
  run(request: CoreRequest, listener: AnswerListener): void
  /** Ends a running request, however far it has come. */
  stop(id: string): void
}

type QueuedRequest = CoreRequest & { id: string; client: string; listener: CoreListener }

/** How long a request takes until one was measured, and the weight of the last one. */
const USUAL_MS = 5_000
const WEIGHT = 0.2

export class RequestCore {
  readonly #options: CoreOptions
  readonly #queue = new FairQueue<QueuedRequest>(limits.queuedRequests, limits.queuedOfClient)
  /** Requests that run: their clients. */
  readonly #running = new Map<string, string>()
  #usualMs = USUAL_MS

  constructor(options: CoreOptions) {
    this.#options = options
  }

  get load(): { running: number; queued: number } {
    return { running: this.#running.size, queued: this.#queue.size }
  }

  has(id: string): boolean {
    return this.#running.has(id) || this.#queue.positions().some(({ job }) => job.id === id)
  }

  /** Takes a request. What is refused (`busy`, `bad-value`) is told to the listener. */
  submit(request: CoreRequest, listener: CoreListener): void {
    const { client, text } = request
    const job: QueuedRequest = { ...request, id: text.id, client, listener }
    if (this.has(text.id)) {
      const message = `A request ${text.id} is running already; choose another id.`
      listener.error(new MdiError('bad-value', message))
      return
    }
    if (this.#running.size < this.#options.places() && this.#queue.size === 0) {
      this.#start(job)
      return
    }
    if (!this.#queue.push(job)) {
      listener.error(this.#busy(client))
      return
    }
    this.#next()
    const place = this.#queue.positions().find((p) => p.job === job)
    if (place) listener.queued?.(this.#place(place.position))
  }

  /** Takes up a request that runs already: it has its place. */
  resume(request: CoreRequest, listener: CoreListener): void {
    const { client, text } = request
    this.#start({ ...request, id: text.id, client, listener })
  }

  /** Ends a request, waiting or running. @returns whether it was here */
  cancel(id: string): boolean {
    const waiting = this.#queue.remove(id)
    if (waiting) {
      waiting.listener.end(cancelledAnswer(id, waiting.model))
      this.#tellPlaces()
      return true
    }
    if (!this.#running.has(id)) return false
    this.#options.stop(id)
    return true
  }

  /** Forgets a request, waiting or running, without a word to its listener. */
  release(id: string): void {
    if (this.#queue.remove(id)) this.#tellPlaces()
    else this.#finished(id)
  }

  /** What runs may have changed: more places, or a ring that is ready. */
  wake(): void {
    this.#next()
  }

  /** How long a request would wait that came now. */
  get waitMs(): number {
    return this.#place(this.#queue.size + 1).waitMs
  }

  #busy(client: string): MdiError {
    const seconds = Math.max(1, Math.ceil(this.waitMs / 1000))
    const own = this.#queue.of(client) >= limits.queuedOfClient
    const what = own
      ? `You have ${limits.queuedOfClient} requests waiting already`
      : `All places are taken and ${this.#queue.size} requests wait`
    return new MdiError('busy', `${what}; try again in about ${seconds} seconds.`)
  }

  #place(position: number): QueuePlace {
    const places = Math.max(1, this.#options.places())
    return { position, waitMs: Math.round((position / places) * this.#usualMs) }
  }

  #next(): void {
    let moved = false
    while (this.#running.size < this.#options.places()) {
      const counts = new Map<string, number>()
      for (const client of this.#running.values()) counts.set(client, (counts.get(client) ?? 0) + 1)
      const job = this.#queue.shift((client) => counts.get(client) ?? 0)
      if (!job) break
      moved = true
      this.#start(job)
    }
    if (moved) this.#tellPlaces()
  }

  #tellPlaces(): void {
    for (const { job, position } of this.#queue.positions())
      job.listener.queued?.(this.#place(position))
  }

  #start(job: QueuedRequest): void {
    const { id, client, listener } = job
    const { clock } = this.#options
    this.#running.set(id, client)
    const startedAt = clock.now()
    listener.started?.()
    this.#options.run(job, {
      text: (text) => listener.text(text),
      thought: (text) => listener.thought?.(text),
      token: (token) => listener.token?.(token),
      end: (answer) => {
        const took = clock.now() - startedAt
        if (answer.reason !== 'cancelled') this.#usualMs += (took - this.#usualMs) * WEIGHT
        this.#finished(id)
        listener.end(answer)
      },
      error: (error) => {
        this.#finished(id)
        listener.error(error)
      },
    })
  }

  #finished(id: string): void {
    if (this.#running.delete(id)) this.#next()
  }
}
