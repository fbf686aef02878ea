/**
 * The requests that a starter runs, and their owners: an owner's link asks (open, cancel,
 * attach), the ledger knows who is told what. It decides nothing about the ring.
 */
import { z } from 'zod'
import { type ErrorCode, MdiError } from '../errors.ts'
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
import { misfit } from './admission.ts'
import { Ledger, type TokenListener } from './ledger.ts'
import { Outlet } from './outlet.ts'
import type { Part } from './part.ts'

/** The first bytes of a request that cannot be read may still say whose it is. */
const idSchema = z.object({ id: requestIdSchema })

export type RingRequestsOptions = {
  links: Links
  clock: Clock
  /** This node's part now; undefined where it has none. */
  part: () => Part | undefined
  /** To the starter, where this node is one. */
  feed: (event: { kind: 'open'; request: Open } | { kind: 'cancel'; id: string }) => void
}

type RefusedRequest = { code: ErrorCode; message: string }

export class RingRequests {
  readonly #options: RingRequestsOptions
  readonly #ledger = new Ledger()
  /** Links of owners, by their keys. */
  readonly #owners = new Map<number, Outlet>()

  constructor(options: RingRequestsOptions) {
    this.#options = options
  }

  /** Opens a request; everything about it is told to the listener. */
  open(request: Open, listener: TokenListener): void {
    const refused = this.#take(request, listener)
    if (refused) listener.end({ id: request.id, reason: 'error', error: refused })
    else this.#options.feed({ kind: 'open', request })
  }

  /** Writes a request into the ledger. @returns why it cannot be taken */
  #take(request: Open, listener: TokenListener): RefusedRequest | undefined {
    const part = this.#options.part()
    if (!part?.assignment.starter)
      return { code: 'not-ready', message: 'This node does not start a ring now.' }
    const problem = misfit(request, part)
    if (problem) return { code: 'bad-value', message: problem }
    // An owner may be killed before it could keep that it had asked. Whoever takes its place
    // asks anew, under the same name.
    if (this.#ledger.isOrphan(request.id)) this.cancel(request.id)
    if (this.#ledger.open(request.id, listener, this.#options.clock.now())) return undefined
    return { code: 'bad-value', message: `A request ${request.id} is running already.` }
  }

  cancel(id: string): void {
    this.#options.feed({ kind: 'cancel', id })
  }

  token(token: Token): void {
    this.#ledger.token(token)
  }

  end(end: End): void {
    this.#ledger.end(end, this.#options.clock.now())
  }

  /** Time passes. Requests whose owner did not come back are ended. */
  tick(): void {
    for (const id of this.#ledger.expire(this.#options.clock.now())) this.cancel(id)
  }

  /** Something happened on an owner's link. */
  handle(event: Exclude<LinkEvent, { kind: 'unreachable' }>): void {
    const { link } = event
    if (event.kind === 'up') {
      this.#add(link)
      return
    }
    const outlet = this.#owners.get(link.key)
    if (!outlet) return
    if (event.kind === 'down') this.#remove(link, outlet)
    else this.#frame(event.frame, outlet)
  }

  #add(link: Link): void {
    const { links, clock, part } = this.#options
    this.#owners.set(link.key, new Outlet(links, link, clock, () => part()?.epoch ?? 0))
  }

  #remove(link: Link, outlet: Outlet): void {
    this.#owners.delete(link.key)
    outlet.close()
    this.#ledger.detach(outlet, this.#options.clock.now())
  }

  #frame(frame: Frame, outlet: Outlet): void {
    try {
      this.#asked(frame, outlet)
    } catch (error) {
      if (!(error instanceof MdiError)) throw error
      const id = idOf(frame.body)
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
}

const idOf = (body: Uint8Array): string | undefined => {
  try {
    return readJson(body, idSchema, 'a request').id
  } catch (error) {
    if (error instanceof MdiError) return undefined
    throw error
  }
}
