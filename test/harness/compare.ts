/** How a model's answers are compared with a reference's. */
import { z } from 'zod'
import { MdiError } from '../../services/errors.ts'
import type { Arithmetic } from '../../services/ports.ts'

/** One prompt of a reference: what an independent fp32 implementation computes. */
const caseSchema = z.object({
  prompt: z.string(),
  /** The prompt after the chat template, and its token ids. */
  text: z.string(),
  ids: z.array(z.int()),
  /** Its greedy continuation. */
  greedy: z.array(z.int()).min(1),
  /** At each step: log-probability of the best token less the second's. */
  margin: z.array(z.number()),
  /** At each step: the best tokens, and their log-probabilities. */
  top: z.array(z.tuple([z.array(z.int()).min(1), z.array(z.number())])),
  answer: z.string().optional(),
})
export type Case = z.infer<typeof caseSchema>

/** Reads a reference. @throws MdiError `bad-file` */
export const readReference = (json: string, name: string): Case[] => {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    throw new MdiError('bad-file', `${name} is not JSON.`)
  }
  const read = z.array(caseSchema).min(1).safeParse(value)
  if (!read.success) {
    const [issue] = read.error.issues
    throw new MdiError('bad-file', `${name}: ${issue?.path.join('.')}: ${issue?.message}`)
  }
  for (const { prompt, greedy, margin, top } of read.data) {
    const whole = top.every(([ids, logs]) => ids.length === logs.length)
    if (margin.length !== greedy.length || top.length !== greedy.length || !whole)
      throw new MdiError('bad-file', `${name}: the lists of "${prompt}" differ in length.`)
  }
  return read.data
}

/**
 * Kullback–Leibler divergence of `q` from `p` over some tokens, given as natural-log
 * probabilities, and one bucket for all the others. In nats.
 */
export const divergence = (p: readonly number[], q: readonly number[]): number => {
  let kl = 0
  let restP = 1
  let restQ = 1
  for (const [i, logP] of p.entries()) {
    const logQ = q[i] as number
    kl += Math.exp(logP) * (logP - logQ)
    restP -= Math.exp(logP)
    restQ -= Math.exp(logQ)
  }
  // Rounding may leave either a hair below nothing.
  const least = 1e-12
  return kl + Math.max(restP, 0) * Math.log(Math.max(restP, least) / Math.max(restQ, least))
}

/** What one prompt came to. */
export type Result = {
  prompt: string
  textEqual: boolean
  idsEqual: boolean
  /** Steps fed with the reference's own tokens. */
  steps: number
  /** Mean divergence a step. */
  kl: number
  /** Steps whose likeliest token is the reference's. */
  same: number
  /** Steps whose margin is clear, and how many of those have the same likeliest token. */
  clear: number
  clearSame: number
  /** Tokens of the free greedy answer that equal the reference's before the first difference. */
  greedySame: number
  greedyEqual: boolean
  /** SHA-256 of every fed step's token and log-probabilities. */
  bits: string
}

/** A margin below this is a near tie: rounding alone may turn it. */
export const CLEAR_MARGIN = 0.01

/** What an arithmetic must reach; means over all steps of all prompts. */
export const bounds: Record<Arithmetic, { kl: number; same?: number; strict: boolean }> = {
  exact: { kl: 1e-4, strict: true },
  fast: { kl: 0.006, same: 0.94, strict: false },
}

export type Totals = { steps: number; kl: number; same: number; clear: number; clearSame: number }

export const totals = (results: readonly Result[]): Totals => {
  const sum = (of: (r: Result) => number) => results.reduce((all, r) => all + of(r), 0)
  const steps = sum((r) => r.steps)
  return {
    steps,
    kl: sum((r) => r.kl * r.steps) / steps,
    same: sum((r) => r.same),
    clear: sum((r) => r.clear),
    clearSame: sum((r) => r.clearSame),
  }
}

/** The bounds that are missed, as sentences. */
export const missed = (results: readonly Result[], arithmetic: Arithmetic): string[] => {
  const bound = bounds[arithmetic]
  const all = totals(results)
  const out: string[] = []
  for (const r of results) {
    const name = JSON.stringify(r.prompt.slice(0, 40))
    if (!r.textEqual) out.push(`The template's text differs for ${name}.`)
    if (!r.idsEqual) out.push(`The token ids differ for ${name}.`)
    if (bound.strict && !r.greedyEqual)
      out.push(`The greedy answer parts at token ${r.greedySame} for ${name}.`)
  }
  if (!(all.kl <= bound.kl))
    out.push(`KL is ${all.kl.toExponential(2)} a token, above ${bound.kl}.`)
  if (bound.strict && all.clearSame < all.clear)
    out.push(
      `The likeliest token differs in ${all.clear - all.clearSame} of ${all.clear} steps whose margin is ${CLEAR_MARGIN} or more.`,
    )
  if (bound.same !== undefined && !(all.same / all.steps >= bound.same))
    out.push(
      `The likeliest token is the same in ${((100 * all.same) / all.steps).toFixed(1)} % of steps, below ${100 * bound.same} %.`,
    )
  return out
}
