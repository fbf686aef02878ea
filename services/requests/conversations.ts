/**
 * Conversations by their id. The number of turns and bytes has a bound, and a conversation in which
 * nothing was said for a while is forgotten. `cutHistory` cuts the prompt to the context.
 */
import { limits } from '../limits.ts'
import type { ChatMessage } from '../model/chat.ts'
import type { Clock } from '../ports.ts'

type Turn = { said: string; answered: string }
type Conversation<Note> = { turns: Turn[]; bytes: number; at: number; note?: Note }

const size = ({ said, answered }: Turn): number =>
  Buffer.byteLength(said) + Buffer.byteLength(answered)

/** @typeParam Note what an interface remembers of a conversation beside its turns */
export class Conversations<Note = never> {
  readonly #clock: Pick<Clock, 'now'>
  /** In the order in which they were last used. */
  readonly #all = new Map<string, Conversation<Note>>()

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

  /** What was noted of a conversation last. */
  note(id: string): Note | undefined {
    this.#expire()
    return this.#all.get(id)?.note
  }

  /** Notes something of a conversation, which begins with that if it is new. */
  setNote(id: string, note: Note): void {
    this.#expire()
    const { turns, bytes } = this.#all.get(id) ?? { turns: [], bytes: 0 }
    this.#keep(id, { turns, bytes, at: this.#clock.now(), note })
  }

  /** Adds a turn with its answer. */
  add(id: string, said: string, answered: string): void {
    const turn = { said, answered }
    const { turns, bytes, ...rest } = this.#all.get(id) ?? { turns: [], bytes: 0 }
    const conversation: Conversation<Note> = {
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

  #keep(id: string, conversation: Conversation<Note>): void {
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
