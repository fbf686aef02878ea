/**
 * Conversations by their id: what was said, bounded, and forgotten when nothing was said for a
 * while. The prompt is cut to the context by whole turns elsewhere (`cutHistory`).
 */
import { limits } from '../limits.ts'
import type { ChatMessage } from '../model/chat.ts'
import type { Clock } from '../ports.ts'

type Turn = { said: string; answered: string }
type Conversation = { turns: Turn[]; bytes: number; at: number }

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

  /** What the person said last; undefined in a new conversation. */
  lastSaid(id: string): string | undefined {
    return this.#turns(id).at(-1)?.said
  }

  /** Adds a turn. */
  add(id: string, said: string, answered: string): void {
    const turn = { said, answered }
    const { turns, bytes } = this.#all.get(id) ?? { turns: [], bytes: 0 }
    this.#all.delete(id)
    const conversation = {
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
    if (conversation.turns.length > 0) this.#all.set(id, conversation)
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
