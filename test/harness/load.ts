/**
 * Keeps a ring under load with requests whose answers are known, and takes note of every one
 * that was wrong, was ended, or took too long.
 */
import { MdiError } from '../../services/errors.ts'
import type { Ask, Cluster } from './cluster.ts'

/** A request and the text that it must give. */
export type Known = { ask: Ask; text: string }

export type Ended = { at: number; ms: number; code: string; message: string }

/** Asked again after this time when the ring refuses. */
const AGAIN_MS = 50

export class Load {
  readonly #cluster: Cluster
  readonly #known: readonly Known[]
  readonly #workers: Promise<void>[]
  readonly #running = new Map<number, { since: number; text: number }>()
  readonly #listeners = new Set<() => void>()
  #stopping = false
  #next = 0
  /** Requests whose text began to come. */
  begun = 0
  /** Requests that came to their right end. */
  done = 0
  /** Tokens of those. */
  tokens = 0
  /** Answers that were not what they must be. */
  readonly wrong: { want: string; have: string }[] = []
  /** Requests that ended with a sentence. */
  readonly ended: Ended[] = []
  /** Requests that were refused at once. */
  refused = 0

  /** @param width requests at once; with more than the ring has lanes, their rows share visits */
  constructor(cluster: Cluster, known: readonly Known[], width: number) {
    this.#cluster = cluster
    this.#known = known
    this.#workers = Array.from({ length: width }, () => this.#work())
  }

  /** When the requests that run now were started. */
  get running(): number[] {
    return [...this.#running.values()].map((r) => r.since)
  }

  /** Requests whose text has begun to come. */
  get speaking(): number {
    return [...this.#running.values()].filter((r) => r.text > 0).length
  }

  /** Resolves when what is known fits; looked at whenever something happens. */
  until(fits: () => boolean): Promise<void> {
    if (fits()) return Promise.resolve()
    return new Promise((resolve) => {
      const check = () => {
        if (!fits()) return
        this.#listeners.delete(check)
        resolve()
      }
      this.#listeners.add(check)
    })
  }

  /** Starts no more, and waits for what runs. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#workers)
  }

  #told(): void {
    for (const check of this.#listeners) check()
  }

  async #work(): Promise<void> {
    while (!this.#stopping) {
      const known = this.#known[this.#next++ % this.#known.length] as Known
      const key = this.#next
      const since = performance.now()
      const state = { since, text: 0 }
      this.#running.set(key, state)
      let have = ''
      try {
        const answer = await this.#cluster.generate(known.ask, (text) => {
          have += text
          if (state.text === 0) this.begun += 1
          state.text += text.length
          this.#told()
        })
        if (answer.text !== known.text) this.wrong.push({ want: known.text, have: answer.text })
        else if (have !== known.text) this.wrong.push({ want: known.text, have })
        else {
          this.done += 1
          this.tokens += answer.tokens
        }
      } catch (error) {
        if (!(error instanceof MdiError)) throw error
        if (!known.text.startsWith(have)) this.wrong.push({ want: known.text, have })
        if (error.code === 'not-ready' || error.code === 'no-model') {
          this.refused += 1
          this.#running.delete(key)
          await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
        } else {
          const at = performance.now()
          this.ended.push({ at, ms: at - since, code: error.code, message: error.message })
        }
      } finally {
        this.#running.delete(key)
        this.#told()
      }
    }
  }
}
