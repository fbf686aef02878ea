/**
 * The starter's book of requests: who is told their tokens, and the tokens themselves, so
 * that an owner that went away (a coordinator that restarts) can attach again and miss
 * none.
 */
import type { End, Token } from '../wire/requests.ts'

/** An owner's end of a request. */
export interface Listener {
  token(token: Token): void
  end(end: End): void
}

type Entry = {
  listener: Listener | undefined
  tokens: Token[]
  end?: End
  /** Since when nobody listens, or since when it has ended. */
  since: number
}

/** How long a request is kept for an owner that may come back. */
export const KEPT_MS = 60_000

export class Ledger {
  readonly #entries = new Map<string, Entry>()

  /** Starts a request's page. @returns false where a request of this id runs */
  open(id: string, listener: Listener, now: number): boolean {
    const known = this.#entries.get(id)
    if (known && !known.end) return false
    this.#entries.set(id, { listener, tokens: [], since: now })
    return true
  }

  token(token: Token): void {
    const entry = this.#entries.get(token.id)
    entry?.tokens.push(token)
    entry?.listener?.token(token)
  }

  end(end: End, now: number): void {
    const entry = this.#entries.get(end.id)
    if (!entry || entry.end) return
    entry.end = end
    entry.since = now
    entry.listener?.end(end)
  }

  /** Tells everything since a step to a new listener. @returns false for an unknown id */
  attach(id: string, fromStep: number, listener: Listener): boolean {
    const entry = this.#entries.get(id)
    if (!entry) return false
    entry.listener = listener
    for (const token of entry.tokens) if (token.step >= fromStep) listener.token(token)
    if (entry.end) listener.end(entry.end)
    return true
  }

  /** A listener is gone; its requests run on for a while. */
  detach(listener: Listener, now: number): void {
    for (const entry of this.#entries.values()) {
      if (entry.listener !== listener) continue
      entry.listener = undefined
      if (!entry.end) entry.since = now
    }
  }

  /** Forgets what has ended long ago. @returns ids that run and that nobody came back for */
  expire(now: number): string[] {
    const orphans: string[] = []
    for (const [id, entry] of this.#entries) {
      if (now - entry.since < KEPT_MS) continue
      if (entry.end) this.#entries.delete(id)
      else if (!entry.listener) orphans.push(id)
    }
    return orphans
  }
}
