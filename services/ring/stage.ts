/**
 * The part of a stage that is not the starter, pure: visits come from the stage before, are
 * computed one at a time in their order, and go on to the next stage. When the stage before
 * is lost, it tells the next one, so the starter hears of it through the ring itself.
 */
import type { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Job, JobOutput } from '../ports.ts'
import { unpackActivations } from '../wire/codec.ts'
import type { VisitFrame, WireType } from '../wire/frame.ts'
import type { Fault } from '../wire/hello.ts'
import { visitFrame } from './visit.ts'

export type StageOptions = {
  /** This node's id, for faults of its own. */
  node: string
  previous: string
  epoch: number
  wire: WireType
  hidden: number
  /** The ring's last stage sends only the rows wanted. */
  last: boolean
}

export type StageEvent =
  | { kind: 'visit'; frame: VisitFrame }
  | { kind: 'fault'; fault: Fault }
  | { kind: 'computed'; job: number; output: JobOutput }
  | { kind: 'failed'; job: number; error: MdiError }
  | { kind: 'previous'; up: boolean; reason?: string }
  | { kind: 'next'; up: boolean }

/** What the caller does, in order. A `compute` is answered by `computed` or `failed`. */
export type StageEffect =
  | { kind: 'compute'; job: number; work: Job }
  | { kind: 'send'; frame: VisitFrame }
  | { kind: 'fault'; fault: Fault }

/** Whether a visit closes every sequence, so that everything older is stale. */
export const isReset = (frame: Pick<VisitFrame, 'operations'>): boolean =>
  frame.operations.some((o) => o.kind === 'reset')

export class Stage {
  readonly #options: StageOptions
  #queue: VisitFrame[] = []
  /** Computed, waiting for the link. */
  #outbox: VisitFrame[] = []
  #computing: { job: number; frame: VisitFrame } | undefined
  #nextUp = false
  #lastNumber = 0
  #jobs = 0

  constructor(options: StageOptions) {
    this.#options = options
  }

  /** Frames that are here, in whatever state; never above `limits.queueFrames`. */
  get held(): number {
    return this.#queue.length + this.#outbox.length + (this.#computing ? 1 : 0)
  }

  handle(event: StageEvent): StageEffect[] {
    switch (event.kind) {
      case 'visit':
        return this.#visit(event.frame)
      case 'fault':
        return [{ kind: 'fault', fault: event.fault }]
      case 'computed':
        return this.#computed(event.job, event.output)
      case 'failed':
        return this.#failed(event.job, event.error)
      case 'next':
        this.#nextUp = event.up
        if (!event.up) this.#drop()
        return this.#proceed()
      case 'previous':
        if (event.up) return []
        return this.#fault(this.#options.previous, event.reason ?? 'the link was closed')
    }
  }

  #visit(frame: VisitFrame): StageEffect[] {
    const { node, epoch, hidden } = this.#options
    if (frame.epoch !== epoch) return []
    const ahead = frame.number - this.#lastNumber
    const rows = frame.segments.reduce((sum, s) => sum + s.rows, 0)
    // Links keep their order, so a reset is the newest frame whatever its number is: it may be
    // repeated, and the numbers of another starter begin anywhere.
    if (isReset(frame)) this.#drop()
    else if (ahead <= 0) return []
    // Visits are numbered without gaps. One that is missing never comes.
    else if (ahead > 1) return this.#fault(node, `visit ${this.#lastNumber + 1} never came`)
    else if (frame.rows !== rows || (rows > 0 && frame.hidden !== hidden)) {
      const reason = `it got ${frame.rows} rows of ${frame.hidden}, not ${rows} of ${hidden}`
      return this.#fault(node, reason)
    } else if (this.held >= limits.queueFrames) return this.#fault(node, 'its queue is full')
    this.#lastNumber = frame.number
    this.#queue.push(frame)
    return this.#proceed()
  }

  #fault(node: string, reason: string): StageEffect[] {
    this.#drop()
    return [{ kind: 'fault', fault: { node, reason } }]
  }

  /** Forgets all visits. What is being computed is not sent on. */
  #drop(): void {
    this.#queue = []
    this.#outbox = []
    this.#computing = undefined
  }

  #proceed(): StageEffect[] {
    const effects: StageEffect[] = []
    if (this.#nextUp) {
      for (const frame of this.#outbox.splice(0)) effects.push({ kind: 'send', frame })
    }
    if (this.#computing) return effects
    const frame = this.#queue.shift()
    if (!frame) return effects
    const job = ++this.#jobs
    this.#computing = { job, frame }
    const work: Job = {
      operations: frame.operations,
      segments: frame.segments,
      input: unpackActivations(frame),
      output: this.#options.last ? 'wanted' : 'rows',
    }
    effects.push({ kind: 'compute', job, work })
    return effects
  }

  #computed(job: number, output: JobOutput): StageEffect[] {
    const computing = this.#computing
    // This job's visit was dropped meanwhile. Another job is awaited.
    if (computing?.job !== job) return []
    this.#computing = undefined
    if (!('x' in output)) throw new Error('a stage without a head got results')
    const frame = visitFrame(computing.frame, output.x, this.#options)
    if (this.#nextUp) return [{ kind: 'send', frame }, ...this.#proceed()]
    this.#outbox.push(frame)
    return this.#proceed()
  }

  #failed(job: number, error: MdiError): StageEffect[] {
    if (this.#computing?.job !== job) return []
    return this.#fault(this.#options.node, error.message)
  }
}
