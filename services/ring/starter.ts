/**
 * The starter's part of the ring, pure: it asks the scheduler what enters the ring, computes
 * the first stage and the head, and ends all requests when the ring breaks. `reset` says
 * whether the ring is whole, `flight` which visits are out, `ahead` what the engine may
 * compute before it is asked.
 */

import type { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { HeadResult, Job, JobOutput, NextRow } from '../ports.ts'
import { unpackActivations } from '../wire/codec.ts'
import type { VisitFrame, WireType } from '../wire/frame.ts'
import type { Fault } from '../wire/hello.ts'
import type { End, Open, Token } from '../wire/requests.ts'
import { refuseRequest } from './admission.ts'
import { Ahead } from './ahead.ts'
import { Flight } from './flight.ts'
import { Reset } from './reset.ts'
import { Scheduler, type SchedulerOptions } from './scheduler.ts'
import { type Visit, visitFrame } from './visit.ts'

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
  /** The wanted rows of a visit that has gone round the ring. */
  | { kind: 'visit'; frame: VisitFrame }
  | { kind: 'fault'; fault: Fault }
  /** This node leaves the ring as planned. Requests end, but no node was lost. */
  | { kind: 'leave'; reason: string }
  | { kind: 'computed'; job: number; output: JobOutput }
  /** The head's answers, from a job that goes on with the next rows of its sequences. */
  | { kind: 'results'; job: number; results: readonly HeadResult[] }
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

type Computing = {
  job: number
  visit: Visit
  /** `unwanted`: it computes rows ahead, and the scheduler has chosen another visit. */
  part: 'first' | 'head' | 'unwanted'
  /** Rows that the job goes on with after the head. */
  ahead: readonly NextRow[]
  /** The ring broke meanwhile, so the result is not used. */
  stale: boolean
}
type Returned = { visit: Visit; x: Float32Array }

export class Starter {
  readonly #options: StarterOptions
  readonly #scheduler: Scheduler
  readonly #ahead: Ahead
  readonly #reset = new Reset()
  readonly #flight = new Flight()
  /** Visits that have come back and wait for the head. */
  #returned: Returned[] = []
  #computing: Computing | undefined
  #links = { next: false, previous: false }
  #progressAt = 0
  #jobs = 0

  /** @param firstVisit a random number, which tells the visits of two starters apart */
  constructor(options: StarterOptions, firstVisit = 1) {
    this.#options = options
    this.#scheduler = new Scheduler(options, firstVisit)
    this.#ahead = new Ahead(this.#scheduler)
    if (options.previous === null) this.#links = { next: true, previous: true }
  }

  get whole(): boolean {
    return this.#reset.whole
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
        return this.#fault(event.fault, now)
      case 'leave':
        return this.#changed(event.reason, now)
      case 'computed':
        return this.#computed(event.job, event.output, now)
      case 'results':
        return this.#results(event.job, event.results, now)
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
    if (!this.whole) return [errorEnd(request.id, 'not-ready', 'The ring is not ready yet.')]
    const refused = refuseRequest(request, this.#options.context, this.load.waiting)
    if (refused) return [errorEnd(request.id, refused.code, refused.message)]
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
    if (this.whole && this.load.visits > 0 && now - this.#progressAt > limits.visitMs) {
      const { next, node } = this.#options
      const reason = `no visit came back from behind it for ${limits.visitMs / 1000} s`
      return this.#broken(next ?? node, reason, now)
    }
    return this.#proceed(now)
  }

  #fault({ node, reason, planned }: Fault, now: number): StarterEffect[] {
    return planned ? this.#changed(reason, now) : this.#broken(node, reason, now)
  }

  #changed(reason: string, now: number): StarterEffect[] {
    const sentence = `The ring is being changed (${reason}); the request was ended: ask again.`
    return this.#end('not-ready', sentence, `The ring is being changed: ${reason}`, now)
  }

  #broken(node: string, reason: string, now: number): StarterEffect[] {
    const sentence = `Node ${node} was lost (${reason}); the request was ended.`
    return this.#end('node-lost', sentence, `Node ${node} was lost: ${reason}`, now)
  }

  /** Ends every request with one sentence. From then on resets find out when the ring is whole. */
  #end(code: MdiError['code'], sentence: string, ring: string, now: number): StarterEffect[] {
    const was = this.#reset.break()
    this.#flight.clear()
    this.#ahead.clear()
    if (this.#computing) this.#computing.stale = true
    this.#returned = []
    const effects: StarterEffect[] = this.#scheduler
      .clear()
      .map((id) => errorEnd(id, code, sentence))
    if (was) effects.push({ kind: 'ring', whole: false, reason: ring })
    return [...effects, ...this.#proceed(now)]
  }

  #proceed(now: number): StarterEffect[] {
    if (this.#computing) return []
    if (!this.#links.next || !this.#links.previous) return []
    if (!this.whole) {
      const reset = this.#reset.due(now, () => this.#scheduler.takeNumber())
      return reset ? [this.#compute(reset, 'first', this.#firstJob(reset))] : []
    }
    const returned = this.#returned.shift()
    if (returned) return this.#computeHead(returned)
    const visit = this.#ahead.next()
    if (!visit) return []
    this.#enter(visit, now)
    return [this.#compute(visit, 'first', this.#firstJob(visit))]
  }

  #enter(visit: Visit, now: number): void {
    this.#flight.add(visit)
    if (this.load.visits === 1) this.#progressAt = now
  }

  #firstJob(visit: Visit): Job {
    const alone = this.#options.previous === null
    return {
      operations: [...this.#ahead.operations(), ...visit.operations],
      segments: visit.segments,
      input: visit.tokens,
      output: alone ? 'wanted' : 'rows',
      ...(alone && visit.head.length > 0 && { head: visit.head }),
    }
  }

  #computeHead({ visit, x }: Returned): StarterEffect[] {
    const head: Job = { operations: [], segments: [], input: x, output: 'wanted', head: visit.head }
    const next = this.#ahead.rowsAfter(visit.number)
    return [this.#compute(visit, 'head', next ? { ...head, next } : head)]
  }

  #compute(visit: Visit, part: 'first' | 'head', work: Job): StarterEffect {
    const job = ++this.#jobs
    this.#computing = { job, visit, part, ahead: work.next ?? [], stale: false }
    return { kind: 'compute', job, work }
  }

  #results(job: number, results: readonly HeadResult[], now: number): StarterEffect[] {
    const computing = this.#computing
    if (computing?.job !== job || computing.stale) return []
    const effects = this.#complete(computing.visit.number, results, now)
    const visit = this.#ahead.match(computing.ahead, results)
    if (visit) this.#enter(visit, now)
    this.#computing = visit
      ? { ...computing, visit, part: 'first' }
      : { ...computing, part: 'unwanted' }
    return effects
  }

  #computed(job: number, output: JobOutput, now: number): StarterEffect[] {
    const computing = this.#computing
    if (computing?.job !== job) return []
    this.#computing = undefined
    const { visit, part, ahead, stale } = computing
    const effects: StarterEffect[] = []
    if (!stale) {
      if (part === 'unwanted') this.#ahead.takeBack(ahead)
      else if (part === 'head' || this.#options.previous === null) {
        const results = 'results' in output ? output.results : []
        effects.push(...this.#complete(visit.number, results, now))
      } else if ('x' in output)
        effects.push({ kind: 'send', frame: visitFrame(visit, output.x, this.#options) })
    }
    return [...effects, ...this.#proceed(now)]
  }

  #failed(job: number, error: MdiError, now: number): StarterEffect[] {
    if (this.#computing?.job !== job) return []
    this.#computing = undefined
    // The model's file is at fault. The node itself is there.
    if (error.row.content) return this.#end(error.code, error.message, error.message, now)
    return this.#broken(this.#options.node, error.message, now)
  }

  #visit(frame: VisitFrame, now: number): StarterEffect[] {
    const { epoch, hidden, previous, node } = this.#options
    if (frame.epoch !== epoch) return []
    if (this.#reset.returned(frame.number)) return this.#mended(now)
    const landed = this.#flight.land(frame, hidden)
    if (landed === undefined) return []
    if (typeof landed === 'string') return this.#broken(previous ?? node, landed, now)
    if (landed.head.length === 0)
      return [...this.#complete(frame.number, [], now), ...this.#proceed(now)]
    this.#returned.push({ visit: landed, x: unpackActivations(frame) })
    return this.#proceed(now)
  }

  #mended(now: number): StarterEffect[] {
    this.#progressAt = now
    return [{ kind: 'ring', whole: true }, ...this.#proceed(now)]
  }

  /** A visit has gone all the way round. */
  #complete(
    number: number,
    results: Parameters<Scheduler['complete']>[1],
    now: number,
  ): StarterEffect[] {
    if (this.#reset.returned(number)) return this.#mended(now)
    this.#progressAt = now
    this.#flight.delete(number)
    return this.#scheduler
      .complete(number, results)
      .map((o) => (o.kind === 'token' ? { kind: 'token', token: o.token } : o))
  }
}

const errorEnd = (id: string, code: MdiError['code'], message: string): StarterEffect => ({
  kind: 'end',
  end: { id, reason: 'error', error: { code, message } },
})
