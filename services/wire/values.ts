/** Schemas that several messages share. */
import { z } from 'zod'
import { limits } from '../limits.ts'

/** A name that may stand in a topic, a file name and a sentence. */
export const nameSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/,
    'A name has 1 to 63 letters, digits, dots, dashes or underscores',
  )

/** A SHA-256 in hex. */
export const hashSchema = z.string().regex(/^[0-9a-f]{64}$/, 'A SHA-256 has 64 hex digits')

export const portSchema = z.int().min(1).max(65_535)
export const u32Schema = z.int().min(0).max(0xffff_ffff)
/** The number of a plan; 0: there was none yet. */
export const epochSchema = z
  .int()
  .min(0)
  .max(limits.epochs - 1)
export const countSchema = z.int().min(0)
/** A sentence for a person. */
export const sentenceSchema = z.string().max(2_000)
export const addressesSchema = z.array(z.string().min(1).max(255)).max(limits.addresses)

/** A node and where its data port is. */
export const peerSchema = z.object({
  id: nameSchema,
  addresses: addressesSchema,
  port: portSchema,
})
export type Peer = z.infer<typeof peerSchema>

/** Sampling parameters, every one given; the same as `SamplingParameters` in ports. */
export const samplingSchema = z.object({
  temperature: z.number().min(0).max(100),
  topK: countSchema.max(limits.modelVocab),
  topP: z.number().min(0).max(1),
  minP: z.number().min(0).max(1),
  repetitionPenalty: z.number().positive().max(100),
  presencePenalty: z.number().min(-100).max(100),
  frequencyPenalty: z.number().min(-100).max(100),
  penaltyWindow: countSchema.max(limits.modelContext),
  seed: u32Schema,
})

/** An operating error as it is sent: `MdiError.toJSON`. */
export const errorSchema = z.object({ code: z.string().max(40), message: sentenceSchema })
