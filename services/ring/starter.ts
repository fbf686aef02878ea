/**
 * The starter's part of the ring, pure: it runs the scheduler, computes the first stage and
 * the head, and finds out whether the ring is whole. A ring is whole when a reset visit,
 * which closes every sequence, has gone round it; until then nothing else is sent. So a
 * ring that was broken is whole again with no one's help, and nothing of before is left.
 */

import type { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Job, JobOutput } from '../ports.ts'
import { packActivations, unpackActivations } from '../wire/codec.ts'
import type { VisitFrame, WireType } from '../wire/frame.ts'
import type { Fault } from '../wire/hello.ts'
import type { End, Open, Token } from '../wire/requests.ts'
import { Scheduler, type SchedulerOptions, type Visit } from './scheduler.ts'

export type StarterOptions = SchedulerOptions & {
  node: string
  /** The ring's second and last stage; null in a ring of one. */
  next: string | null
  previous: string | null
  epoch: number
  wire: WireType
  hidden: number
}

export type StarterEvent =
  | { kind: 'open'; request: Open }
  | { kind: 'cancel'; id: string }
  /** Rows wanted that have gone round the ring. */
  | { kind: 'visit'; frame: VisitFrame }
  | { kind: 'fault'; fault: Fault }
  | { kind: 'computed'; job: number; output: JobOutput }
  | { kind: 'failed'; job: number; error: MdiError }
  | { kind: 'previous'; up: boolean; reason?: string }
  | { kind: 'next'; up: boolean; reason?: string }
  /** Time passes; at least every second. */
  | { kind: 'tick' }

export type StarterEffect =
  | { kind: 'compute'; job: number; work: Job }
  | { kind: 'send'; frame: VisitFrame }
  | { kind: 'token'; token: Token }
  | { kind: 'end'; end: End }
  /** The ring has become whole, or is broken and why. */
  | { kind: 'ring'; whole: boolean; reason?: string }

type Computing = { job: number; visit: Visit; part: 'first' | 'head' }
type Returned = { number: number; x: Float32Array }

/** A reset that has not come back within this time is sent again. */
const RESET_AGAIN_MS = 1_000

export class Starter {
  readonly #options: StarterOptions
  readonly #scheduler: Scheduler
  readonly #visits = new Map<number, Visit>()
  #returned: Returned[] = []
  #computing: Computing | undefined
  #links = { next: false, previous: false }
  #whole = false
  #resetting: { number: number; at: number } | undefined
  #progressAt = 0
  #jobs = 0

  /** @param firstVisit a random beginning: visits of two starters are told apart by it */
  constructor(options: StarterOptions, firstVisit = 1) {
    this.#options = options
    this.#scheduler = new Scheduler(options, firstVisit)
    if (options.previous === null) this.#links = { next: true, previous: true }
  }

  get whole(): boolean {
    return this.#whole
  }

  /** Frames that are here; never above `limits.queueFrames`. */
  get held(): number {
    return this.#returned.length + (this.#computing ? 1 : 0)
  }

  get load(): Scheduler['load'] {
    return this.#scheduler.load
  }

  /** @param now milliseconds of a clock that never jumps */
  handle(event: StarterEvent, now: number): StarterEffect[] {
    switch (event.kind) {
      case 'open':
        return this.#open(event.request, now)
      case 'cancel':
        return this.#cancel(event.id, now)
      case 'visit':
        return this.#visit(event.frame, now)
      case 'fault':
        return this.#broken(event.fault.node, event.fault.reason, now)
      case 'computed':
        return this.#computed(event.job, event.output, now)
      case 'failed':
        return this.#failed(event.job, event.error, now)
      case 'previous':
      case 'next':
        return this.#link(event, now)
      case 'tick':
        return this.#tick(now)
    }
  }

  #open(request: Open, now: number): StarterEffect[] {
    if (!this.#whole) return [errorEnd(request.id, 'not-ready', 'The ring is not ready yet.')]
    if (request.tokens.length > this.#options.context) {
      const { length } = request.tokens
      const sentence = `The prompt has ${length} tokens; the context holds ${this.#options.context}.`
      return [errorEnd(request.id, 'too-long', sentence)]
    }
    this.#scheduler.open(request)
    return this.#proceed(now)
  }

  #cancel(id: string, now: number): StarterEffect[] {
    if (!this.#scheduler.cancel(id)) return []
    return [{ kind: 'end', end: { id, reason: 'cancelled' } }, ...this.#proceed(now)]
  }

  #link(
    event: { kind: 'previous' | 'next'; up: boolean; reason?: string },
    now: number,
  ): StarterEffect[] {
    this.#links[event.kind] = event.up
    if (event.up) return this.#proceed(now)
    const lost = this.#options[event.kind] ?? this.#options.node
    return this.#broken(lost, event.reason ?? 'the link was closed', now)
  }

  #tick(now: number): StarterEffect[] {
    if (this.#whole && this.load.visits > 0 && now - this.#progressAt > limits.visitMs) {
      const { next, node } = this.#options
      const reason = `no visit came back from behind it for ${limits.visitMs / 1000} s`
      return this.#broken(next ?? node, reason, now)
    }
    return this.#proceed(now)
  }

  /** Ends every request with one sentence, and starts to find out when the ring is whole. */
  #broken(node: string, reason: string, now: number): StarterEffect[] {
    const was = this.#whole
    this.#whole = false
    this.#resetting = undefined
    this.#visits.clear()
    this.#returned = []
    const sentence = `Node ${node} was lost (${reason}); the request was ended.`
    const effects: StarterEffect[] = this.#scheduler
      .clear()
      .map((id) => errorEnd(id, 'node-lost', sentence))
    if (was)
      effects.push({ kind: 'ring', whole: false, reason: `Node ${node} was lost: ${reason}` })
    return [...effects, ...this.#proceed(now)]
  }

  #proceed(now: number): StarterEffect[] {
    if (this.#computing) return []
    if (!this.#links.next || !this.#links.previous) return []
    if (!this.#whole) return this.#reset(now)
    const returned = this.#returned.shift()
    if (returned) return this.#computeHead(returned)
    const visit = this.#scheduler.next()
    if (!visit) return []
    this.#visits.set(visit.number, visit)
    if (this.load.visits === 1) this.#progressAt = now
    return [this.#compute(visit, 'first', this.#firstJob(visit))]
  }

  #reset(now: number): StarterEffect[] {
    if (this.#resetting && now - this.#resetting.at < RESET_AGAIN_MS) return []
    const number = this.#scheduler.takeNumber()
    this.#resetting = { number, at: now }
    const visit: Visit = {
      number,
      operations: [{ kind: 'reset', sequence: 0 }],
      segments: [],
      tokens: new Int32Array(0),
      head: [],
    }
    return [this.#compute(visit, 'first', this.#firstJob(visit))]
  }

  #firstJob(visit: Visit): Job {
    const alone = this.#options.previous === null
    return {
      operations: visit.operations,
      segments: visit.segments,
      input: visit.tokens,
      output: alone ? 'wanted' : 'rows',
      ...(alone && visit.head.length > 0 && { head: visit.head }),
    }
  }

  #computeHead(returned: Returned): StarterEffect[] {
    const visit = this.#visits.get(returned.number)
    if (!visit) return []
    const { x } = returned
    const work: Job = { operations: [], segments: [], input: x, output: 'wanted', head: visit.head }
    return [this.#compute(visit, 'head', work)]
  }

  #compute(visit: Visit, part: 'first' | 'head', work: Job): StarterEffect {
    const job = ++this.#jobs
    this.#computing = { job, visit, part }
    return { kind: 'compute', job, work }
  }

  #computed(job: number, output: JobOutput, now: number): StarterEffect[] {
    const computing = this.#computing
    if (computing?.job !== job) return []
    this.#computing = undefined
    const { visit, part } = computing
    const effects: StarterEffect[] = []
    const known = this.#visits.has(visit.number) || this.#resetting?.number === visit.number
    if (known) {
      if (part === 'head' || this.#options.previous === null)
        effects.push(
          ...this.#complete(visit.number, 'results' in output ? output.results : [], now),
        )
      else if ('x' in output) effects.push({ kind: 'send', frame: this.#frame(visit, output.x) })
    }
    return [...effects, ...this.#proceed(now)]
  }

  #frame(visit: Visit, x: Float32Array): VisitFrame {
    const { epoch, wire, hidden } = this.#options
    return {
      kind: 'visit',
      epoch,
      number: visit.number,
      wire,
      segments: visit.segments,
      operations: visit.operations,
      rows: x.length / hidden,
      hidden,
      body: packActivations(x, wire),
    }
  }

  #failed(job: number, error: MdiError, now: number): StarterEffect[] {
    if (this.#computing?.job !== job) return []
    this.#computing = undefined
    return this.#broken(this.#options.node, error.message, now)
  }

  #visit(frame: VisitFrame, now: number): StarterEffect[] {
    if (frame.epoch !== this.#options.epoch) return []
    if (this.#resetting?.number === frame.number) return this.#complete(frame.number, [], now)
    const visit = this.#visits.get(frame.number)
    if (!visit || frame.rows !== visit.head.length) return []
    if (frame.rows === 0) return [...this.#complete(frame.number, [], now), ...this.#proceed(now)]
    if (frame.hidden !== this.#options.hidden) return []
    this.#returned.push({ number: frame.number, x: unpackActivations(frame) })
    return this.#proceed(now)
  }

  /** A visit has gone all the way round. */
  #complete(
    number: number,
    results: Parameters<Scheduler['complete']>[1],
    now: number,
  ): StarterEffect[] {
    this.#progressAt = now
    if (this.#resetting?.number === number) {
      this.#resetting = undefined
      this.#whole = true
      return [{ kind: 'ring', whole: true }, ...this.#proceed(now)]
    }
    this.#visits.delete(number)
    return this.#scheduler
      .complete(number, results)
      .map((o) => (o.kind === 'token' ? { kind: 'token', token: o.token } : o))
  }
}

const errorEnd = (id: string, code: MdiError['code'], message: string): StarterEffect => ({
  kind: 'end',
  end: { id, reason: 'error', error: { code, message } },
})
