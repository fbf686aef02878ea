/**
 * Which nodes have shown that they live, pure. A broker that loses power remembers that a board was
 * online, and never publishes the last will of a board that went with it. So what the broker only
 * remembers needs a proof of life: a word of the node's own.
 */

/** A node says something every 10 s (its vitals), and sooner where its state changes. */
export const PROOF_MS = 35_000

export class Proofs {
  /** Nodes that are said to be online, by when that was first only remembered. */
  readonly #unproven = new Map<string, number>()

  /** The broker remembers that a node is online. */
  remembered(id: string, now: number): void {
    if (!this.#unproven.has(id)) this.#unproven.set(id, now)
  }

  /** A node has said something itself, or is known to be gone. */
  settled(id: string): void {
    this.#unproven.delete(id)
  }

  /** Nodes that were silent for too long. Each is named once. */
  expired(now: number): string[] {
    const ids = [...this.#unproven].filter(([, at]) => now - at >= PROOF_MS).map(([id]) => id)
    for (const id of ids) this.#unproven.delete(id)
    return ids
  }
}
