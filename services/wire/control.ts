/**
 * Payloads of the control plane. A node writes its actual state, the coordinator writes
 * what is desired of it; the two never share a topic (`topics.ts`).
 */
import { z } from 'zod'
import { limits } from '../limits.ts'
import {
  addressesSchema,
  countSchema,
  epochSchema,
  hashSchema,
  nameSchema,
  peerSchema,
  portSchema,
  sentenceSchema,
  u32Schema,
} from './values.ts'

const layer = z.int().min(0).max(limits.modelLayers)
const modelName = z.string().min(1).max(255)

/** A model by its name and the SHA-256 of its manifest, which is fetched like a record. */
export const modelReferenceSchema = z.object({
  name: modelName,
  manifest: hashSchema,
  /** Length of the manifest. */
  bytes: countSchema.max(limits.manifestBytes),
})
export type ModelReference = z.infer<typeof modelReferenceSchema>

/** What a node has to give. */
export const profileSchema = z.object({
  /** Memory that it can give to weights and KV caches: available, cgroup limit, config. */
  memoryBytes: countSchema,
  /** Memory that its machine has for all nodes there; absent: as much as it can give. */
  hostBytes: countSchema.optional(),
  cpu: z.string().max(200),
  cores: z.int().min(1).max(4_096),
  /** Measured speed of each runtime form, in bytes of weights a second. */
  speed: z.record(z.string().max(40), z.number().min(0)),
  /** Nodes with the same key are on one machine and share its memory. */
  host: z.string().min(1).max(128),
})
export type Profile = z.infer<typeof profileSchema>

/** How a node stands with its assignment. */
export const actualSchema = z.object({
  phase: z.enum(['idle', 'fetching', 'loading', 'ready', 'failed']),
  model: modelReferenceSchema.optional(),
  /** Layers `first` to `end − 1`. */
  first: layer.optional(),
  end: layer.optional(),
  progress: z
    .object({
      step: z.string().max(80),
      done: z.number().min(0),
      total: z.number().min(0),
      unit: z.enum(['bytes', 'layers', 'rows', 'steps']),
    })
    .optional(),
  /** For `failed`: a sentence, and whether trying again is not likely to help. */
  error: sentenceSchema.optional(),
  lasting: z.boolean().optional(),
})
export type Actual = z.infer<typeof actualSchema>

/** How a link to a neighbour stands. */
export const linkStateSchema = z.object({
  peer: nameSchema,
  direction: z.enum(['next', 'previous']),
  up: z.boolean(),
  /** Not up: why, as "seen at 192.168.1.7:4711 but unreachable there". */
  reason: sentenceSchema.optional(),
})

export type LinkState = z.infer<typeof linkStateSchema>

/** Made anew at each start of a process: two of the same id are told by it. */
const instance = z.string().min(1).max(64)

/** `instance`: who is gone, where that is known; another may be there under the same id. */
const offline = z.object({ state: z.literal('offline'), instance: instance.optional() })

/** `mdi/state/<node>`, online: what the node is and how it stands. */
export const onlineSchema = z.object({
  state: z.literal('online'),
  id: nameSchema,
  /** What a person calls it. */
  name: z.string().min(1).max(100),
  cluster: nameSchema,
  /** Version of the software. */
  version: z.string().min(1).max(64),
  /** Version of the frame format. */
  protocol: z.int().min(1).max(0xffff),
  instance,
  addresses: addressesSchema,
  port: portSchema,
  profile: profileSchema,
  /** Highest epoch that it has seen. */
  epoch: u32Schema,
  assignment: actualSchema,
  /** Layers in its store, by model name; as [first, end) ranges. */
  held: z.array(z.object({ manifest: hashSchema, ranges: z.array(z.tuple([layer, layer])) })),
  links: z.array(linkStateSchema).max(64),
  /** At the starter: whether a visit goes all the way round, and if not, why. */
  ring: z.object({ whole: z.boolean(), reason: sentenceSchema.optional() }).optional(),
})
export type Online = z.infer<typeof onlineSchema>

/** `mdi/state/<node>`. */
export const nodeStateSchema = z.discriminatedUnion('state', [onlineSchema, offline])
export type NodeState = z.infer<typeof nodeStateSchema>

/** A node's part in the ring. */
export const assignmentSchema = z
  .object({
    model: modelReferenceSchema,
    /** Layers `first` to `end − 1`. */
    first: layer,
    end: layer,
    /** Ordinal in the ring; stage 0 is the starter. */
    stage: countSchema.max(limits.stages - 1),
    stages: z.int().min(1).max(limits.stages),
    /** Embeds, and normalizes, projects and samples. */
    starter: z.boolean(),
    /** Where its activations go; null in a ring of one. */
    next: peerSchema.nullable(),
    /** Id of the node from which they come; null in a ring of one. */
    previous: nameSchema.nullable(),
    /** Where the manifest and missing layers can be fetched, best first. */
    sources: z.array(peerSchema).max(limits.sources),
    arithmetic: z.enum(['exact', 'fast']),
    wire: z.enum(['fp32', 'fp16']),
    /** Positions that a sequence may reach. */
    context: z.int().min(1).max(limits.modelContext),
  })
  .refine((a) => a.first <= a.end, 'The layer range ends before it begins')
  .refine((a) => a.stage < a.stages, 'The stage is beyond the number of stages')
  .refine((a) => a.starter === (a.stage === 0), 'Stage 0, and only it, is the starter')
  .refine(
    (a) => (a.stages === 1) === (a.next === null) && (a.next === null) === (a.previous === null),
    'Neighbours are missing, or given for a ring of one',
  )
export type Assignment = z.infer<typeof assignmentSchema>

/** `mdi/desired/<node>`: what is desired of a node; null: nothing, drop what is loaded. */
export const desiredSchema = z.object({
  epoch: epochSchema,
  cluster: nameSchema,
  assignment: assignmentSchema.nullable(),
})
export type Desired = z.infer<typeof desiredSchema>

export const logLevels = ['error', 'warning', 'info'] as const
export type LogLevel = (typeof logLevels)[number]

/** `mdi/command/<node>`: what a node is to do once. */
export const commandSchema = z.discriminatedUnion('action', [
  z.object({ action: z.literal('identify') }),
  z.object({ action: z.literal('restart') }),
  z.object({ action: z.literal('rename'), name: z.string().min(1).max(100) }),
  z.object({ action: z.literal('log'), level: z.enum(logLevels) }),
])
export type Command = z.infer<typeof commandSchema>

/** `mdi/vitals/<node>`: what changes all the time. */
export const vitalsSchema = z.object({
  /** Memory of the process. */
  memoryBytes: countSchema,
  /** Of the processor, in °C; absent where the machine does not tell. */
  temperature: z.number().optional(),
  /** Rows that its layers computed, each second: tokens, in decoding. */
  tokensPerSecond: z.number().min(0),
})
export type Vitals = z.infer<typeof vitalsSchema>

/** `mdi/board/<node>`, at the home's broker: a board as a home automation shows it. */
export const boardSchema = z.object({
  state: z.enum(['online', 'offline']),
  /** Whose board it is. */
  cluster: nameSchema,
  name: z.string().max(100),
  phase: z.string().max(20),
  /** Layers that it holds, and which. */
  layers: countSchema,
  range: z.string().max(40),
  memoryMB: countSchema.optional(),
  temperature: z.number().optional(),
  tokensPerSecond: z.number().min(0).optional(),
})
export type BoardView = z.infer<typeof boardSchema>

/**
 * `mdi/bridge/state`: whether a coordinator is there; at the home's broker: whether a gateway
 * is, and which: the only one that answers there.
 */
export const bridgeStateSchema = z.object({
  state: z.enum(['online', 'offline']),
  instance: instance.optional(),
  /** It has just come, and asks whether another is at work. */
  asks: z.boolean().optional(),
  /** Whom it answers: what names nobody proves nothing, since anybody may have left it. */
  to: instance.optional(),
  /** Which coordinator, and where it is, for a sentence. */
  id: nameSchema.optional(),
  place: z.string().max(300).optional(),
})
export type BridgeState = z.infer<typeof bridgeStateSchema>

/** `mdi/bridge/gateway/<instance>`: tells a gateway which of its connections lead to one broker. */
export const gatewaySchema = z.object({ from: z.enum(['home', 'ring']), number: countSchema })

/** `mdi/bridge/info`: what the coordinator is and what it runs. */
export const bridgeInfoSchema = z.object({
  version: z.string().max(64),
  protocol: z.int().min(1),
  cluster: nameSchema,
  coordinator: peerSchema,
  epoch: u32Schema,
  /** The model that is loaded, and its stages in order. */
  model: modelReferenceSchema.nullable(),
  stages: z.array(z.object({ node: nameSchema, first: layer, end: layer })).max(limits.modelLayers),
  /** Positions that a sequence may reach. */
  context: countSchema.optional(),
  config: z.record(z.string(), z.unknown()).optional(),
  configSchema: z.record(z.string(), z.unknown()).optional(),
  /** Of the settings those that were changed while it runs, which gateways follow. */
  changed: z.record(z.string(), z.unknown()).optional(),
})
export type BridgeInfo = z.infer<typeof bridgeInfoSchema>

/** `mdi/bridge/health`. */
export const bridgeHealthSchema = z.object({
  /** `idle`: no model is loaded; `waiting`: for the nodes named in `reason`. */
  ring: z.enum(['idle', 'waiting', 'ready']),
  reason: sentenceSchema.optional(),
  running: countSchema,
  queued: countSchema,
  tokensPerSecond: z.number().min(0),
  uptimeSeconds: z.number().min(0),
})
export type BridgeHealth = z.infer<typeof bridgeHealthSchema>
