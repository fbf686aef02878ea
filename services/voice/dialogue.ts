/** What the voice remembers of a conversation beside its turns: the turn before this one. */
import type { Conversations } from '../requests/conversations.ts'
import type { Intent } from './intent.ts'

/** What a command without a place lacked, and what was to be said when it is done. */
export type Unplaced = { intent: Intent; reply: string }

/** What the turn before leaves to this one. */
export type TurnBefore = {
  /** What the person said, whatever came of it. */
  said?: string
  /** It was answered by "Which room?". */
  unplaced?: Unplaced
}

/**
 * The person says something. Every turn counts, also one that fails and is not remembered.
 * @returns the turn before
 */
export const hearTurn = (
  conversations: Conversations<TurnBefore>,
  id: string,
  said: string,
): TurnBefore => {
  const before = conversations.note(id) ?? {}
  conversations.setNote(id, { said })
  return before
}

/** The answer to this turn is "Which room?". */
export const askWhere = (
  conversations: Conversations<TurnBefore>,
  id: string,
  unplaced: Unplaced,
): void => {
  const note = conversations.note(id)
  if (note) conversations.setNote(id, { ...note, unplaced })
}
