/**
 * Sends an owner the tokens and ends of its requests over its link, in order. A link takes only
 * so many frames at once, and an owner that attaches again asks for many. The rest waits here.
 */
import { limits } from '../limits.ts'
import type { Clock, Link, Links } from '../ports.ts'
import { writeJson } from '../wire/json.ts'
import type { End, Token } from '../wire/requests.ts'
import { FrameQueue } from './framequeue.ts'
import type { TokenListener } from './ledger.ts'

export class Outlet implements TokenListener {
  readonly #links: Pick<Links, 'send' | 'drop'>
  readonly #link: Link
  readonly #epoch: () => number
  readonly #queue: FrameQueue
  #closed = false

  /** @param epoch asked for each frame */
  constructor(
    links: Pick<Links, 'send' | 'drop'>,
    link: Link,
    clock: Pick<Clock, 'after'>,
    epoch: () => number,
  ) {
    this.#links = links
    this.#link = link
    this.#queue = new FrameQueue(links, clock, link)
    this.#epoch = epoch
  }

  token(token: Token): void {
    this.#tell('token', token)
  }

  end(end: End): void {
    this.#tell('end', end)
  }

  /** The link is down. Whoever attaches asks again for what waits here. */
  close(): void {
    this.#closed = true
    this.#queue.clear()
  }

  #tell(kind: 'token' | 'end', value: Token | End): void {
    if (this.#closed) return
    this.#queue.push({ kind, epoch: this.#epoch(), number: 0, body: writeJson(value) }, undefined)
    if (this.#queue.length <= limits.ownerFrames) return
    this.close()
    this.#links.drop(this.#link.peer, this.#link.purpose)
  }
}
