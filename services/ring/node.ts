/**
 * A node's place in the ring: joins the pure stage or starter to the engine and the links.
 * Nothing is decided here; events go in, effects go out.
 */
import { z } from 'zod'
import { MdiError } from '../errors.ts'
import type {
  Clock,
  Engine,
  HeadResult,
  Job,
  Link,
  LinkEvent,
  Links,
  Random,
  Refusal,
} from '../ports.ts'
import type { Assignment, LinkState } from '../wire/control.ts'
import type { Frame, PlainDraft, VisitFrame } from '../wire/frame.ts'
import { type Fault, faultSchema, type Hello } from '../wire/hello.ts'
import { readJson, writeJson } from '../wire/json.ts'
import {
  attachSchema,
  cancelSchema,
  type Open,
  openSchema,
  requestIdSchema,
} from '../wire/requests.ts'
import { Ledger, type TokenListener } from './ledger.ts'
import { Outlet } from './outlet.ts'
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
  /** Name of the model, and its tokens: a request for others would stop the whole ring. */
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

/** The first bytes of a request that cannot be read may still say whose it is. */
const idSchema = z.object({ id: requestIdSchema })

type Running = { part: Part } & (
  | { kind: 'stage'; stage: Stage }
  | { kind: 'starter'; starter: Starter }
)

const TICK_MS = 250

/** Why a request cannot be of this ring, in a sentence. */
const misfit = (request: Open, { model, vocab }: Part): string | undefined => {
  if (request.model !== model) return `The ring has ${model} loaded, not ${request.model}.`
  const fed = (request.score ?? []).map((s) => s.next)
  const asked = (request.score ?? []).flatMap((s) => s.ids)
  const wrong = [request.tokens, fed, asked].flatMap((ids) => ids.find((id) => id >= vocab) ?? [])
  if (wrong.length === 0) return undefined
  return `Token ${wrong[0]} is not in the vocabulary of ${model}, which has ${vocab}.`
}

export class RingNode {
  readonly #options: RingNodeOptions
  readonly #ledger = new Ledger()
  readonly #owners = new Map<number, Outlet>()
  #running: Running | undefined
  #next: Link | undefined
  #previous: Link | undefined
  #stopTick: (() => void) | undefined
  /** The link that is being made anew because it took no frame. */
  #refusing: number | undefined

  constructor(options: RingNodeOptions) {
    this.#options = options
    options.links.onEvent((event) => this.#link(event))
    options.links.onHello((hello) => this.#admit(hello))
  }

  /** Plays a part from now on; the engine has its layers loaded. */
  start(part: Part): void {
    this.stop('the plan has changed')
    const { links, id, random } = this.#options
    const { assignment, epoch, hidden, chunkRows, sequences } = part
    const { wire, previous, stages, context } = assignment
    const next = assignment.next?.id ?? null
    links.setEpoch(epoch)
    if (assignment.starter) {
      const first = 1 + (random.uint32() >>> 1)
      const starter = new Starter(
        { node: id, next, previous, epoch, wire, hidden, stages, chunkRows, sequences, context },
        first,
      )
      this.#running = { part, kind: 'starter', starter }
    } else {
      const last = assignment.stage === stages - 1
      const stage = new Stage({ node: id, previous: previous ?? '', epoch, wire, hidden, last })
      this.#running = { part, kind: 'stage', stage }
    }
    if (assignment.next) links.keep(assignment.next, 'ring')
    this.#tick()
    // A ring of one waits for no link.
    this.#feedStarter({ kind: 'tick' })
  }

  /**
   * Leaves the ring as planned. Requests that run here end with this reason; a stage has the
   * starter told, which may hear of the plan's change only later.
   */
  stop(reason: string): void {
    const running = this.#running
    if (!running) return
    this.#stopTick?.()
    if (running.kind === 'starter') this.#feedStarter({ kind: 'leave', reason })
    else this.#sendFault({ node: this.#options.id, reason, planned: true })
    this.#running = undefined
    const { next, previous } = running.part.assignment
    if (next) this.#options.links.drop(next.id, 'ring')
    if (previous) this.#options.links.drop(previous, 'ring')
    this.#next = undefined
    this.#previous = undefined
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
    if (this.#running?.kind !== 'starter') {
      const error = { code: 'not-ready', message: 'This node does not start a ring now.' }
      listener.end({ id: request.id, reason: 'error', error })
      return
    }
    const problem = misfit(request, this.#running.part)
    if (problem) {
      const error = { code: 'bad-value', message: problem }
      listener.end({ id: request.id, reason: 'error', error })
      return
    }
    // Its owner was killed before it could keep that it had asked; whoever takes its place asks
    // anew, under the same name.
    if (this.#ledger.isOrphan(request.id)) this.cancel(request.id)
    if (!this.#ledger.open(request.id, listener, this.#options.clock.now())) {
      const error = { code: 'bad-value', message: `A request ${request.id} is running already.` }
      listener.end({ id: request.id, reason: 'error', error })
      return
    }
    this.#feedStarter({ kind: 'open', request })
  }

  cancel(id: string): void {
    this.#feedStarter({ kind: 'cancel', id })
  }

  #tick(): void {
    this.#stopTick = this.#options.clock.after(TICK_MS, () => {
      for (const id of this.#ledger.expire(this.#options.clock.now())) this.cancel(id)
      this.#feedStarter({ kind: 'tick' })
      if (this.#running) this.#tick()
    })
  }

  #admit(hello: Hello): Refusal | undefined {
    const part = this.#running?.part
    if (hello.purpose === 'weights') return undefined
    if (hello.purpose === 'owner') {
      if (part?.assignment.starter) return undefined
      return { code: 'node', reason: `Node ${this.#options.id} does not start a ring now.` }
    }
    if (!part || part.epoch !== hello.epoch)
      return {
        code: 'epoch',
        reason: `Node ${this.#options.id} follows plan ${part?.epoch ?? 'none'}, not ${hello.epoch}.`,
      }
    if (part.assignment.previous !== hello.node)
      return {
        code: 'node',
        reason: `Node ${hello.node} is not the stage before ${this.#options.id}.`,
      }
    return undefined
  }

  #link(event: LinkEvent): void {
    if (event.kind === 'unreachable') {
      if (event.purpose === 'ring') this.#tellLink(event.peer, 'next', false, event.reason)
      return
    }
    const { link } = event
    if (link.purpose === 'owner') this.#owner(event, link)
    else if (link.purpose === 'ring') this.#neighbour(event, link)
  }

  #neighbour(event: Exclude<LinkEvent, { kind: 'unreachable' }>, link: Link): void {
    const direction = link.dialed ? 'next' : 'previous'
    if (event.kind === 'frame') {
      if (!link.dialed && link.key === this.#previous?.key) this.#frame(event.frame, link.peer)
      return
    }
    if (event.kind === 'up') {
      // Greeted under a plan that has changed since.
      if (!this.#isNeighbour(link)) return
      // What was on its way on an older link may be lost, whether or not its end is told.
      if (link.dialed ? this.#next : this.#previous)
        this.#feed({ kind: direction, up: false, reason: 'it made a new connection' })
      if (link.dialed) this.#next = link
      else this.#previous = link
      this.#feed({ kind: direction, up: true })
      this.#tellLink(link.peer, direction, true)
      return
    }
    // One that another has replaced was told as lost then.
    const current = link.dialed ? this.#next : this.#previous
    if (current?.key !== link.key) return
    if (link.dialed) this.#next = undefined
    else this.#previous = undefined
    this.#feed({ kind: direction, up: false, reason: event.reason })
    this.#tellLink(link.peer, direction, false, event.reason)
  }

  #isNeighbour(link: Link): boolean {
    const assignment = this.#running?.part.assignment
    const peer = link.dialed ? assignment?.next?.id : assignment?.previous
    return peer === link.peer
  }

  #tellLink(peer: string, direction: 'next' | 'previous', up: boolean, reason?: string): void {
    this.#options.onLink?.({ peer, direction, up, ...(reason !== undefined && { reason }) })
  }

  #frame(frame: Frame, from: string): void {
    if (frame.kind === 'visit') this.#feed({ kind: 'visit', frame })
    else if (frame.kind === 'fault' && frame.epoch === this.#running?.part.epoch)
      this.#feed({ kind: 'fault', fault: readFault(frame.body, from) })
  }

  #owner(event: Exclude<LinkEvent, { kind: 'unreachable' }>, link: Link): void {
    const { links, clock } = this.#options
    if (event.kind === 'up') {
      const epoch = () => this.#running?.part.epoch ?? 0
      this.#owners.set(link.key, new Outlet(links, link, clock, epoch))
      return
    }
    const outlet = this.#owners.get(link.key)
    if (!outlet) return
    if (event.kind === 'down') {
      this.#owners.delete(link.key)
      outlet.close()
      this.#ledger.detach(outlet, clock.now())
      return
    }
    try {
      this.#asked(event.frame, outlet)
    } catch (error) {
      if (!(error instanceof MdiError)) throw error
      const id = idOf(event.frame.body)
      if (id !== undefined) outlet.end({ id, reason: 'error', error: error.toJSON() })
    }
  }

  /** What an owner asks for. @throws MdiError when it has a wrong form */
  #asked(frame: Frame, outlet: Outlet): void {
    if (frame.kind === 'open') this.open(readJson(frame.body, openSchema, 'a request'), outlet)
    else if (frame.kind === 'cancel') this.cancel(readJson(frame.body, cancelSchema, 'a cancel').id)
    else if (frame.kind === 'attach') {
      const { id, fromStep } = readJson(frame.body, attachSchema, 'an attach')
      if (!this.#ledger.attach(id, fromStep, outlet)) {
        const error = { code: 'not-found', message: `Request ${id} is not known any more.` }
        outlet.end({ id, reason: 'error', error })
      }
    }
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
      else this.#send(effect.frame)
    }
  }

  #doStarter(effect: StarterEffect, running: Running): void {
    if (effect.kind === 'compute') this.#compute(effect.job, effect.work)
    else if (effect.kind === 'send') this.#send(effect.frame)
    else if (effect.kind === 'token') this.#ledger.token(effect.token)
    else if (effect.kind === 'end') this.#ledger.end(effect.end, this.#options.clock.now())
    else if (this.#running === running) this.#options.onRing?.(effect.whole, effect.reason)
  }

  #send(frame: VisitFrame | PlainDraft): void {
    const link = this.#next
    if (!link || this.#options.links.send(link, frame)) return
    // Frames in flight are fewer than any queue holds, so it has just broken, or it takes
    // nothing any more: it is made anew, and its end is told in any case.
    const next = this.#running?.part.assignment.next
    if (!next || this.#refusing === link.key) return
    this.#refusing = link.key
    this.#options.links.drop(next.id, 'ring')
    this.#options.links.keep(next, 'ring')
  }

  #sendFault(fault: Fault): void {
    const epoch = this.#running?.part.epoch
    if (epoch === undefined) return
    const body = writeJson({ ...fault, reason: fault.reason.slice(0, 500) })
    this.#send({ kind: 'fault', epoch, number: 0, body })
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

const readFault = (body: Uint8Array, from: string): Fault => {
  try {
    return readJson(body, faultSchema, 'a fault')
  } catch (error) {
    if (!(error instanceof MdiError)) throw error
    return { node: from, reason: error.message }
  }
}

const idOf = (body: Uint8Array): string | undefined => {
  try {
    return readJson(body, idSchema, 'a request').id
  } catch (error) {
    if (error instanceof MdiError) return undefined
    throw error
  }
}
