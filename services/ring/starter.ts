/**
 * The starter's part of the ring, pure: it runs the scheduler, and computes the first stage and
 * the head.
 */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { HeadResult, Job, JobOutput, NextRow } from '../ports.ts'
import { packActivations, unpackActivations } from '../wire/codec.ts'
import type { VisitFrame, WireType } from '../wire/frame.ts'
import type { Fault } from '../wire/hello.ts'
import type { End, Open, Token } from '../wire/requests.ts'
import { isWhatRan, RunningAhead } from './ahead.ts'
import { RingReset } from './reset.ts'
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
  /** The ring is left as planned: requests end, and nothing was lost. */
  | { kind: 'leave'; reason: string }
  | { kind: 'computed'; job: number; output: JobOutput }
  /** The head's answers of a job that goes on with its sequences' next rows. */
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
  /** `unwanted`: rows were computed ahead that another visit has overtaken. */
  part: 'first' | 'head' | 'unwanted'
  /** Rows that the job goes on with after the head. */
  ahead: readonly NextRow[]
  /** The ring broke meanwhile: what comes out is not wanted. */
  stale: boolean
}
type Returned = { visit: Visit; x: Float32Array }

export class Starter {
  readonly #options: StarterOptions
  readonly #scheduler: Scheduler
  /** Visits that have not come back, in the order in which they were sent. */
  readonly #visits = new Map<number, Visit>()
  #returned: Returned[] = []
  #computing: Computing | undefined
  readonly #ahead = new RunningAhead()
  readonly #reset = new RingReset()
  #links = { next: false, previous: false }
  #progressAt = 0
  #jobs = 0

  /** @param firstVisit a random beginning: visits of two starters are told apart by it */
  constructor(options: StarterOptions, firstVisit = 1) {
    this.#options = options
    this.#scheduler = new Scheduler(options, firstVisit)
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
    const refused = this.#refusal(request)
    if (refused) return [errorEnd(request.id, refused.code, refused.message)]
    this.#scheduler.open(request)
    return this.#proceed(now)
  }

  /** Why a request is not taken; what one asks for in vain must not end the others. */
  #refusal({ tokens, score }: Open): MdiError | undefined {
    const { context } = this.#options
    const { length } = tokens
    if (length > context)
      return new MdiError(
        'too-long',
        `The prompt has ${length} tokens; the context holds ${context}.`,
      )
    const rows = length + (score?.length ?? 1) - 1
    if (rows > context)
      return new MdiError(
        'too-long',
        `The prompt and the steps to be scored have ${rows} tokens; the context holds ${context}.`,
      )
    if (this.load.waiting >= limits.waitingRequests)
      return new MdiError(
        'busy',
        `${limits.waitingRequests} requests are waiting already; try again later.`,
      )
    return undefined
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

  /** Ends every request with one sentence, and starts to find out when the ring is whole. */
  #end(code: MdiError['code'], sentence: string, ring: string, now: number): StarterEffect[] {
    const was = this.#reset.begin()
    this.#visits.clear()
    if (this.#computing) this.#computing.stale = true
    this.#returned = []
    this.#ahead.clear()
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
    const visit = this.#ahead.take() ?? this.#scheduler.next()
    if (!visit) return []
    this.#enter(visit, now)
    return [this.#compute(visit, 'first', this.#firstJob(visit))]
  }

  #enter(visit: Visit, now: number): void {
    this.#visits.set(visit.number, visit)
    if (this.load.visits === 1) this.#progressAt = now
  }

  #firstJob(visit: Visit): Job {
    const alone = this.#options.previous === null
    return {
      operations: [...this.#ahead.takeUndo(), ...visit.operations],
      segments: visit.segments,
      input: visit.tokens,
      output: alone ? 'wanted' : 'rows',
      ...(alone && visit.head.length > 0 && { head: visit.head }),
    }
  }

  #computeHead({ visit, x }: Returned): StarterEffect[] {
    const head: Job = { operations: [], segments: [], input: x, output: 'wanted', head: visit.head }
    const next = this.#ahead.overtaken ? undefined : this.#scheduler.follow(visit.number)
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
    const visit = this.#scheduler.next()
    if (visit && isWhatRan(visit, computing.ahead, results)) {
      this.#enter(visit, now)
      this.#computing = { ...computing, visit, part: 'first' }
    } else {
      this.#ahead.overtake(visit)
      this.#computing = { ...computing, part: 'unwanted' }
    }
    return effects
  }

  #computed(job: number, output: JobOutput, now: number): StarterEffect[] {
    const computing = this.#computing
    if (computing?.job !== job) return []
    this.#computing = undefined
    const { visit, part, ahead, stale } = computing
    const effects: StarterEffect[] = []
    if (!stale) {
      if (part === 'unwanted') this.#ahead.unwanted(ahead)
      else if (part === 'head' || this.#options.previous === null)
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
    // It is the model that is of no use: the node is there.
    if (error.row.content) return this.#end(error.code, error.message, error.message, now)
    return this.#broken(this.#options.node, error.message, now)
  }

  #visit(frame: VisitFrame, now: number): StarterEffect[] {
    const { epoch, hidden, previous, node } = this.#options
    if (frame.epoch !== epoch) return []
    if (this.#reset.awaits(frame.number)) return this.#complete(frame.number, [], now)
    const visit = this.#visits.get(frame.number)
    if (!visit) return []
    const fault = (reason: string) => this.#broken(previous ?? node, reason, now)
    const [due] = this.#visits.keys()
    // Visits come back in their order: one that is missing would be waited for in vain.
    if (due !== frame.number) return fault(`visit ${due} never came back from it`)
    const wanted = visit.head.length
    if (frame.rows !== wanted || (wanted > 0 && frame.hidden !== hidden))
      return fault(`it sent ${frame.rows} rows of ${frame.hidden}, not ${wanted} of ${hidden}`)
    this.#visits.delete(frame.number)
    if (wanted === 0) return [...this.#complete(frame.number, [], now), ...this.#proceed(now)]
    this.#returned.push({ visit, x: unpackActivations(frame) })
    return this.#proceed(now)
  }

  /** A visit has gone all the way round. */
  #complete(
    number: number,
    results: Parameters<Scheduler['complete']>[1],
    now: number,
  ): StarterEffect[] {
    this.#progressAt = now
    if (this.#reset.awaits(number)) {
      this.#reset.done()
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
