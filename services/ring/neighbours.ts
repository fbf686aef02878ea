/**
 * A node's links to the stages before and after it: which of several connections counts, and
 * what is told when one comes or goes.
 */
import { MdiError } from '../errors.ts'
import type { Link, LinkEvent, Links } from '../ports.ts'
import type { Assignment, LinkState } from '../wire/control.ts'
import type { Frame, PlainDraft, VisitFrame } from '../wire/frame.ts'
import { type Fault, faultSchema } from '../wire/hello.ts'
import { readJson } from '../wire/json.ts'

/** What the stage or starter is told of its neighbours. */
export type NeighbourEvent =
  | { kind: 'visit'; frame: VisitFrame }
  | { kind: 'fault'; fault: Fault }
  | { kind: 'previous' | 'next'; up: boolean; reason?: string }

export type NeighboursOptions = {
  links: Links
  onEvent: (event: NeighbourEvent) => void
  /** A link changed, for a person to see. */
  onLink: (state: LinkState) => void
}

type Direction = 'next' | 'previous'
type Around = Pick<Assignment, Direction>

export class Neighbours {
  readonly #options: NeighboursOptions
  #around: Around | undefined
  #epoch = 0
  readonly #links: { next: Link | undefined; previous: Link | undefined } = {
    next: undefined,
    previous: undefined,
  }
  /** The link that is being made anew because it took no frame. */
  #refusing: number | undefined

  constructor(options: NeighboursOptions) {
    this.#options = options
  }

  /** Whose links count from now on. The one to the next stage is made by `connect`. */
  join(around: Around, epoch: number): void {
    this.#around = around
    this.#epoch = epoch
    this.#options.links.setEpoch(epoch)
  }

  connect(): void {
    if (this.#around?.next) this.#options.links.keep(this.#around.next, 'ring')
  }

  leave(): void {
    const { next, previous } = this.#around ?? {}
    this.#around = undefined
    if (next) this.#options.links.drop(next.id, 'ring')
    if (previous) this.#options.links.drop(previous, 'ring')
    this.#links.next = undefined
    this.#links.previous = undefined
  }

  /** Something happened on a link of the ring. */
  handle(event: Exclude<LinkEvent, { kind: 'unreachable' }>): void {
    const { link } = event
    if (event.kind === 'up') this.#up(link)
    else if (event.kind === 'down') this.#down(link, event.reason)
    else if (!link.dialed && link.key === this.#links.previous?.key)
      this.#frame(event.frame, link.peer)
  }

  /** The next stage cannot be reached. */
  unreachable(peer: string, reason: string): void {
    this.#tell(peer, 'next', false, reason)
  }

  send(frame: VisitFrame | PlainDraft): void {
    const { links } = this.#options
    const link = this.#links.next
    if (!link || links.send(link, frame)) return
    // Frames in flight are fewer than any queue holds, so the link has just broken, or the
    // other end has stopped reading. It is made anew, and its end is told in any case.
    const next = this.#around?.next
    if (!next || this.#refusing === link.key) return
    this.#refusing = link.key
    links.drop(next.id, 'ring')
    links.keep(next, 'ring')
  }

  #up(link: Link): void {
    const direction = directionOf(link)
    const expected = link.dialed ? this.#around?.next?.id : this.#around?.previous
    // It was greeted under a plan that has changed since.
    if (expected !== link.peer) return
    // What was on its way on an older link may be lost, whether or not its end is told.
    if (this.#links[direction])
      this.#options.onEvent({ kind: direction, up: false, reason: 'it made a new connection' })
    this.#links[direction] = link
    this.#options.onEvent({ kind: direction, up: true })
    this.#tell(link.peer, direction, true)
  }

  #down(link: Link, reason: string): void {
    const direction = directionOf(link)
    // A link that another has replaced was told as lost then.
    if (this.#links[direction]?.key !== link.key) return
    this.#links[direction] = undefined
    this.#options.onEvent({ kind: direction, up: false, reason })
    this.#tell(link.peer, direction, false, reason)
  }

  #frame(frame: Frame, from: string): void {
    if (frame.kind === 'visit') this.#options.onEvent({ kind: 'visit', frame })
    else if (frame.kind === 'fault' && frame.epoch === this.#epoch)
      this.#options.onEvent({ kind: 'fault', fault: readFault(frame.body, from) })
  }

  #tell(peer: string, direction: Direction, up: boolean, reason?: string): void {
    this.#options.onLink({ peer, direction, up, ...(reason !== undefined && { reason }) })
  }
}

/** A node dials the stage after it, and is dialed by the one before. */
const directionOf = ({ dialed }: Link): Direction => (dialed ? 'next' : 'previous')

const readFault = (body: Uint8Array, from: string): Fault => {
  try {
    return readJson(body, faultSchema, 'a fault')
  } catch (error) {
    if (!(error instanceof MdiError)) throw error
    return { node: from, reason: error.message }
  }
}
