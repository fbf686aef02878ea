/** An engine that computes the toy model in simulated time, and refuses what a real one does. */
import { MdiError } from '../../services/errors.ts'
import type { Engine, HeadResult, Job, JobOutput, Segment } from '../../services/ports.ts'
import type { KvOperation } from '../../services/wire/frame.ts'
import { type Chain, embed, HIDDEN, head, layerRow } from './model.ts'
import type { Mutation } from './mutations.ts'
import { type Process, Violation } from './world.ts'

/** Milliseconds: of every job, and of a row in a layer. */
export type Speed = { job: number; row: number }

type Held = { length: number; chains: Chain[] }
type Settle = { ok: (output: JobOutput) => void; failed: (error: unknown) => void }

/**
 * Answers once, later, in the very step: no microtask stands between the simulation's
 * steps. Only `then` is used.
 */
class Later {
  settle: Settle | undefined
  // biome-ignore lint/suspicious/noThenProperty: it stands for a promise
  then(ok: (output: JobOutput) => void, failed: (error: unknown) => void): void {
    this.settle = { ok, failed }
  }
}

export class FakeEngine implements Pick<Engine, 'run'> {
  readonly #process: Process
  readonly #speed: Speed
  readonly #mutation: Mutation | undefined
  readonly #context: number
  #layers: number[] = []
  readonly #sequences = new Map<number, Held>()
  #freeAt = 0
  /** Milliseconds spent computing rows. */
  busy = 0
  /** The next job fails. */
  failNext = false
  /** Told when it failed so. */
  onPlannedFailure: () => void = () => {}
  /** Rows computed. */
  rows = 0

  constructor(process: Process, speed: Speed, context: number, mutation?: Mutation) {
    this.#process = process
    this.#speed = speed
    this.#context = context
    this.#mutation = mutation
  }

  /** Loads layers `first` to `end − 1`; every sequence is closed. */
  load(first: number, end: number): void {
    this.#layers = Array.from({ length: end - first }, (_, i) => first + i)
    this.#sequences.clear()
  }

  /** Numbers of the sequences that are open. */
  get open(): number[] {
    return [...this.#sequences.keys()]
  }

  get openCount(): number {
    return this.#sequences.size
  }

  run(job: Job, onResults: (results: HeadResult[]) => void = () => {}): Promise<JobOutput> {
    const later = new Later()
    const { world } = this.#process
    const rows = [...job.segments, ...(job.next ?? [])].reduce((sum, s) => sum + s.rows, 0)
    const ms = this.#speed.job + rows * this.#layers.length * this.#speed.row
    this.busy += ms
    const start = Math.max(world.now, this.#freeAt)
    this.#freeAt = start + ms
    const settle = (output: JobOutput | MdiError): void => {
      if (output instanceof MdiError) later.settle?.failed(output)
      else later.settle?.ok(output)
    }
    const { next, ...first } = job
    const at = this.#freeAt - world.now
    if (next) {
      world.after(
        start + this.#speed.job - world.now,
        () => {
          const output = this.#try(first)
          if (!('results' in output)) return settle(output)
          onResults(output.results)
          const input = Int32Array.from(
            next,
            ({ token }, i) => token ?? output.results[i]?.token ?? 0,
          )
          const rest: Job = { operations: [], segments: next, input, output: 'rows' }
          world.after(ms - this.#speed.job, () => settle(this.#try(rest)), this.#process)
        },
        this.#process,
      )
    } else world.after(at, () => settle(this.#try(job)), this.#process)
    return later as unknown as Promise<JobOutput>
  }

  #try(job: Job): JobOutput | MdiError {
    try {
      return this.#compute(job)
    } catch (error) {
      if (!(error instanceof MdiError)) throw error
      this.#process.world.log(this.#process.name, () => `engine fails: ${error.message}`)
      return error
    }
  }

  #compute(given: Job): JobOutput {
    if (this.failNext) {
      this.failNext = false
      this.onPlannedFailure()
      throw new MdiError('out-of-memory', 'there is no memory for the KV cache')
    }
    const job = this.#mutation?.job?.(given, this.#process.name) ?? given
    for (const operation of job.operations) this.#apply(operation)
    let x = job.input instanceof Int32Array ? embed(job.input) : Float32Array.from(job.input)
    if (job.segments.length > 0) x = this.#segments(job.segments, x, job.output === 'wanted')
    const { head: requests } = job
    if (!requests) return { x }
    if (requests.length * HIDDEN !== x.length)
      throw new Violation('head', `${x.length / HIDDEN} rows for ${requests.length} requests`)
    return { results: requests.map((r, i) => head(x.subarray(i * HIDDEN, (i + 1) * HIDDEN), r)) }
  }

  #apply(op: KvOperation): void {
    if (op.kind === 'open') {
      if (this.#sequences.has(op.sequence))
        throw new Violation('kv', `${this.#process.name} opens sequence ${op.sequence} twice`)
      this.#sequences.set(op.sequence, { length: 0, chains: this.#layers.map(() => []) })
    } else if (op.kind === 'close') this.#sequences.delete(op.sequence)
    else if (op.kind === 'reset') this.#sequences.clear()
    else if (op.kind === 'truncate') {
      const held = this.#sequences.get(op.sequence)
      if (held) held.length = Math.min(held.length, op.length)
    } else {
      const from = this.#get(op.from)
      const chains = from.chains.map((c) => c.slice(0, op.length))
      this.#sequences.set(op.sequence, { length: Math.min(op.length, from.length), chains })
    }
  }

  #get(sequence: number): Held {
    const held = this.#sequences.get(sequence)
    if (held) return held
    throw new MdiError('not-found', `Sequence ${sequence} is not open on this node.`)
  }

  #segments(segments: readonly Segment[], x: Float32Array, wanted: boolean): Float32Array {
    const out: Float32Array[] = []
    let row = 0
    for (const s of segments) {
      const held = this.#get(s.sequence)
      if (held.length !== s.position)
        throw new MdiError(
          'bad-value',
          `Sequence ${s.sequence} stands at position ${held.length}, not ${s.position}.`,
        )
      if (s.position + s.rows > this.#context)
        throw new MdiError('too-long', `Sequence ${s.sequence} is longer than the context.`)
      for (let r = 0; r < s.rows; r++)
        this.#layers.forEach((layer, l) => {
          layerRow(layer, s.position + r, x, (row + r) * HIDDEN, held.chains[l] as Chain)
        })
      held.length += s.rows
      this.rows += s.rows
      const first = wanted ? row + s.rows - s.wanted : row
      out.push(x.subarray(first * HIDDEN, (row + s.rows) * HIDDEN))
      row += s.rows
    }
    if (row * HIDDEN !== x.length)
      throw new Violation('engine', `${x.length / HIDDEN} rows for segments of ${row}`)
    return Float32Array.from(out.flatMap((part) => [...part]))
  }
}
