/** The part that a node plays in the ring while an assignment holds. */
import type { Assignment } from '../wire/control.ts'

export type Part = {
  epoch: number
  hidden: number
  assignment: Pick<
    Assignment,
    'stage' | 'stages' | 'next' | 'previous' | 'wire' | 'context' | 'starter'
  >
  /** Name of the model, and its tokens: a request for others would stop the whole ring. */
  model: string
  vocab: number
  /** Rows of a prompt in one visit. */
  chunkRows: number
  /** Sequences that run at once. */
  sequences: number
}
