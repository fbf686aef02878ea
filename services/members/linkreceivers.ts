/**
 * One board's links, shared by its roles. A stage has the ring's links and those of owners that
 * call it; whoever owns requests has the links to the starter that it dialed itself. Peers that
 * ask for what no role does are refused.
 */
import type { Link, LinkEvent, Links, Refusal } from '../ports.ts'
import type { Hello } from '../wire/hello.ts'

/** A role's view of the links, until it is closed. */
export type LinkView = Links & { close(): void }

type Receiver = {
  /** Links of this role that are up, by their key. */
  up: Map<number, Link>
  handler: (event: LinkEvent) => void
  admit?: (hello: Hello) => Refusal | undefined
}

export class LinkReceivers {
  readonly #links: Links
  readonly #board: string
  #stage: Receiver | undefined
  #owner: Receiver | undefined

  /** @param board this board's name, for the sentence of a refusal */
  constructor(links: Links, board: string) {
    this.#links = links
    this.#board = board
    links.onEvent((event) => this.#told(event))
    links.onHello((hello) => this.#admit(hello))
  }

  /** The stage's links: the ring's, and those of owners that call. */
  stage(): LinkView {
    const receiver: Receiver = { up: new Map(), handler: () => {} }
    this.#stage = receiver
    return this.#view(receiver, () => {
      if (this.#stage === receiver) this.#stage = undefined
    })
  }

  /** The links to the starter of whoever owns requests on this board. */
  owner(): LinkView {
    const receiver: Receiver = { up: new Map(), handler: () => {} }
    this.#owner = receiver
    return this.#view(receiver, () => {
      if (this.#owner === receiver) this.#owner = undefined
    })
  }

  #told(event: LinkEvent): void {
    const receiver = this.#receiverOf(event)
    if (event.kind === 'up' && !receiver) {
      this.#links.hangUp(event.link, `${this.#board} does not do that any more`)
      return
    }
    if (event.kind === 'up') receiver?.up.set(event.link.key, event.link)
    if (event.kind === 'down') receiver?.up.delete(event.link.key)
    receiver?.handler(event)
  }

  #receiverOf(event: LinkEvent): Receiver | undefined {
    if (event.kind === 'unreachable') return event.purpose === 'ring' ? this.#stage : this.#owner
    return isOwners(event.link) ? this.#owner : this.#stage
  }

  #admit(hello: Hello): Refusal | undefined {
    if (this.#stage) return this.#stage.admit?.(hello)
    return { code: 'purpose', reason: `${this.#board} is no stage of a ring.` }
  }

  #view(receiver: Receiver, close: () => void): LinkView {
    const links = this.#links
    return {
      onEvent: (handler) => {
        receiver.handler = handler
      },
      onHello: (admit) => {
        receiver.admit = admit
      },
      setEpoch: (epoch) => links.setEpoch(epoch),
      keep: (peer, purpose) => links.keep(peer, purpose),
      drop: (peer, purpose) => links.drop(peer, purpose),
      send: (link, frame) => links.send(link, frame),
      hangUp: (link, reason) => links.hangUp(link, reason),
      pause: (link, paused) => links.pause(link, paused),
      close: () => {
        close()
        // Whoever is at the other end learns it, and does not wait for an answer in vain.
        for (const link of receiver.up.values()) links.hangUp(link, `${this.#board} stops this`)
      },
    }
  }
}

const isOwners = ({ purpose, dialed }: Link): boolean => purpose === 'owner' && dialed
