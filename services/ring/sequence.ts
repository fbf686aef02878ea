/** One running sequence, as the starter's scheduler keeps it. */
import type { HeadRequest } from '../ports.ts'
import type { End, Open } from '../wire/requests.ts'

export class Sequence {
  readonly request: Open
  /** Its number in the ring's KV caches. */
  readonly number: number
  /** Group of sequences that decode in one visit. */
  lane: number
  /** Prompt and generated tokens. */
  readonly tokens: number[]
  /** Positions that were sent into the ring. */
  sent = 0
  /** Tokens generated in this ring. Another may have generated `request.generated` before. */
  generated = 0
  /** Visits of this sequence in flight. */
  inFlight = 0
  /** When it was last given a place in a visit, for taking turns. */
  turn = 0
  ended = false

  constructor(request: Open, number: number, lane: number) {
    this.request = request
    this.number = number
    this.lane = lane
    this.tokens = [...request.tokens]
  }

  /** Tokens that are known and not yet sent. */
  get pending(): number {
    return this.tokens.length - this.sent
  }

  /** Whether the prompt is still on its way: more than one row to send, or the first ever. */
  get prefilling(): boolean {
    return this.generated === 0 && this.pending > 0
  }

  /** Whether its next single row can be sent. */
  get ready(): boolean {
    return this.generated > 0 && this.pending > 0 && this.inFlight === 0
  }

  /**
   * Whether another row follows the one in flight, if that does not give an end token.
   * @param context positions that a sequence may reach
   */
  goesOn(context: number): boolean {
    const { score, maxTokens } = this.request
    const room = this.generated + 1 < (score?.length ?? maxTokens) && this.tokens.length < context
    return room && !this.ended && this.pending === 0
  }

  /** The token that comes next whatever the head chooses, where the request gives one. */
  get forced(): number | undefined {
    return this.request.score?.[this.generated]?.next
  }

  /** What the head is to do with the row that comes next. */
  headRequest(): HeadRequest {
    const { sampling, score, generated, logprob } = this.request
    const row = score?.[this.generated]
    if (row) return { kind: 'score', ids: row.ids }
    const penalized =
      sampling.repetitionPenalty !== 1 ||
      sampling.presencePenalty !== 0 ||
      sampling.frequencyPenalty !== 0
    return {
      kind: 'sample',
      parameters: sampling,
      step: generated + this.generated,
      history: penalized ? this.tokens.slice(-sampling.penaltyWindow) : [],
      ...(logprob && { logprob }),
    }
  }

  /**
   * Takes the head's token. @returns why the sequence ends with it, or undefined
   * @param context positions that a sequence may reach
   */
  accept(token: number, context: number): End['reason'] | undefined {
    const { score, endIds, maxTokens } = this.request
    const forced = score?.[this.generated]
    this.generated += 1
    if (forced) {
      this.tokens.push(forced.next)
      return this.generated === score?.length ? 'length' : undefined
    }
    this.tokens.push(token)
    if (endIds.includes(token)) return 'end'
    if (this.generated >= maxTokens) return 'length'
    // To go on, the token just taken needs a position of its own.
    return this.tokens.length > context ? 'context' : undefined
  }
}
