/**
 * Whether this coordinator is the one of its broker, pure. Two would end each other's plans
 * for ever: so whoever comes asks first, by saying that it is there, and takes up the work when
 * none answers. What a former life left at the broker, or the broker still says of it, holds
 * nobody up for long.
 */
import type { BridgeState } from '../wire/control.ts'

export type PresenceEvent =
  /** The broker is there (again). */
  | { kind: 'bus' }
  /** What came on the topic; undefined: cleared, or nobody can read it. */
  | { kind: 'state'; state: BridgeState | undefined; retained: boolean }
  | { kind: 'tick' }

export type PresenceEffect =
  /** Say that this coordinator is there, with its instance. */
  | { kind: 'tell' }
  /** Take up the work, and say so: whoever has asked something meanwhile asks again. Comes once. */
  | { kind: 'stand' }
  /** Another coordinator is at work: this one stops and says so. */
  | { kind: 'give-up'; message: string }

/** Where the broker remembers another, it is given this time to say that it lives. */
const QUIET_MS = 1_500
/** A broker that does not let us hear ourselves is taken at its word after this time. */
const UNHEARD_MS = 3_000
/** A coordinator that meets another within this time after it came to the broker is new there. */
const NEWCOMER_MS = 15_000
/** How often another must be heard: one that was there first; of two newcomers, by instance. */
const HEARD_FIRST = 2
const HEARD_SMALLER = 6
const HEARD = 12
/** Of two that have long been there, the one with the smaller instance goes after this. */
const HEARD_LONG = 16

export class Presence {
  readonly #instance: string
  #standing = false
  #gone = false
  #connectedAt: number | undefined
  /** Our own word came back: the broker has told what it remembered. */
  #echoed = false
  #quietUntil = Number.NEGATIVE_INFINITY
  /** Whose word the broker remembered when we came. */
  #first: string | undefined
  /** How often each living one was heard since we came. */
  readonly #heard = new Map<string, number>()

  constructor(instance: string) {
    this.#instance = instance
  }

  /** Whether this coordinator is at work. */
  get standing(): boolean {
    return this.#standing
  }

  /** @param now milliseconds of a clock that never jumps */
  handle(event: PresenceEvent, now: number): PresenceEffect[] {
    if (this.#gone) return []
    switch (event.kind) {
      case 'bus':
        this.#connectedAt = now
        this.#echoed = false
        this.#first = undefined
        this.#heard.clear()
        return [{ kind: 'tell' }]
      case 'state':
        return event.retained ? this.#remembered(event.state, now) : this.#said(event.state, now)
      case 'tick':
        return this.#settle(now)
    }
  }

  #remembered(state: BridgeState | undefined, now: number): PresenceEffect[] {
    const { instance } = state ?? {}
    if (state?.state !== 'online' || instance === undefined || instance === this.#instance)
      return []
    this.#first = instance
    this.#quietUntil = now + QUIET_MS
    return [{ kind: 'tell' }]
  }

  #said(state: BridgeState | undefined, now: number): PresenceEffect[] {
    const { instance } = state ?? {}
    if (state?.state === 'online' && instance === this.#instance) {
      this.#echoed = true
      return this.#settle(now)
    }
    // The will of a former life, or somebody's garbage, which the broker may retain: we are here.
    if (state?.state !== 'online' || instance === undefined) {
      if (instance !== undefined && instance === this.#first) this.#quietUntil = now
      return [{ kind: 'tell' }, ...this.#settle(now)]
    }
    return this.#other(state, instance, now)
  }

  #other(state: BridgeState, instance: string, now: number): PresenceEffect[] {
    const heard = (this.#heard.get(instance) ?? 0) + 1
    this.#heard.set(instance, heard)
    if (!this.#standing) this.#quietUntil = Math.max(this.#quietUntil, now + QUIET_MS)
    if (heard < this.#enough(instance, now)) return [{ kind: 'tell' }]
    this.#gone = true
    const { id = 'another', place = 'an unknown address' } = state
    const message = `Another coordinator is at work at this broker: ${id} (at ${place}). Stop that one, or give this one another broker.`
    return [{ kind: 'give-up', message }]
  }

  #enough(instance: string, now: number): number {
    if (instance === this.#first) return HEARD_FIRST
    const smaller = this.#instance < instance
    if (now - (this.#connectedAt ?? now) <= NEWCOMER_MS) return smaller ? HEARD_SMALLER : HEARD
    return smaller ? HEARD_LONG : Number.POSITIVE_INFINITY
  }

  #settle(now: number): PresenceEffect[] {
    if (this.#standing || this.#connectedAt === undefined || now < this.#quietUntil) return []
    if (!this.#echoed && now - this.#connectedAt < UNHEARD_MS) return []
    this.#standing = true
    return [{ kind: 'stand' }]
  }
}
