/**
 * Whether another node has our id, pure. Both hear each other on the one topic of their state,
 * and the newcomer gives up. Who the newcomer is follows from what the broker remembered when
 * each came; where that tells nothing, each asks whether the other still lives, and the one
 * with the smaller instance gives up first.
 */
import { Rivals, SURELY_HEARD } from './rivals.ts'

/** A state on our own topic. `retained`: the broker remembered it. */
export type TwinWord = { instance: string; address: string; retained: boolean }

export type TwinAnswer =
  | { kind: 'nothing' }
  /** Say again that this node is here. */
  | { kind: 'tell' }
  /** Another node lives there: this one stops. */
  | { kind: 'give-up'; address: string }

/** A node that meets its own id alive within this time after its start is a newcomer. */
const NEWCOMER_MS = 15_000
/** Of two newcomers, how long after the first word the other is asked whether it still lives. */
const SMALLER_MS = 1_000
const LARGER_MS = 4_000
/** A newcomer answers another so often, and then asks only now and then. */
const REPLIES = 4
/** One that is no newcomer says so often that it is here, and then leaves it at that. */
const ANSWERS = 16

const nothing: TwinAnswer = { kind: 'nothing' }
const tell: TwinAnswer = { kind: 'tell' }

export class TwinCheck {
  readonly #instance: string
  readonly #rivals: Rivals
  /** When each was asked whether it still lives, and where it is. */
  readonly #asked = new Map<string, number>()
  readonly #addresses = new Map<string, string>()
  #startedAt = 0
  /** How often the broker was there. */
  #buses = 0

  constructor(instance: string) {
    this.#instance = instance
    this.#rivals = new Rivals(instance)
  }

  start(now: number): void {
    this.#startedAt = now
  }

  /** The broker is there (again). */
  bus(): void {
    this.#buses += 1
  }

  /** Whether it is not yet known that this node is the only one. */
  quiet(now: number): boolean {
    return this.#rivals.quiet(now)
  }

  hear({ instance, address, retained }: TwinWord, now: number): TwinAnswer {
    if (!this.#rivals.isOther(instance)) return nothing
    if (retained) {
      this.#rivals.remember(instance, now, this.#buses <= 1)
      return tell
    }
    const { heard } = this.#rivals.hear(instance, now)
    this.#addresses.set(instance, address)
    if (instance === this.#rivals.remembered && heard >= SURELY_HEARD) return this.#giveUp(instance)
    const old = now - this.#startedAt > NEWCOMER_MS
    return heard > (old ? ANSWERS : REPLIES) ? nothing : tell
  }

  /** Where two came together: asks whether the other still lives, and gives up where it does. */
  tick(now: number): TwinAnswer {
    for (const [other, { heard, since, last }] of this.#rivals.living) {
      const ms = this.#instance < other ? SMALLER_MS : LARGER_MS
      if (since - this.#startedAt > NEWCOMER_MS || now - since < ms) continue
      const asked = this.#asked.get(other)
      if (asked !== undefined && last > asked) return this.#giveUp(other)
      if (asked !== undefined || heard < SURELY_HEARD) continue
      this.#asked.set(other, now)
      return tell
    }
    return nothing
  }

  #giveUp(instance: string): TwinAnswer {
    return { kind: 'give-up', address: this.#addresses.get(instance) ?? 'an unknown address' }
  }
}
