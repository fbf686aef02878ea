/**
 * Others who say at the broker that they are who we are: a node of our id, a coordinator beside
 * us. What the broker remembers (a retained message) may be left from a process that was killed,
 * so it counts for little: such a one is given some time to say that it lives. Pure.
 */

/** One that lives: how often it was heard, since when, and when last. */
export type Rival = { heard: number; since: number; last: number }

/** One that the broker remembers is given this time to say that it lives. */
const QUIET_MS = 1_500
/** One that was there before us is known to live when it was heard so often. */
export const SURELY_HEARD = 2

export class Rivals {
  readonly #own: string
  readonly #living = new Map<string, Rival>()
  #remembered: string | undefined
  #quietUntil = Number.NEGATIVE_INFINITY

  /** @param own our own instance, made anew at each start */
  constructor(own: string) {
    this.#own = own
  }

  /** Living ones, by their instance. */
  get living(): ReadonlyMap<string, Rival> {
    return this.#living
  }

  /** Whom the broker remembered. */
  get remembered(): string | undefined {
    return this.#remembered
  }

  /** Whether an instance is another's. */
  isOther(instance: string): boolean {
    return instance !== this.#own
  }

  /** Whether somebody is still given time to say that it lives. */
  quiet(now: number): boolean {
    return now < this.#quietUntil
  }

  /** We came to the broker anew: what was heard before counts no longer. */
  clear(): void {
    this.#living.clear()
    this.#remembered = undefined
    this.#quietUntil = Number.NEGATIVE_INFINITY
  }

  /**
   * The broker remembers another.
   * @param first whether that may be one who was there before us
   */
  remember(instance: string, now: number, first = true): void {
    if (first) this.#remembered = instance
    this.#quietUntil = now + QUIET_MS
  }

  /**
   * Another spoke.
   * @param counts whether that proves that it lives
   */
  hear(instance: string, now: number, counts = true): Rival {
    const rival = this.#living.get(instance) ?? { heard: 0, since: now, last: now }
    this.#living.set(instance, rival)
    if (counts) rival.heard += 1
    rival.last = now
    return rival
  }

  /** One that was heard is given time to say more. */
  wait(now: number): void {
    this.#quietUntil = Math.max(this.#quietUntil, now + QUIET_MS)
  }

  /** Somebody is known to be gone: where it is the one that was waited for, nobody is. */
  gone(instance: string, now: number): void {
    if (instance === this.#remembered) this.#quietUntil = now
  }
}
