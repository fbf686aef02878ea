/**
 * Whether this coordinator is the one of its broker, pure. Two would end each other's plans
 * for ever: so whoever comes to the broker, or comes back, asks first, and goes to work when none
 * answers that it is at work. What a former life left at the broker, or the broker still says
 * of it, holds nobody up for long.
 */
import type { BridgeState } from '../wire/control.ts'

export type PresenceEvent =
  /** The broker is there (again). */
  | { kind: 'bus' }
  /** What came on the topic; undefined: cleared, or nobody can read it. */
  | { kind: 'state'; state: BridgeState | undefined; retained: boolean }
  | { kind: 'tick' }

export type PresenceEffect =
  /** Say that this coordinator is there, with its instance, and whether it only `asks`. */
  | { kind: 'tell'; asks: boolean }
  /** No other is at work: take up the work, or go on with it, and then say so. */
  | { kind: 'stand' }
  /** Another coordinator is at work: this one stops and says so. */
  | { kind: 'give-up'; message: string }

/** Where the broker remembers another, it is given this time to say that it lives. */
const QUIET_MS = 1_500
/** A broker that does not let us hear ourselves is taken at its word after this time. */
const UNHEARD_MS = 3_000
/** So often another at work is heard before one that asks is sure that it lives. */
const HEARD = 2
/** Of two of the same standing, the one with the smaller instance gives up after this. */
const HEARD_EQUAL = 4

export class Presence {
  readonly #instance: string
  #gone = false
  #connectedAt: number | undefined
  /** It is known that no other is at work, since we last came to the broker. */
  #settled = false
  /** Our own word came back: the broker has told what it remembered. */
  #echoed = false
  #quietUntil = Number.NEGATIVE_INFINITY
  /** Whose word the broker remembered when we came. */
  #remembered: string | undefined
  /** How often each living one was heard since we came. */
  readonly #heard = new Map<string, number>()

  constructor(instance: string) {
    this.#instance = instance
  }

  /** Whether this coordinator is at work. */
  get standing(): boolean {
    return this.#settled
  }

  /** @param now milliseconds of a clock that never jumps */
  handle(event: PresenceEvent, now: number): PresenceEffect[] {
    if (this.#gone) return []
    switch (event.kind) {
      case 'bus':
        this.#connectedAt = now
        this.#settled = false
        this.#echoed = false
        this.#remembered = undefined
        this.#quietUntil = Number.NEGATIVE_INFINITY
        this.#heard.clear()
        return [this.#tell()]
      case 'state':
        return event.retained ? this.#recall(event.state, now) : this.#said(event.state, now)
      case 'tick':
        return this.#settle(now)
    }
  }

  #tell(): PresenceEffect {
    return { kind: 'tell', asks: !this.#settled }
  }

  #recall(state: BridgeState | undefined, now: number): PresenceEffect[] {
    const { instance } = state ?? {}
    if (state?.state !== 'online' || instance === undefined || instance === this.#instance)
      return []
    this.#remembered = instance
    this.#quietUntil = now + QUIET_MS
    return [this.#tell()]
  }

  #said(state: BridgeState | undefined, now: number): PresenceEffect[] {
    const { instance } = state ?? {}
    if (state?.state === 'online' && instance === this.#instance) {
      this.#echoed = true
      return this.#settle(now)
    }
    // The will of a former life, or somebody's garbage, which the broker may retain: we are here.
    if (state?.state !== 'online' || instance === undefined) {
      if (instance !== undefined && instance === this.#remembered) this.#quietUntil = now
      return [this.#tell(), ...this.#settle(now)]
    }
    return this.#other(state, instance, now)
  }

  #other(state: BridgeState, instance: string, now: number): PresenceEffect[] {
    const asks = state.asks === true
    if (asks && this.#settled) return [this.#tell()]
    const heard = (this.#heard.get(instance) ?? 0) + 1
    this.#heard.set(instance, heard)
    if (!this.#settled) this.#quietUntil = Math.max(this.#quietUntil, now + QUIET_MS)
    const equal = asks !== this.#settled
    const yields = !equal || this.#instance < instance
    if (!yields || heard < (equal ? HEARD_EQUAL : HEARD)) return [this.#tell()]
    this.#gone = true
    const { id = 'another', place = 'an unknown address' } = state
    const message = `Another coordinator is at work at this broker: ${id} (at ${place}). Stop that one, or give this one another broker.`
    return [{ kind: 'give-up', message }]
  }

  #settle(now: number): PresenceEffect[] {
    if (this.#settled || this.#connectedAt === undefined || now < this.#quietUntil) return []
    if (!this.#echoed && now - this.#connectedAt < UNHEARD_MS) return []
    this.#settled = true
    return [{ kind: 'stand' }]
  }
}
