/** The part that a node plays in the ring while an assignment holds. */
import type { Assignment } from '../wire/control.ts'

export type Part = {
  epoch: number
  hidden: number
  assignment: Pick<
    Assignment,
    'stage' | 'stages' | 'next' | 'previous' | 'wire' | 'context' | 'starter'
  >
  /** The model's name and number of tokens. A request for others would break the ring. */
  model: string
  vocab: number
  /** Rows of a prompt in one visit. */
  chunkRows: number
  /** Sequences that run at once. */
  sequences: number
}
