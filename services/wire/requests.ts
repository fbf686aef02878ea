/**
 * The link between a request's owner and the starter: JSON bodies of `open`, `cancel`,
 * `attach`, `token` and `end`. The owner keeps the prompt and every token it was told, so
 * a request outlives the starter.
 */
import { z } from 'zod'
import { limits } from '../limits.ts'
import { countSchema, errorSchema, nameSchema, samplingSchema, u32Schema } from './values.ts'

const tokenId = z.int().min(0).max(limits.modelVocab)
/** The owner's name of a request. */
export const requestIdSchema = nameSchema

/** Starts a request; the starter answers with `token`s and one `end`. */
export const openSchema = z.object({
  id: requestIdSchema,
  /** Name of the model that the tokens are for. */
  model: z.string().min(1).max(255),
  /** The prompt's token ids. */
  tokens: z.array(tokenId).min(1).max(limits.promptTokens),
  /** The last of `tokens` that were generated before (a request carried over). */
  generated: countSchema.default(0),
  sampling: samplingSchema,
  /** Tokens to generate at most. */
  maxTokens: z.int().min(1).max(limits.modelContext),
  /** Tokens that end the answer. */
  endIds: z.array(tokenId).max(64),
  /**
   * Compares with a reference: at step `i`, the log-probabilities at `score[i].ids` are told
   * and `score[i].next` is fed, whatever was sampled.
   */
  score: z
    .array(z.object({ ids: z.array(tokenId).max(limits.scoreIds), next: tokenId }))
    .max(limits.scoreSteps)
    .optional(),
  /** Each token is told with its own log-probability. */
  logprob: z.boolean().optional(),
})
export type Open = z.infer<typeof openSchema>

export const cancelSchema = z.object({ id: requestIdSchema })
export type Cancel = z.infer<typeof cancelSchema>

/** Asks for the tokens of a running request again, from a step on. */
export const attachSchema = z.object({ id: requestIdSchema, fromStep: countSchema })
export type Attach = z.infer<typeof attachSchema>

/** One token; steps count from 0. */
export const tokenSchema = z.object({
  id: requestIdSchema,
  step: u32Schema,
  token: tokenId,
  /** At the ids of `Open.score`, or with `Open.logprob` the token's own. */
  logprobs: z.array(z.number()).max(limits.scoreIds).optional(),
})
export type Token = z.infer<typeof tokenSchema>

/** Why a request ended: an end token, its maximum, the context, cancelled, or an error. */
export const endReasons = ['end', 'length', 'context', 'cancelled', 'error'] as const

/** The end of a request. */
export const endSchema = z.object({
  id: requestIdSchema,
  reason: z.enum(endReasons),
  error: errorSchema.optional(),
})
export type End = z.infer<typeof endSchema>
