/**
 * Frames for a link that takes only so many at once: those that it does not take wait here, in
 * their order, and are tried again.
 */
import type { Clock, Link, Links } from '../ports.ts'
import type { PlainDraft } from '../wire/frame.ts'

/** A link that took nothing more is tried again after this time. */
const AGAIN_MS = 10

/** @typeParam Tag what the sender remembers of a frame */
export class FrameQueue<Tag = undefined> {
  readonly #links: Pick<Links, 'send'>
  readonly #clock: Pick<Clock, 'after'>
  #link: Link | undefined
  #waiting: { frame: PlainDraft; tag: Tag }[] = []
  #stopAgain: (() => void) | undefined

  /** @param link absent: frames wait until there is one */
  constructor(links: Pick<Links, 'send'>, clock: Pick<Clock, 'after'>, link?: Link) {
    this.#links = links
    this.#clock = clock
    this.#link = link
  }

  /** Frames that wait. */
  get length(): number {
    return this.#waiting.length
  }

  /** From now on this link is sent to. */
  use(link: Link): void {
    this.#link = link
    if (!this.#stopAgain) this.#flush()
  }

  push(frame: PlainDraft, tag: Tag): void {
    this.#waiting.push({ frame, tag })
    if (!this.#stopAgain) this.#flush()
  }

  /** Forgets frames that wait. */
  forget(which: (tag: Tag) => boolean): void {
    this.#waiting = this.#waiting.filter(({ tag }) => !which(tag))
  }

  /** The link is down: nothing waits any more. @returns what was not sent */
  clear(): Tag[] {
    const tags = this.#waiting.map(({ tag }) => tag)
    this.#waiting = []
    this.#link = undefined
    this.#stopAgain?.()
    this.#stopAgain = undefined
    return tags
  }

  #flush(): void {
    const link = this.#link
    if (!link) return
    let sent = 0
    for (const { frame } of this.#waiting) {
      if (!this.#links.send(link, frame)) break
      sent += 1
    }
    this.#waiting.splice(0, sent)
    if (this.#waiting.length === 0) return
    this.#stopAgain = this.#clock.after(AGAIN_MS, () => {
      this.#stopAgain = undefined
      this.#flush()
    })
  }
}
