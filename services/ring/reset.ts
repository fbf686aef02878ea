/**
 * Finds out whether the ring is whole, pure. A ring is whole when a reset visit, which closes
 * every sequence, has gone round it. Until then nothing else is sent. So a ring that was broken
 * mends by itself, and nothing of before is left.
 */
import type { Visit } from './scheduler.ts'

/** A reset that has not come back within this time is sent again. */
const AGAIN_MS = 1_000
/** Faults that come in a row bring no more resets than this allows. */
const LEAST_MS = 200

export class RingReset {
  #whole = false
  /** Number of the reset that is to come back. */
  #number: number | undefined
  #sentAt = Number.NEGATIVE_INFINITY

  get whole(): boolean {
    return this.#whole
  }

  /** The ring broke: a new reset is to go round. @returns whether it was whole */
  begin(): boolean {
    const was = this.#whole
    this.#whole = false
    this.#number = undefined
    return was
  }

  /**
   * The reset to send now, if one is due. It is repeated under the same number: whichever of
   * them comes back counts. A ring may be slower than the time after which a reset is repeated,
   * and none is missed when it is lost.
   */
  due(now: number, takeNumber: () => number): Visit | undefined {
    const wait = this.#number === undefined ? LEAST_MS : AGAIN_MS
    if (now - this.#sentAt < wait) return undefined
    this.#sentAt = now
    this.#number ??= takeNumber()
    return {
      number: this.#number,
      operations: [{ kind: 'reset', sequence: 0 }],
      segments: [],
      tokens: new Int32Array(0),
      head: [],
    }
  }

  /** Whether a visit of this number is the reset that is waited for. */
  awaits(number: number): boolean {
    return number === this.#number
  }

  /** It has come back. */
  done(): void {
    this.#number = undefined
    this.#whole = true
  }
}
