/**
 * A node's place in the ring: joins the pure stage or starter to the engine, its neighbours and
 * the owners of requests. Nothing is decided here: events go in, effects go out.
 */
import { MdiError } from '../errors.ts'
import type { Clock, Engine, HeadResult, Job, LinkEvent, Links, Random, Refusal } from '../ports.ts'
import type { Assignment, LinkState } from '../wire/control.ts'
import type { Hello } from '../wire/hello.ts'
import type { Open } from '../wire/requests.ts'
import type { TokenListener } from './ledger.ts'
import { Neighbours } from './neighbours.ts'
import { RingRequests } from './requests.ts'
import { Stage, type StageEffect, type StageEvent } from './stage.ts'
import { Starter, type StarterEffect, type StarterEvent } from './starter.ts'

/** The part that a node plays while an assignment holds. */
export type Part = {
  epoch: number
  hidden: number
  assignment: Pick<
    Assignment,
    'stage' | 'stages' | 'next' | 'previous' | 'wire' | 'context' | 'starter'
  >
  /** Name of the model, and its tokens. */
  model: string
  vocab: number
  /** Rows of a prompt in one visit. */
  chunkRows: number
  /** Sequences that run at once. */
  sequences: number
}

export type RingNodeOptions = {
  id: string
  engine: Pick<Engine, 'run'>
  links: Links
  clock: Clock
  random: Random
  /** The ring has become whole or broken (told at the starter). */
  onRing?: (whole: boolean, reason: string | undefined) => void
  /** A link to a neighbour changed. */
  onLink?: (state: LinkState) => void
}

type Running = { part: Part } & (
  | { kind: 'stage'; stage: Stage }
  | { kind: 'starter'; starter: Starter }
)

const TICK_MS = 250

export class RingNode {
  readonly #options: RingNodeOptions
  readonly #neighbours: Neighbours
  readonly #requests: RingRequests
  #running: Running | undefined
  #stopTick: (() => void) | undefined

  constructor(options: RingNodeOptions) {
    const { id, links, clock, onLink } = options
    this.#options = options
    this.#neighbours = new Neighbours({ id, links, onLink, onEvent: (event) => this.#feed(event) })
    this.#requests = new RingRequests({
      links,
      clock,
      epoch: () => this.#running?.part.epoch ?? 0,
      served: () => (this.#running?.kind === 'starter' ? this.#running.part : undefined),
      enter: (request) => this.#feedStarter({ kind: 'open', request }),
      cancel: (request) => this.cancel(request),
    })
    links.onEvent((event) => this.#link(event))
    links.onHello((hello) => this.#admit(hello))
  }

  /** Plays a part from now on; the engine has its layers loaded. */
  start(part: Part): void {
    this.stop('the plan has changed')
    this.#running = { part, ...this.#play(part) }
    this.#neighbours.join(part)
    this.#tick()
    // A ring of one waits for no link.
    this.#feedStarter({ kind: 'tick' })
  }

  #play({ assignment, epoch, hidden, chunkRows, sequences }: Part) {
    const { id: node, random } = this.#options
    const { wire, previous, stages, context, stage } = assignment
    if (!assignment.starter) {
      const last = stage === stages - 1
      const options = { node, previous: previous ?? '', epoch, wire, hidden, last }
      return { kind: 'stage' as const, stage: new Stage(options) }
    }
    const next = assignment.next?.id ?? null
    const size = { stages, chunkRows, sequences, context }
    const options = { node, next, previous, epoch, wire, hidden, ...size }
    // Visits of two starters are told apart by their numbers.
    const starter = new Starter(options, 1 + (random.uint32() >>> 1))
    return { kind: 'starter' as const, starter }
  }

  /**
   * Leaves the ring as planned. Requests that run here end with this reason. A stage has the
   * starter told, which may hear of the plan's change only later.
   */
  stop(reason: string): void {
    const running = this.#running
    if (!running) return
    this.#stopTick?.()
    if (running.kind === 'starter') this.#feedStarter({ kind: 'leave', reason })
    else this.#neighbours.sendFault({ node: this.#options.id, reason, planned: true })
    this.#running = undefined
    this.#neighbours.leave()
  }

  /** Whether this node is a starter whose ring is whole. */
  get whole(): boolean {
    return this.#running?.kind === 'starter' && this.#running.starter.whole
  }

  /** Requests that run and wait here. */
  get load(): { running: number; waiting: number; visits: number } {
    return this.#running?.kind === 'starter'
      ? this.#running.starter.load
      : { running: 0, waiting: 0, visits: 0 }
  }

  /** Frames that this node holds; never above `limits.queueFrames`. */
  get held(): number {
    const running = this.#running
    return (running?.kind === 'starter' ? running.starter : running?.stage)?.held ?? 0
  }

  /** Opens a request; everything about it is told to the listener. */
  open(request: Open, listener: TokenListener): void {
    this.#requests.open(request, listener)
  }

  cancel(id: string): void {
    this.#feedStarter({ kind: 'cancel', id })
  }

  #tick(): void {
    this.#stopTick = this.#options.clock.after(TICK_MS, () => {
      this.#requests.expire()
      this.#feedStarter({ kind: 'tick' })
      if (this.#running) this.#tick()
    })
  }

  #admit(hello: Hello): Refusal | undefined {
    if (hello.purpose === 'weights') return undefined
    if (hello.purpose === 'ring') return this.#neighbours.admit(hello)
    if (this.#running?.kind === 'starter') return undefined
    return { code: 'node', reason: `Node ${this.#options.id} does not start a ring now.` }
  }

  #link(event: LinkEvent): void {
    const purpose = event.kind === 'unreachable' ? event.purpose : event.link.purpose
    if (purpose === 'ring') this.#neighbours.handle(event)
    else if (purpose === 'owner' && event.kind !== 'unreachable') this.#requests.handle(event)
  }

  /** An event that both kinds of part know. */
  #feed(event: StageEvent & StarterEvent): void {
    if (this.#running?.kind === 'stage') this.#doStage(this.#running.stage.handle(event))
    else this.#feedStarter(event)
  }

  #feedStarter(event: StarterEvent): void {
    const running = this.#running
    if (running?.kind !== 'starter') return
    for (const effect of running.starter.handle(event, this.#options.clock.now()))
      this.#doStarter(effect, running)
  }

  #doStage(effects: readonly StageEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'compute') this.#compute(effect.job, effect.work)
      else if (effect.kind === 'fault') this.#neighbours.sendFault(effect.fault)
      else this.#neighbours.send(effect.frame)
    }
  }

  #doStarter(effect: StarterEffect, running: Running): void {
    if (effect.kind === 'compute') this.#compute(effect.job, effect.work)
    else if (effect.kind === 'send') this.#neighbours.send(effect.frame)
    else if (effect.kind === 'token') this.#requests.token(effect.token)
    else if (effect.kind === 'end') this.#requests.end(effect.end)
    else if (this.#running === running) this.#options.onRing?.(effect.whole, effect.reason)
  }

  #compute(job: number, work: Job): void {
    const running = this.#running
    const onResults = (results: HeadResult[]): void => {
      if (this.#running === running) this.#feedStarter({ kind: 'results', job, results })
    }
    this.#options.engine.run(work, onResults).then(
      (output) => {
        if (this.#running === running) this.#feed({ kind: 'computed', job, output })
      },
      (error: unknown) => {
        if (!(error instanceof MdiError)) throw error
        if (this.#running === running) this.#feed({ kind: 'failed', job, error })
      },
    )
  }
}
