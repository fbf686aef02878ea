/**
 * Model families: what each is beyond plain Llama, as data. Sources: the modelling files
 * of https://github.com/huggingface/transformers and of
 * https://github.com/ggml-org/llama.cpp.
 */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Keys } from './keys.ts'
import type { ModelSpec } from './spec.ts'

/** One family. What is absent is as in Llama. */
export type Family = {
  /** `general.architecture` of a GGUF file. */
  name: string
  /** `model_type`s of a config.json. */
  types: readonly string[]
  /** A GGUF file has Q and K for rotation of neighbours; all others rotate halves. */
  interleaved?: true
  /** Q, K and V must have biases; any family may. */
  qkvBias?: true
  headNorms?: true
  postNorms?: true
  activation?: 'gelu'
  /** The embedding is multiplied by `√hidden`. */
  scaledEmbedding?: true
  /** The norms' weights of a safetensors file lack 1. */
  normsLackOne?: true
  /** Q, K and V, and gate and up, are each one tensor in a file. */
  fused?: true
  /** Whether a window that a file names counts. */
  windows?: true
  /** The window where a GGUF file names none. */
  windowSize?: number
  /** The rotation's theta where a GGUF file names none; absent: 10,000. */
  theta?: number
  /** Layer i sees everything where `(i + 1) % globalEvery` is 0; absent: no layer does. */
  globalEvery?: number
  /** Windowed layers rotate by this theta where the file says no other. */
  windowTheta?: number
  /** Caps of the attention's scores and of the logits where the file says no others. */
  softcaps?: readonly [number, number]
  /** Layers of the one size whose scores are scaled by `√(heads / hidden)`. */
  widthScaledAt?: number
}

const families: readonly Family[] = [
  { name: 'llama', types: ['llama', 'mistral'], interleaved: true, windows: true },
  { name: 'qwen2', types: ['qwen2'], qkvBias: true },
  { name: 'qwen3', types: ['qwen3'], headNorms: true },
  { name: 'phi3', types: ['phi3'], fused: true, windows: true },
  {
    name: 'gemma2',
    types: ['gemma2'],
    postNorms: true,
    activation: 'gelu',
    scaledEmbedding: true,
    normsLackOne: true,
    windows: true,
    windowSize: 4_096,
    globalEvery: 2,
    softcaps: [50, 30],
    widthScaledAt: 46,
  },
  {
    name: 'gemma3',
    types: ['gemma3', 'gemma3_text'],
    headNorms: true,
    postNorms: true,
    activation: 'gelu',
    scaledEmbedding: true,
    normsLackOne: true,
    windows: true,
    theta: 1_000_000,
    globalEvery: 6,
    windowTheta: 10_000,
    widthScaledAt: 62,
  },
]

/** The error for what a sound file asks for and we do not have. */
export const unsupported = (file: string, what: string): MdiError =>
  new MdiError('unsupported', `${file}: ${what}.`)

/** The error for a tensor that should be there. */
export const missing = (file: string, tensor: string): MdiError =>
  new MdiError('bad-file', `${file} lacks the tensor ${JSON.stringify(tensor)}.`)

/** The family of a GGUF file's architecture. @throws MdiError `unsupported`, by its name */
export const familyByName = (file: string, name: string): Family => {
  const family = families.find((f) => f.name === name)
  if (family) return family
  const known = families.map((f) => f.name).join(', ')
  throw unsupported(
    file,
    `the architecture ${JSON.stringify(name)} is not supported; ${known} can be imported`,
  )
}

/** The family of a config.json's model type. @throws MdiError `unsupported`, by its name */
export const familyByType = (file: string, type: string): Family => {
  const family = families.find((f) => f.types.includes(type))
  if (family) return family
  const known = families.flatMap((f) => f.types).join(', ')
  throw unsupported(
    file,
    `the model type ${JSON.stringify(type)} is not supported; ${known} can be imported`,
  )
}

/** What a file says of itself, whatever its format. */
export type Facts = Pick<
  ModelSpec,
  | 'layers'
  | 'hidden'
  | 'heads'
  | 'kvHeads'
  | 'headDim'
  | 'feedForward'
  | 'vocab'
  | 'context'
  | 'normEpsilon'
  | 'rope'
  | 'tiedHead'
> & {
  qkvBias: boolean
  window?: { size: number; layers?: number[]; theta?: number }
  /** The scores are scaled by one over its root. */
  queryScalar?: number
  attentionSoftcap?: number
  logitSoftcap?: number
}

/** Heads and their width, checked. `names` are the file's names for the counts. */
export const headShape = (
  keys: Keys,
  hidden: number,
  names: { heads: string; kvHeads: string; headDim: string },
): { heads: number; kvHeads: number; headDim: number } => {
  const heads = keys.count(names.heads, limits.modelHidden)
  const kvHeads = keys.count(names.kvHeads, heads, heads)
  const headDim = keys.count(names.headDim, limits.modelHidden, hidden / heads)
  if (heads % kvHeads !== 0)
    throw new MdiError(
      'bad-file',
      `${keys.file} has ${heads} query heads, which ${kvHeads} key heads cannot share.`,
    )
  return { heads, kvHeads, headDim }
}

const windowOf = (family: Family, facts: Facts): Pick<ModelSpec, 'window'> => {
  const { window, layers, context, rope } = facts
  // A window as wide as the context is none.
  if (!window || window.size >= context) return {}
  const every = family.globalEvery
  const which =
    window.layers ??
    Array.from({ length: layers }, (_, i) => i).filter((i) => !every || (i + 1) % every !== 0)
  if (which.length === 0) return {}
  const theta = window.theta ?? family.windowTheta
  // Windowed layers are never stretched: they see no further than they did.
  const own =
    theta === undefined ? {} : { rope: { theta, dim: rope.dim, interleaved: rope.interleaved } }
  return { window: { size: window.size, layers: which, ...own } }
}

/** The spec that a family makes of a file's facts. */
export const specOf = (family: Family, facts: Facts): ModelSpec => {
  const { layers, hidden, heads, kvHeads, headDim, feedForward, vocab, context } = facts
  const { normEpsilon, rope, tiedHead, attentionSoftcap, logitSoftcap } = facts
  const scalar = facts.queryScalar ?? (family.widthScaledAt === layers ? hidden / heads : headDim)
  return {
    family: family.name,
    ...{ layers, hidden, heads, kvHeads, headDim, feedForward, vocab, context },
    ...{ normEpsilon, rope, tiedHead },
    ...(facts.qkvBias && { qkvBias: true }),
    ...(family.headNorms && { headNorms: true }),
    ...(family.postNorms && { postNorms: true }),
    ...(family.activation && { activation: family.activation }),
    ...(family.scaledEmbedding && { embeddingScale: Math.sqrt(hidden) }),
    ...(scalar !== headDim && { attentionScale: 1 / Math.sqrt(scalar) }),
    ...(attentionSoftcap !== undefined && { attentionSoftcap }),
    ...(logitSoftcap !== undefined && { logitSoftcap }),
    ...windowOf(family, facts),
  }
}
