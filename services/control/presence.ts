/**
 * Whether this coordinator is the only one at its broker, pure. Two would end each other's plans
 * for ever. So a coordinator that comes to the broker, or comes back, asks first, and begins to
 * work when no other answers that it is at work. What the broker still says of a coordinator
 * that is gone delays this only briefly. Only words that answer ours count: whatever else says
 * that a coordinator is there is answered, and not obeyed.
 */
import type { BridgeState } from '../wire/control.ts'
import { Rivals, SURELY_HEARD } from './rivals.ts'

export type PresenceEvent =
  /** The broker is there (again). */
  | { kind: 'bus' }
  /** What came on the topic; undefined where it was cleared or cannot be read. */
  | { kind: 'state'; state: BridgeState | undefined; retained: boolean }
  | { kind: 'tick' }

export type PresenceEffect =
  /** Say that this coordinator is there, whether it only `asks`, and which instance it answers. */
  | { kind: 'tell'; asks: boolean; to?: string }
  /** No other is at work: begin to work, or go on, and say so. */
  | { kind: 'stand' }
  /** Another coordinator is at work. This one stops and says so. */
  | { kind: 'give-up'; message: string }

/** Where a broker does not send us our own word, we no longer wait for it after this time. */
const UNHEARD_MS = 3_000
/** Of two that both work or both ask, the smaller instance gives up when it heard so many. */
const HEARD_EQUAL = 4

export class Presence {
  readonly #instance: string
  #gone = false
  #connectedAt: number | undefined
  /** Since we last came to the broker, it has become known that no other is at work. */
  #settled = false
  /** Our own word came back, so the broker has sent all that it remembered. */
  #echoed = false
  readonly #rivals: Rivals

  constructor(instance: string) {
    this.#instance = instance
    this.#rivals = new Rivals(instance)
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
        this.#rivals.clear()
        return [this.#tell()]
      case 'state':
        return event.retained ? this.#recall(event.state, now) : this.#said(event.state, now)
      case 'tick':
        return this.#settle(now)
    }
  }

  /** @param to whose word is answered */
  #tell(to?: string): PresenceEffect {
    return { kind: 'tell', asks: !this.#settled, ...(to !== undefined && { to }) }
  }

  #recall(state: BridgeState | undefined, now: number): PresenceEffect[] {
    const { instance } = state ?? {}
    if (state?.state !== 'online' || instance === undefined || !this.#rivals.isOther(instance))
      return []
    this.#rivals.remember(instance, now)
    return [this.#tell(instance)]
  }

  #said(state: BridgeState | undefined, now: number): PresenceEffect[] {
    const { instance } = state ?? {}
    if (state?.state === 'online' && instance === this.#instance) {
      this.#echoed = true
      return this.#settle(now)
    }
    // The last will of an earlier process, or garbage. The broker may retain it, so say again
    // that we are here.
    if (state?.state !== 'online' || instance === undefined) {
      if (instance !== undefined) this.#rivals.gone(instance, now)
      return [this.#tell(), ...this.#settle(now)]
    }
    return this.#other(state, instance, now)
  }

  #other(state: BridgeState, instance: string, now: number): PresenceEffect[] {
    const asks = state.asks === true
    if (asks && this.#settled) return [this.#tell(instance)]
    const answers = state.to === this.#instance
    if (!this.#settled && (answers || !this.#rivals.living.has(instance))) this.#rivals.wait(now)
    const { heard } = this.#rivals.hear(instance, now, answers)
    const equal = asks !== this.#settled
    const yields = !equal || this.#instance < instance
    if (!yields || heard < (equal ? HEARD_EQUAL : SURELY_HEARD)) return [this.#tell(instance)]
    this.#gone = true
    const { id = 'another', place = 'an unknown address' } = state
    const message = `Another coordinator is at work at this broker: ${id} (at ${place}). Stop that one, or give this one another broker.`
    return [{ kind: 'give-up', message }]
  }

  #settle(now: number): PresenceEffect[] {
    if (this.#settled || this.#connectedAt === undefined || this.#rivals.quiet(now)) return []
    if (!this.#echoed && now - this.#connectedAt < UNHEARD_MS) return []
    this.#settled = true
    return [{ kind: 'stand' }]
  }
}
