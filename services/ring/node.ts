/**
 * A node's place in the ring: joins the pure stage or starter to the engine, the neighbours
 * and the requests. Nothing is decided here; events go in, effects go out.
 */
import { MdiError } from '../errors.ts'
import type { Clock, Engine, HeadResult, Job, LinkEvent, Links, Random } from '../ports.ts'
import type { LinkState } from '../wire/control.ts'
import type { Fault } from '../wire/hello.ts'
import { writeJson } from '../wire/json.ts'
import type { Open } from '../wire/requests.ts'
import { refuseLink } from './admission.ts'
import type { TokenListener } from './ledger.ts'
import { Neighbours } from './neighbours.ts'
import type { Part } from './part.ts'
import { RingRequests } from './requests.ts'
import { Stage, type StageEffect, type StageEvent } from './stage.ts'
import { Starter, type StarterEffect, type StarterEvent } from './starter.ts'

export type RingNodeOptions = {
  id: string
  engine: Pick<Engine, 'run'>
  links: Links
  clock: Clock
  random: Random
  /** The ring has become whole or is broken. Only the starter is told. */
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
    this.#options = options
    const { links, clock, id } = options
    this.#neighbours = new Neighbours({
      links,
      onEvent: (event) => this.#feed(event),
      onLink: (state) => options.onLink?.(state),
    })
    this.#requests = new RingRequests({
      links,
      clock,
      part: () => this.#running?.part,
      feed: (event) => this.#feedStarter(event),
    })
    links.onEvent((event) => this.#link(event))
    links.onHello((hello) => refuseLink(hello, id, this.#running?.part))
  }

  /** Plays a part from now on; the engine has its layers loaded. */
  start(part: Part): void {
    this.stop('the plan has changed')
    this.#neighbours.join(part.assignment, part.epoch)
    this.#running = this.#play(part)
    this.#neighbours.connect()
    this.#tick()
    // A ring of one has no link to wait for.
    this.#feedStarter({ kind: 'tick' })
  }

  #play(part: Part): Running {
    const { id, random } = this.#options
    const { assignment, epoch, hidden, chunkRows, sequences } = part
    const { wire, stages, context } = assignment
    const previous = assignment.previous
    const common = { node: id, epoch, wire, hidden }
    if (!assignment.starter) {
      const last = assignment.stage === stages - 1
      const stage = new Stage({ ...common, previous: previous ?? '', last })
      return { part, kind: 'stage', stage }
    }
    const next = assignment.next?.id ?? null
    const starter = new Starter(
      { ...common, next, previous, stages, chunkRows, sequences, context },
      1 + (random.uint32() >>> 1),
    )
    return { part, kind: 'starter', starter }
  }

  /**
   * Leaves the ring as planned. Requests that run here end with this reason. A stage sends it to
   * the starter, which may hear only later that the plan has changed.
   */
  stop(reason: string): void {
    const running = this.#running
    if (!running) return
    this.#stopTick?.()
    if (running.kind === 'starter') this.#feedStarter({ kind: 'leave', reason })
    else this.#sendFault({ node: this.#options.id, reason, planned: true })
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
    this.#requests.cancel(id)
  }

  #tick(): void {
    this.#stopTick = this.#options.clock.after(TICK_MS, () => {
      this.#requests.tick()
      this.#feedStarter({ kind: 'tick' })
      if (this.#running) this.#tick()
    })
  }

  #link(event: LinkEvent): void {
    if (event.kind === 'unreachable') {
      if (event.purpose === 'ring') this.#neighbours.unreachable(event.peer, event.reason)
    } else if (event.link.purpose === 'owner') this.#requests.handle(event)
    else if (event.link.purpose === 'ring') this.#neighbours.handle(event)
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
      else if (effect.kind === 'fault') this.#sendFault(effect.fault)
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

  #sendFault(fault: Fault): void {
    const epoch = this.#running?.part.epoch
    if (epoch === undefined) return
    const body = writeJson({ ...fault, reason: fault.reason.slice(0, 500) })
    this.#neighbours.send({ kind: 'fault', epoch, number: 0, body })
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
