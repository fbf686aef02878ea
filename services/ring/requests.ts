/** Requests at the starter: who owns them, what owners ask for, and what they are told. */
import { z } from 'zod'
import { MdiError } from '../errors.ts'
import type { Clock, Link, LinkEvent, Links } from '../ports.ts'
import type { Frame } from '../wire/frame.ts'
import { readJson } from '../wire/json.ts'
import {
  attachSchema,
  cancelSchema,
  type End,
  type Open,
  openSchema,
  requestIdSchema,
  type Token,
} from '../wire/requests.ts'
import { Ledger, type TokenListener } from './ledger.ts'
import { Outlet } from './outlet.ts'

/** The first bytes of a request that cannot be read may still say whose it is. */
const idSchema = z.object({ id: requestIdSchema })

/** What a ring runs; a request for another model would stop the whole ring. */
export type Served = { model: string; vocab: number }

export type RingRequestsOptions = {
  links: Links
  clock: Clock
  /** The epoch that frames to owners state. */
  epoch(): number
  /** What the ring that this node starts runs; undefined: it starts none. */
  served(): Served | undefined
  /** Enters a request into the ring. */
  enter(request: Open): void
  /** Ends a request in the ring. */
  cancel(id: string): void
}

export class RingRequests {
  readonly #options: RingRequestsOptions
  readonly #ledger = new Ledger()
  readonly #owners = new Map<number, Outlet>()

  constructor(options: RingRequestsOptions) {
    this.#options = options
  }

  /** Opens a request; everything about it is told to the listener. */
  open(request: Open, listener: TokenListener): void {
    const { served, enter, cancel, clock } = this.#options
    const { id } = request
    const refuse = (code: MdiError['code'], message: string) =>
      listener.end({ id, reason: 'error', error: { code, message } })
    const ring = served()
    if (!ring) {
      refuse('not-ready', 'This node does not start a ring now.')
      return
    }
    const problem = misfit(request, ring)
    if (problem) {
      refuse('bad-value', problem)
      return
    }
    // Its owner was killed before it could keep that it had asked. Whoever takes its place asks
    // anew, under the same name.
    if (this.#ledger.isOrphan(id)) cancel(id)
    if (!this.#ledger.open(id, listener, clock.now())) {
      refuse('bad-value', `A request ${id} is running already.`)
      return
    }
    enter(request)
  }

  token(token: Token): void {
    this.#ledger.token(token)
  }

  end(end: End): void {
    this.#ledger.end(end, this.#options.clock.now())
  }

  /** Gives up what no owner has asked for in a long time. */
  expire(): void {
    for (const id of this.#ledger.expire(this.#options.clock.now())) this.#options.cancel(id)
  }

  /** An event of a link of purpose `owner`. */
  handle(event: Exclude<LinkEvent, { kind: 'unreachable' }>): void {
    const { link } = event
    if (event.kind === 'up') {
      this.#up(link)
      return
    }
    const outlet = this.#owners.get(link.key)
    if (!outlet) return
    if (event.kind === 'down') {
      this.#owners.delete(link.key)
      outlet.close()
      this.#ledger.detach(outlet, this.#options.clock.now())
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

  #up(link: Link): void {
    const { links, clock, epoch } = this.#options
    this.#owners.set(link.key, new Outlet(links, link, clock, epoch))
  }

  /** What an owner asks for. @throws MdiError when it has a wrong form */
  #asked(frame: Frame, outlet: Outlet): void {
    if (frame.kind === 'open') this.open(readJson(frame.body, openSchema, 'a request'), outlet)
    else if (frame.kind === 'cancel')
      this.#options.cancel(readJson(frame.body, cancelSchema, 'a cancel').id)
    else if (frame.kind === 'attach') {
      const { id, fromStep } = readJson(frame.body, attachSchema, 'an attach')
      if (this.#ledger.attach(id, fromStep, outlet)) return
      const error = { code: 'not-found', message: `Request ${id} is not known any more.` }
      outlet.end({ id, reason: 'error', error })
    }
  }
}

/** Why a request cannot be of this ring, in a sentence. */
const misfit = (request: Open, { model, vocab }: Served): string | undefined => {
  if (request.model !== model) return `The ring has ${model} loaded, not ${request.model}.`
  const fed = (request.score ?? []).map((s) => s.next)
  const asked = (request.score ?? []).flatMap((s) => s.ids)
  const wrong = [request.tokens, fed, asked].flatMap((ids) => ids.find((id) => id >= vocab) ?? [])
  if (wrong.length === 0) return undefined
  return `Token ${wrong[0]} is not in the vocabulary of ${model}, which has ${vocab}.`
}

const idOf = (body: Uint8Array): string | undefined => {
  try {
    return readJson(body, idSchema, 'a request').id
  } catch (error) {
    if (error instanceof MdiError) return undefined
    throw error
  }
}
