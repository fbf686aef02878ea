/**
 * Finds out whether the ring is whole, pure. It is whole when a reset visit, which closes
 * every sequence, has gone round it. Until then nothing else is sent. So a ring that was
 * broken becomes whole again without help, and nothing is left of what ran before.
 */
import { resetVisit, type Visit } from './visit.ts'

/** A reset that has not come back within this time is sent again. */
const RESET_AGAIN_MS = 1_000
/** Two resets are at least this far apart, however many faults come in a row. */
const RESET_LEAST_MS = 200

export class Reset {
  #whole = false
  /** Number of the reset that is to come back. */
  #awaited: number | undefined
  #sentAt = Number.NEGATIVE_INFINITY

  get whole(): boolean {
    return this.#whole
  }

  /** The ring broke: a reset must go round again. @returns whether the ring was whole */
  break(): boolean {
    const was = this.#whole
    this.#whole = false
    this.#awaited = undefined
    return was
  }

  /**
   * The reset that is to be sent now, if any. It is repeated under the same number: a ring may
   * be slower than the time after which it is repeated, so whichever of them returns counts.
   * @param takeNumber gives a new reset its number
   */
  due(now: number, takeNumber: () => number): Visit | undefined {
    const wait = this.#awaited === undefined ? RESET_LEAST_MS : RESET_AGAIN_MS
    if (now - this.#sentAt < wait) return undefined
    this.#sentAt = now
    this.#awaited ??= takeNumber()
    return resetVisit(this.#awaited)
  }

  /** A visit has come back. @returns whether it was the awaited reset, so the ring is whole */
  returned(number: number): boolean {
    if (number !== this.#awaited) return false
    this.#awaited = undefined
    this.#whole = true
    return true
  }
}
