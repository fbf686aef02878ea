/**
 * The starter's book of requests: who is told their tokens, and the tokens themselves. So an
 * owner that was away (a coordinator that restarts) can attach again and miss none.
 */
import { limits } from '../limits.ts'
import type { End, Token } from '../wire/requests.ts'

/** An owner's end of a request. */
export interface TokenListener {
  token(token: Token): void
  end(end: End): void
}

type Entry = {
  listener: TokenListener | undefined
  tokens: Token[]
  /** About what the tokens take in memory. */
  bytes: number
  end?: End
  /** When its owner left, or when it ended. */
  since: number
}

/** How long an answer is kept that an owner heard, and how long a request runs without one. */
export const KEPT_MS = 60_000
/** How long an end is kept that perhaps no owner heard: its owner may come back for it. */
export const UNHEARD_MS = 3_600_000
/** About what one token takes in memory. */
export const TOKEN_BYTES = 64

const bytesOf = ({ logprobs }: Token): number => TOKEN_BYTES + 8 * (logprobs?.length ?? 0)

const takenOver = (id: string): End => ({
  id,
  reason: 'error',
  error: {
    code: 'node-lost',
    message: 'Another owner has taken over the request; its answer goes there. Ask again.',
  },
})

export class Ledger {
  readonly #entries = new Map<string, Entry>()
  /** Bytes of the entries that have ended. */
  #ended = 0

  /** Requests that are kept. */
  get size(): number {
    return this.#entries.size
  }

  /** Begins to keep a request. @returns false where a request of this id runs */
  open(id: string, listener: TokenListener, now: number): boolean {
    const known = this.#entries.get(id)
    if (known && !known.end) return false
    this.#forget(id)
    this.#entries.set(id, { listener, tokens: [], bytes: TOKEN_BYTES, since: now })
    return true
  }

  /** Whether a request runs on for an owner that is gone. */
  isOrphan(id: string): boolean {
    const entry = this.#entries.get(id)
    return entry !== undefined && !entry.end && !entry.listener
  }

  token(token: Token): void {
    const entry = this.#entries.get(token.id)
    if (!entry) return
    entry.tokens.push(token)
    entry.bytes += bytesOf(token)
    entry.listener?.token(token)
  }

  end(end: End, now: number): void {
    const entry = this.#entries.get(end.id)
    if (!entry || entry.end) return
    entry.end = end
    entry.since = now
    this.#ended += entry.bytes
    entry.listener?.end(end)
    this.#shrink()
  }

  /** Tells everything since a step to a new listener. @returns false for an unknown id */
  attach(id: string, fromStep: number, listener: TokenListener): boolean {
    const entry = this.#entries.get(id)
    if (!entry) return false
    const before = entry.listener
    entry.listener = listener
    // An owner that is still there must not wait for what goes to another from now on.
    if (before && before !== listener && !entry.end) before.end(takenOver(id))
    for (const token of entry.tokens) if (token.step >= fromStep) listener.token(token)
    if (entry.end) listener.end(entry.end)
    return true
  }

  /** An owner is gone. Its requests run on for a while. */
  detach(listener: TokenListener, now: number): void {
    for (const entry of this.#entries.values()) {
      if (entry.listener !== listener) continue
      entry.listener = undefined
      if (!entry.end) entry.since = now
    }
  }

  /**
   * Forgets requests that ended long ago, and those that run although no owner came back.
   * @returns the ids of those that run, which are to be ended
   */
  expire(now: number): string[] {
    const orphans: string[] = []
    for (const [id, { end, listener, since }] of this.#entries) {
      if (now - since < (end && !listener ? UNHEARD_MS : KEPT_MS)) continue
      if (!end && listener) continue
      if (!end) orphans.push(id)
      this.#forget(id)
    }
    return orphans
  }

  #forget(id: string): void {
    const entry = this.#entries.get(id)
    if (entry?.end) this.#ended -= entry.bytes
    this.#entries.delete(id)
  }

  /** Keeps ended answers within their bound: drops first what an owner heard, then the oldest. */
  #shrink(): void {
    for (const heard of [true, false])
      for (const [id, { end, listener }] of this.#entries) {
        if (this.#ended <= limits.keptAnswerBytes) return
        if (end && (listener !== undefined) === heard) this.#forget(id)
      }
  }
}
