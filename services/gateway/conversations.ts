/**
 * Conversations by their id: what was said, bounded, and forgotten when nothing was said for a
 * while. The prompt is cut to the context by whole turns elsewhere (`cutHistory`).
 */
import { limits } from '../limits.ts'
import type { ChatMessage } from '../model/chat.ts'
import type { Clock } from '../ports.ts'
import type { Intent } from './intent.ts'

type Turn = { said: string; answered: string }
/** What a command without a place lacked, and what was to be said when it is done. */
export type Unplaced = { intent: Intent; reply: string }
type Conversation = {
  turns: Turn[]
  bytes: number
  at: number
  /** The person's last utterance, whatever came of it. */
  said?: string
  /** "Which room?" was the last answer. */
  unplaced?: Unplaced | undefined
}

const size = ({ said, answered }: Turn): number =>
  Buffer.byteLength(said) + Buffer.byteLength(answered)

export class Conversations {
  readonly #clock: Pick<Clock, 'now'>
  /** In the order in which they were last used. */
  readonly #all = new Map<string, Conversation>()

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  get size(): number {
    this.#expire()
    return this.#all.size
  }

  /** The turns so far, as messages. */
  messages(id: string): ChatMessage[] {
    return this.#turns(id).flatMap(({ said, answered }) => [
      { role: 'user', content: said },
      { role: 'assistant', content: answered },
    ])
  }

  /**
   * The person says something; every turn counts, those too that fail and are not remembered.
   * @returns what was said in the turn before, and what it lacked
   */
  heard(id: string, said: string): { saidBefore?: string; unplaced?: Unplaced | undefined } {
    this.#expire()
    const before = this.#all.get(id)
    const { turns, bytes } = before ?? { turns: [], bytes: 0 }
    this.#keep(id, { turns, bytes, at: this.#clock.now(), said })
    return before?.said === undefined ? {} : { saidBefore: before.said, unplaced: before.unplaced }
  }

  /** The answer was "Which room?". */
  asked(id: string, unplaced: Unplaced): void {
    const conversation = this.#all.get(id)
    if (conversation) conversation.unplaced = unplaced
  }

  /** Adds a turn with its answer. */
  add(id: string, said: string, answered: string): void {
    const turn = { said, answered }
    const { turns, bytes, ...rest } = this.#all.get(id) ?? { turns: [], bytes: 0, said }
    const conversation: Conversation = {
      ...rest,
      turns: [...turns, turn],
      bytes: bytes + size(turn),
      at: this.#clock.now(),
    }
    while (
      conversation.turns.length > limits.conversationTurns ||
      conversation.bytes > limits.conversationBytes
    ) {
      const dropped = conversation.turns.shift()
      if (!dropped) break
      conversation.bytes -= size(dropped)
    }
    this.#keep(id, conversation)
  }

  #keep(id: string, conversation: Conversation): void {
    this.#all.delete(id)
    this.#all.set(id, conversation)
    for (const oldest of this.#all.keys()) {
      if (this.#all.size <= limits.conversations) break
      this.#all.delete(oldest)
    }
  }

  #turns(id: string): readonly Turn[] {
    this.#expire()
    return this.#all.get(id)?.turns ?? []
  }

  #expire(): void {
    const before = this.#clock.now() - limits.conversationMs
    for (const [id, { at }] of this.#all) {
      if (at >= before) return
      this.#all.delete(id)
    }
  }
}
