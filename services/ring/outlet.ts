/**
 * Sends an owner the tokens and ends of its requests over its link, in order. A link takes only
 * so many frames at once, and an owner that attaches again asks for many. The rest waits here.
 */
import { limits } from '../limits.ts'
import type { Clock, Link, Links } from '../ports.ts'
import type { PlainDraft } from '../wire/frame.ts'
import { writeJson } from '../wire/json.ts'
import type { End, Token } from '../wire/requests.ts'
import type { TokenListener } from './ledger.ts'

/** A link that was full is tried again after this time. */
const AGAIN_MS = 10

export class Outlet implements TokenListener {
  readonly #links: Pick<Links, 'send' | 'drop'>
  readonly #link: Link
  readonly #clock: Pick<Clock, 'after'>
  readonly #epoch: () => number
  #waiting: PlainDraft[] = []
  #stopAgain: (() => void) | undefined
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
    this.#clock = clock
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
    this.#waiting = []
    this.#stopAgain?.()
  }

  #tell(kind: 'token' | 'end', value: Token | End): void {
    if (this.#closed) return
    this.#waiting.push({ kind, epoch: this.#epoch(), number: 0, body: writeJson(value) })
    if (this.#waiting.length > limits.ownerFrames) {
      this.close()
      this.#links.drop(this.#link.peer, this.#link.purpose)
    } else if (!this.#stopAgain) this.#flush()
  }

  #flush(): void {
    let sent = 0
    for (const frame of this.#waiting) {
      if (!this.#links.send(this.#link, frame)) break
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
