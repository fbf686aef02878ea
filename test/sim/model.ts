/**
 * A toy model whose every value depends on all that came before: a layer's row is a hash of
 * the layer, the position, its input and the layer's whole history. Values are small whole
 * numbers, which fp16 carries exactly. A row that is lost, doubled, stale or out of its
 * place becomes another token.
 */
import { logprobs, sample } from '../../services/model/sampler.ts'
import type { HeadRequest, HeadResult } from '../../services/ports.ts'
import type { End, Open, Token } from '../../services/wire/requests.ts'

export const HIDDEN = 4
export const VOCAB = 32

const mix = (h: number, value: number): number => {
  let x = Math.imul(h ^ value, 0x9e3779b1)
  x ^= x >>> 15
  x = Math.imul(x, 0x85ebca6b)
  return (x ^ (x >>> 13)) >>> 0
}

/** What a layer keeps of a sequence: the hash of its history up to each position. */
export type Chain = number[]

/**
 * One layer, one row.
 * @param x `HIDDEN` values from `at` on; overwritten with the layer's output
 * @param chain the layer's history; extended to `position`
 */
export const layerRow = (
  layer: number,
  position: number,
  x: Float32Array,
  at: number,
  chain: Chain,
): void => {
  let h = mix(chain[position - 1] ?? 0x1234567, layer)
  h = mix(h, position)
  for (let j = 0; j < HIDDEN; j++) h = mix(h, x[at + j] as number)
  chain[position] = h
  for (let j = 0; j < HIDDEN; j++) x[at + j] = mix(h, j) & 2047
}

export const embed = (tokens: ArrayLike<number>): Float32Array => {
  const x = new Float32Array(tokens.length * HIDDEN)
  for (let r = 0; r < tokens.length; r++)
    for (let j = 0; j < HIDDEN; j++) x[r * HIDDEN + j] = mix(tokens[r] as number, j + 77) & 2047
  return x
}

/** The head's answer for one row `[HIDDEN]`, by the real sampler. */
export const head = (row: Float32Array, request: HeadRequest): HeadResult => {
  const logits = new Float32Array(VOCAB)
  let h = 0x2468ace
  for (let j = 0; j < HIDDEN; j++) h = mix(h, row[j] as number)
  for (let id = 0; id < VOCAB; id++) logits[id] = (mix(h, id) & 1023) / 256
  if (request.kind === 'sample') {
    const { parameters, step, history, logprob } = request
    const token = sample(logits, parameters, step, history)
    return { token, ...(logprob && { logprobs: logprobs(logits, [token]) }) }
  }
  let token = 0
  for (let id = 1; id < VOCAB; id++)
    if ((logits[id] as number) > (logits[token] as number)) token = id
  return { token, logprobs: logprobs(logits, request.ids) }
}

/** What a request should come to: computed without any ring, chunk or cache. */
export type Expected = { tokens: Token[]; reason: End['reason'] }

export const expectedOf = (open: Open, layers: number, context: number): Expected => {
  const { id, sampling, score, endIds, maxTokens, generated } = open
  const chains: Chain[] = Array.from({ length: layers }, () => [])
  const all = [...open.tokens]
  let fed = 0
  const told: Token[] = []
  for (;;) {
    let row = new Float32Array(HIDDEN)
    for (; fed < all.length; fed++) {
      row = embed([all[fed] as number]) as Float32Array<ArrayBuffer>
      chains.forEach((chain, layer) => {
        layerRow(layer, fed, row, 0, chain)
      })
    }
    const step = generated + told.length
    const forced = score?.[told.length]
    const request: HeadRequest = forced
      ? { kind: 'score', ids: forced.ids }
      : {
          kind: 'sample',
          parameters: sampling,
          step,
          history: all,
          ...(open.logprob && { logprob: true }),
        }
    const result = head(row, request)
    told.push({
      id,
      step,
      token: result.token,
      ...(result.logprobs && { logprobs: result.logprobs }),
    })
    all.push(forced ? forced.next : result.token)
    if (forced && told.length === score?.length) return { tokens: told, reason: 'length' }
    if (!forced && endIds.includes(result.token)) return { tokens: told, reason: 'end' }
    if (!forced && told.length >= maxTokens) return { tokens: told, reason: 'length' }
    if (all.length > context) return { tokens: told, reason: 'context' }
  }
}
