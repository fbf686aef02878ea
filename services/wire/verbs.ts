/**
 * Requests to the coordinator and their answers, in zigbee2mqtt's manner: a request on
 * `mdi/bridge/request/<verb>` is answered on `mdi/bridge/response/<verb>`.
 */
import { z } from 'zod'
import { limits } from '../limits.ts'
import { bridgeHealthSchema, bridgeInfoSchema, logLevels, onlineSchema } from './control.ts'
import { endReasons, requestIdSchema } from './requests.ts'
import { countSchema, nameSchema, samplingSchema, sentenceSchema } from './values.ts'

const text = z.string().max(limits.promptBytes)
/** Any JSON scalar that the client chose; echoed in the answer. */
const transaction = z.union([z.string().max(200), z.number()])

const request = z.object({
  transaction: transaction.optional(),
  /**
   * Asked before with this transaction, and sent again since broker or coordinator were away:
   * done once all the same, and answered again where the answer may be lost.
   */
  again: z.boolean().optional(),
})

/** What `generate` and `chat` share. */
const generation = request.extend({
  /**
   * Names the request, for `cancel` and the stream's topic. Absent: the transaction
   * where it can stand in a topic, or else one that the coordinator makes.
   */
  id: requestIdSchema.optional(),
  /** Whose it is: requests of one client wait for each other, not for those of others. */
  client: z.string().min(1).max(100).optional(),
  /** Absent: the model that is loaded. */
  model: z.string().min(1).max(255).optional(),
  sampling: samplingSchema.partial().optional(),
  maxTokens: z.int().min(1).max(limits.modelContext).optional(),
  stop: z.array(z.string().min(1).max(limits.stopStringBytes)).max(limits.stopStrings).optional(),
  /** Whether text is published on `mdi/bridge/stream/<id>` as it comes; default true. */
  stream: z.boolean().optional(),
  /**
   * Whether it goes on to its end when nobody reads its stream any more; default false: where
   * the broker tells so (MQTT 5), a client that went away frees its place.
   */
  keep: z.boolean().optional(),
})

/** What `load` and `plan` ask for. */
const spread = request.extend({
  model: z.string().min(1).max(255),
  /** Nodes in the ring's order; absent: all that are online, best order. */
  nodes: z.array(nameSchema).min(1).max(limits.modelLayers).optional(),
  /** Layers of each of `nodes`, given by hand. */
  layers: z.array(countSchema.max(limits.modelLayers)).min(1).optional(),
  arithmetic: z.enum(['exact', 'fast']).optional(),
  wire: z.enum(['fp32', 'fp16']).optional(),
  context: z.int().min(1).max(limits.modelContext).optional(),
})

/** A node by its id. */
const ofNode = request.extend({ id: nameSchema })

const generated = z.object({
  id: requestIdSchema,
  model: z.string(),
  text: z.string(),
  reason: z.enum(endReasons),
  promptTokens: countSchema,
  tokens: countSchema,
  firstTokenMs: z.number().min(0).optional(),
  tokensPerSecond: z.number().min(0).optional(),
})

const configData = z.object({
  config: z.record(z.string(), z.unknown()),
  configSchema: z.record(z.string(), z.unknown()),
  /** What was set by `config/set`, over the file's. */
  changed: z.record(z.string(), z.unknown()),
})

/** Every verb: what is asked, and the `data` of its answer. */
export const verbs = {
  generate: {
    about: 'continues a text',
    request: generation.extend({ prompt: text }),
    data: generated,
  },
  chat: {
    about: 'answers the last turn of a conversation',
    request: generation.extend({
      messages: z
        .array(z.object({ role: z.enum(['system', 'user', 'assistant']), content: text }))
        .min(1)
        .max(limits.chatMessages),
      /**
       * A conversation that is remembered for a while: its turns so far come before `messages`,
       * which then hold what is new (and the system message, each time).
       */
      conversation: z.string().min(1).max(128).optional(),
    }),
    data: generated,
  },
  cancel: {
    about: 'ends a running request',
    request: request.extend({ id: requestIdSchema }),
    data: z.object({ id: requestIdSchema }),
  },
  load: {
    about: 'spreads a model over the nodes',
    request: spread,
    data: z.object({ model: z.string(), stages: bridgeInfoSchema.shape.stages }),
  },
  plan: {
    about: 'how a model would be spread over the nodes, without doing it',
    request: spread,
    data: z.object({
      model: z.string(),
      context: countSchema,
      stages: z.array(
        z.object({
          node: nameSchema,
          first: countSchema,
          end: countSchema,
          /** Memory that it would take of what the node can give. */
          bytes: countSchema,
          memoryBytes: countSchema,
        }),
      ),
    }),
  },
  unload: {
    about: 'drops the model from the nodes’ memory; their stores keep it',
    request,
    data: z.object({ model: z.string().nullable() }),
  },
  status: {
    about: 'how the ring and its nodes stand',
    request,
    data: z.object({
      info: bridgeInfoSchema,
      health: bridgeHealthSchema,
      nodes: z.array(
        z.union([onlineSchema, z.object({ id: nameSchema, state: z.literal('offline') })]),
      ),
    }),
  },
  models: {
    about: 'which models the coordinator can load',
    request,
    data: z.object({
      models: z.array(
        z.object({
          name: z.string(),
          family: z.string(),
          parameters: countSchema,
          layers: countSchema,
          bytes: countSchema,
          loaded: z.boolean(),
        }),
      ),
    }),
  },
  pull: {
    about:
      'fetches a model of the catalogue into the coordinator’s store; answers when it is there',
    request: request.extend({ model: z.string().min(1).max(255) }),
    data: z.object({ model: z.string(), bytes: countSchema }),
  },
  'node/rename': {
    about: 'gives a node the name by which people call it; its id stays',
    request: ofNode.extend({ name: z.string().trim().min(1).max(100) }),
    data: z.object({ id: nameSchema, name: z.string() }),
  },
  'node/remove': {
    about: 'forgets a node that is gone',
    request: ofNode,
    data: z.object({ id: nameSchema }),
  },
  'node/identify': {
    about: 'has a node show itself, by its light and in its log',
    request: ofNode,
    data: z.object({ id: nameSchema }),
  },
  'node/restart': {
    about: 'has a node end; its service manager starts it again',
    request: ofNode,
    data: z.object({ id: nameSchema }),
  },
  'config/get': {
    about: 'the coordinator’s settings and their JSON schema; passwords are left out',
    request,
    data: configData,
  },
  'config/set': {
    about: 'changes settings that can be changed while it runs',
    request: request.extend({ config: z.record(z.string().max(100), z.unknown()) }),
    data: configData,
  },
  log: {
    about: 'how much the coordinator tells in its log, or a node',
    request: request.extend({ level: z.enum(logLevels), id: nameSchema.optional() }),
    data: z.object({ level: z.enum(logLevels) }),
  },
} as const

export type Verb = keyof typeof verbs
export type VerbRequest<V extends Verb> = z.infer<(typeof verbs)[V]['request']>
export type VerbData<V extends Verb> = z.infer<(typeof verbs)[V]['data']>

export const isVerb = (name: string): name is Verb => Object.hasOwn(verbs, name)

/** The answer's envelope around `data`. */
export const responseSchema = <T extends z.ZodType>(data: T) =>
  z.discriminatedUnion('status', [
    z.object({ status: z.literal('ok'), data, transaction: transaction.optional() }),
    z.object({
      status: z.literal('error'),
      data: z.object({}),
      /** One sentence. */
      error: sentenceSchema,
      /** The operating error's code (`errors.ts`). */
      code: z.string().max(40).optional(),
      transaction: transaction.optional(),
    }),
  ])

/** Answer to a verb: `{"data":{},"status":"ok"|"error","error"?,"transaction"?}`. */
export type Response<T> = { transaction?: string | number | undefined } & (
  | { status: 'ok'; data: T }
  | { status: 'error'; data: Record<string, never>; error: string; code?: string | undefined }
)

/**
 * A piece of a request’s text as it comes; `index` counts from 0, and a gap tells of pieces
 * that were dropped while the broker was away: the answer has the whole text. A coordinator
 * that restarts tells the text from its beginning, cut otherwise.
 */
export const streamSchema = z.object({
  id: requestIdSchema,
  index: countSchema,
  /** Characters (UTF-16 units) of the text before this piece. */
  at: countSchema,
  text: z.string(),
  /** It waits: its place from 1, and how long it is likely to wait there. */
  queue: z.object({ position: z.int().min(1), waitMs: countSchema }).optional(),
  /** The last message of this request. */
  last: z.boolean().optional(),
})
export type StreamMessage = z.infer<typeof streamSchema>
