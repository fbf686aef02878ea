/** The handshake of a link: JSON bodies of `hello`, `welcome` and `refuse`. */
import { z } from 'zod'
import { nameSchema, sentenceSchema, u32Schema } from './values.ts'

/** What a link is for. */
export const purposes = ['ring', 'owner', 'weights'] as const
export type Purpose = (typeof purposes)[number]

/** The dialer's first frame. */
export const helloSchema = z.object({
  /** Version of the software; nodes of different versions make no ring. */
  version: z.string().max(64),
  cluster: nameSchema,
  node: nameSchema,
  /** The node that the dialer means to reach. */
  to: nameSchema,
  purpose: z.enum(purposes),
  /** Epoch of the plan that the dialer follows. */
  epoch: u32Schema,
})
export type Hello = z.infer<typeof helloSchema>

/** The answer when the link is taken. */
export const welcomeSchema = z.object({
  version: z.string().max(64),
  node: nameSchema,
  epoch: u32Schema,
})
export type Welcome = z.infer<typeof welcomeSchema>

/** The answer when it is not. */
export const refuseSchema = z.object({
  reason: sentenceSchema,
  /** Which of the two must change: another version, cluster, node or epoch, or no place. */
  code: z.enum(['protocol', 'version', 'cluster', 'node', 'epoch', 'busy', 'purpose']),
})
export type Refuse = z.infer<typeof refuseSchema>

/** Body of `fault`: the neighbour behind was lost. It travels forward to the starter. */
export const faultSchema = z.object({
  /** Id of the node that was lost. */
  node: nameSchema,
  reason: sentenceSchema,
  /** It was not lost: it leaves as planned. */
  planned: z.boolean().optional(),
})
export type Fault = z.infer<typeof faultSchema>
