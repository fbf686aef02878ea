/** Requests of a run, what they should come to, and the checks of what their owners hear. */
import type { TokenListener } from '../../services/ring/ledger.ts'
import type { End, Open, Token } from '../../services/wire/requests.ts'
import { type Expected, expectedOf, VOCAB } from './model.ts'
import { Violation, type World } from './world.ts'

export type Shape = { layers: number; context: number }

/** A request and what its owner was told. */
export class Request implements TokenListener {
  readonly open: Open
  readonly expected: Expected
  readonly openedAt: number
  readonly #world: World
  readonly #tooLong: boolean
  told = 0
  /** Opened in the starter's process, or by an owner over a link. */
  via: 'local' | 'owner' = 'local'
  cancelled = false
  /** It has left for the starter. */
  sent = false
  #end: End | undefined
  #void = false
  /** What the checker asks when a request ends with an error: why that is no error of ours. */
  excuse: (end: End) => string | undefined = () => undefined

  constructor(world: World, open: Open, shape: Shape) {
    this.#world = world
    this.open = open
    this.openedAt = world.now
    this.#tooLong = open.tokens.length + Math.max(0, (open.score?.length ?? 0) - 1) > shape.context
    this.expected = this.#tooLong
      ? { tokens: [], reason: 'error' }
      : expectedOf(open, shape.layers, shape.context)
  }

  get ended(): boolean {
    return this.#void || this.#end !== undefined
  }

  /** The step that is told next. */
  get nextStep(): number {
    return this.open.generated + this.told
  }

  /** The process that would have been told is gone. */
  void(): void {
    if (!this.#end) this.#void = true
  }

  token(token: Token): void {
    const { id } = this.open
    const fail = (what: string): never => {
      throw new Violation('token', `${id} ${what}`)
    }
    this.#world.log(id, () => `token ${token.step} = ${token.token}`)
    if (token.id !== id) fail(`is told a token of ${token.id}`)
    if (this.#end) fail('is told a token after its end')
    const expected = this.expected.tokens[this.told]
    if (!expected) fail(`is told a token at step ${token.step}, beyond its end`)
    else if (token.step !== expected.step)
      fail(`is told step ${token.step}; step ${expected.step} comes next`)
    else if (token.token !== expected.token)
      fail(`is told ${token.token} at step ${token.step}; ${expected.token} is right`)
    else if (JSON.stringify(token.logprobs) !== JSON.stringify(expected.logprobs))
      fail(`is told wrong log-probabilities at step ${token.step}`)
    this.told += 1
  }

  end(end: End): void {
    const { id } = this.open
    const fail = (what: string): never => {
      throw new Violation('end', `${id} ${what}`)
    }
    this.#world.log(id, () => `end ${end.reason} ${end.error?.message ?? ''}`)
    if (end.id !== id) fail(`is told the end of ${end.id}`)
    if (this.#end) fail('ends twice')
    this.#end = end
    if (end.reason === 'cancelled') {
      if (!this.cancelled) fail('was cancelled by nobody')
      return
    }
    if (end.reason === 'error') {
      if (this.#tooLong && end.error?.code === 'too-long') return
      if (this.excuse(end) === undefined)
        fail(`ends with an error for no reason: ${end.error?.message}`)
      const planned = end.error?.message.startsWith('The ring was given up')
      if (!planned && end.error?.code === 'node-lost' && !/\bn\d\b/.test(end.error.message))
        fail(`names no node: ${end.error.message}`)
      return
    }
    if (end.reason !== this.expected.reason)
      fail(`ends with ${end.reason} instead of ${this.expected.reason}`)
    if (this.told !== this.expected.tokens.length)
      fail(`ends after ${this.told} tokens instead of ${this.expected.tokens.length}`)
  }
}

/** A random request. */
export const randomOpen = (world: World, id: string, context: number): Open => {
  const token = () => world.integer(0, VOCAB - 1)
  const list = (length: number) => Array.from({ length }, token)
  const length = world.chance(0.05)
    ? world.integer(context - 1, context + 2)
    : world.integer(1, world.chance(0.3) ? context >> 1 : 8)
  const penalized = world.chance(0.4)
  const scored = world.chance(0.15)
  const ids = list(3)
  const tokens = list(Math.max(1, length))
  return {
    id,
    model: 'toy',
    tokens,
    // Without a draw of its own, so that runs stay those that faults were found with.
    ...((tokens[0] as number) % 4 === 0 && { logprob: true }),
    generated: world.chance(0.1) ? world.integer(1, 5) : 0,
    sampling: {
      temperature: world.pick([0, 0.7, 1.3]),
      topK: world.pick([0, 5]),
      topP: world.pick([1, 0.9]),
      minP: 0,
      repetitionPenalty: penalized ? 1.3 : 1,
      presencePenalty: penalized ? 0.2 : 0,
      frequencyPenalty: penalized ? 0.1 : 0,
      penaltyWindow: world.pick([0, 4, 64]),
      seed: world.integer(0, 1e6),
    },
    maxTokens: world.integer(1, world.chance(0.2) ? context : 24),
    endIds: world.chance(0.5) ? [token()] : [],
    ...(scored && {
      score: list(world.integer(1, 12)).map((next) => ({ ids, next })),
    }),
  }
}
