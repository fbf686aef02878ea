/** A node's links to the stages before and behind it, as long as a part is played. */
import { MdiError } from '../errors.ts'
import type { Link, LinkEvent, Links, Refusal } from '../ports.ts'
import type { Assignment, LinkState } from '../wire/control.ts'
import type { Frame, PlainDraft, VisitFrame } from '../wire/frame.ts'
import { type Fault, faultSchema, type Hello } from '../wire/hello.ts'
import { readJson, writeJson } from '../wire/json.ts'

/** Bytes of a fault's reason that are sent on. */
const REASON_LENGTH = 500

/** What comes of a neighbour, for the part that is played. */
export type NeighbourEvent =
  | { kind: 'visit'; frame: VisitFrame }
  | { kind: 'fault'; fault: Fault }
  | { kind: 'previous' | 'next'; up: boolean; reason?: string }

export type NeighboursOptions = {
  /** This node. */
  id: string
  links: Links
  onEvent(event: NeighbourEvent): void
  /** A link to a neighbour changed. */
  onLink?: ((state: LinkState) => void) | undefined
}

type Place = { epoch: number; assignment: Pick<Assignment, 'next' | 'previous'> }

export class Neighbours {
  readonly #options: NeighboursOptions
  #place: Place | undefined
  #next: Link | undefined
  #previous: Link | undefined
  /** The link that is being made anew because it took no frame. */
  #refusing: number | undefined

  constructor(options: NeighboursOptions) {
    this.#options = options
  }

  /** Takes a place in the ring, and dials the stage behind it. */
  join(place: Place): void {
    const { links } = this.#options
    this.#place = place
    links.setEpoch(place.epoch)
    if (place.assignment.next) links.keep(place.assignment.next, 'ring')
  }

  /** Gives the place up. */
  leave(): void {
    const { links } = this.#options
    const { next, previous } = this.#place?.assignment ?? {}
    this.#place = undefined
    if (next) links.drop(next.id, 'ring')
    if (previous) links.drop(previous, 'ring')
    this.#next = undefined
    this.#previous = undefined
  }

  /** Whether a stage that says hello is the one before this. */
  admit(hello: Hello): Refusal | undefined {
    const { id } = this.#options
    const place = this.#place
    if (!place || place.epoch !== hello.epoch)
      return {
        code: 'epoch',
        reason: `Node ${id} follows plan ${place?.epoch ?? 'none'}, not ${hello.epoch}.`,
      }
    if (place.assignment.previous !== hello.node)
      return { code: 'node', reason: `Node ${hello.node} is not the stage before ${id}.` }
    return undefined
  }

  /** An event of a link of purpose `ring`. */
  handle(event: LinkEvent): void {
    if (event.kind === 'unreachable') {
      this.#tell(event.peer, 'next', false, event.reason)
      return
    }
    const { link } = event
    const direction = link.dialed ? 'next' : 'previous'
    if (event.kind === 'frame') {
      if (!link.dialed && link.key === this.#previous?.key) this.#frame(event.frame, link.peer)
    } else if (event.kind === 'up') this.#up(link, direction)
    else this.#down(link, direction, event.reason)
  }

  #up(link: Link, direction: 'next' | 'previous'): void {
    // Greeted under a plan that has changed since.
    if (!this.#isNeighbour(link)) return
    // What was on its way on an older link may be lost, whether or not its end is told.
    if (link.dialed ? this.#next : this.#previous)
      this.#options.onEvent({ kind: direction, up: false, reason: 'it made a new connection' })
    if (link.dialed) this.#next = link
    else this.#previous = link
    this.#options.onEvent({ kind: direction, up: true })
    this.#tell(link.peer, direction, true)
  }

  #down(link: Link, direction: 'next' | 'previous', reason: string): void {
    // The end of one that another has replaced was told then.
    const current = link.dialed ? this.#next : this.#previous
    if (current?.key !== link.key) return
    if (link.dialed) this.#next = undefined
    else this.#previous = undefined
    this.#options.onEvent({ kind: direction, up: false, reason })
    this.#tell(link.peer, direction, false, reason)
  }

  #isNeighbour(link: Link): boolean {
    const assignment = this.#place?.assignment
    return link.peer === (link.dialed ? assignment?.next?.id : assignment?.previous)
  }

  #tell(peer: string, direction: 'next' | 'previous', up: boolean, reason?: string): void {
    this.#options.onLink?.({ peer, direction, up, ...(reason !== undefined && { reason }) })
  }

  #frame(frame: Frame, from: string): void {
    if (frame.kind === 'visit') this.#options.onEvent({ kind: 'visit', frame })
    else if (frame.kind === 'fault' && frame.epoch === this.#place?.epoch)
      this.#options.onEvent({ kind: 'fault', fault: readFault(frame.body, from) })
  }

  /** Sends a frame to the stage behind. */
  send(frame: VisitFrame | PlainDraft): void {
    const link = this.#next
    const { links } = this.#options
    if (!link || links.send(link, frame)) return
    // Frames in flight are fewer than any queue holds. So the link has just broken, or it takes
    // nothing any more: it is made anew, and its end is told in any case.
    const next = this.#place?.assignment.next
    if (!next || this.#refusing === link.key) return
    this.#refusing = link.key
    links.drop(next.id, 'ring')
    links.keep(next, 'ring')
  }

  /** Tells the stage behind of a fault, which goes round to the starter. */
  sendFault(fault: Fault): void {
    const epoch = this.#place?.epoch
    if (epoch === undefined) return
    const body = writeJson({ ...fault, reason: fault.reason.slice(0, REASON_LENGTH) })
    this.send({ kind: 'fault', epoch, number: 0, body })
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
