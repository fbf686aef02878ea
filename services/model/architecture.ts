/** From a GGUF file's keys and tensors to its `ModelSpec`. */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { type Family, familyByName, headShape, missing, specOf, unsupported } from './family.ts'
import type { GgufFile } from './gguf.ts'
import { Keys } from './keys.ts'
import { dequantize } from './quants.ts'
import { linearFactors, llama3Factors } from './rope.ts'
import { otherKind } from './sniff.ts'
import type { ByteSource } from './source.ts'
import type { ModelSpec, RopeSpec } from './spec.ts'

/** Divisors that stand in the file as a tensor. */
const factorTensor = async (source: ByteSource, gguf: GgufFile, name: string, dim: number) => {
  const tensor = gguf.tensors.get(name)
  if (!tensor) return undefined
  const bad = () =>
    new MdiError('bad-file', `${source.name} has RoPE factors that do not fit its heads.`)
  if (tensor.type.form || tensor.rows !== 1 || tensor.columns !== dim / 2) throw bad()
  const bytes = await source.read(tensor.offset, tensor.bytes)
  const factors = Array.from(dequantize(tensor.type, bytes, tensor.columns))
  if (!factors.every((f) => Number.isFinite(f) && f > 0)) throw bad()
  return factors
}

/** Divisors that follow from the keys `rope.scaling.*`. */
const factorKeys = (keys: Keys, theta: number, dim: number, context: number) => {
  const type = keys.text('rope.scaling.type') ?? 'linear'
  const legacy = keys.positive('rope.scale_linear', 1)
  const factor = keys.positive('rope.scaling.factor', legacy)
  if (type === 'none') return undefined
  if (type === 'linear') return linearFactors(dim, factor)
  if (type === 'llama3')
    return llama3Factors(theta, dim, {
      factor,
      lowFrequency: keys.positive('rope.scaling.low_freq_factor', 1),
      highFrequency: keys.positive('rope.scaling.high_freq_factor', 4),
      context: keys.positive('rope.scaling.original_context_length', context),
    })
  throw unsupported(keys.file, `its RoPE scaling ${JSON.stringify(type)} is not supported`)
}

type Rotation = { rope: RopeSpec; context: number }

const rotation = async (
  source: ByteSource,
  gguf: GgufFile,
  keys: Keys,
  { family, headDim }: { family: Family; headDim: number },
): Promise<Rotation> => {
  const context = keys.count('context_length', limits.modelContext)
  const dim = keys.count('rope.dimension_count', headDim, headDim)
  if (dim % 2 !== 0) throw new MdiError('bad-file', `${source.name} rotates ${dim} dimensions.`)
  const theta = keys.positive('rope.freq_base', family.theta ?? 10_000)
  const base = { theta, dim, interleaved: family.interleaved ?? false }
  const short = await factorTensor(source, gguf, 'rope_factors_short.weight', dim)
  if (short) {
    // LongRoPE has other factors beyond the positions it was first made for: stay below.
    const original = keys.count(
      'rope.scaling.original_context_length',
      limits.modelContext,
      context,
    )
    const magnitude = keys.positive('rope.scaling.attn_factor', 1)
    const rope = { ...base, factors: short, ...(magnitude !== 1 && { magnitude }) }
    return { rope, context: Math.min(context, original) }
  }
  const factors =
    (await factorTensor(source, gguf, 'rope_freqs.weight', dim)) ??
    factorKeys(keys, theta, dim, context)
  return { rope: { ...base, ...(factors && { factors }) }, context }
}

/** Some files have more rows in the embedding than tokens, never fewer. */
const vocabulary = (file: string, gguf: GgufFile): number => {
  const embedding = gguf.tensors.get('token_embd.weight')
  if (!embedding) throw missing(file, 'token_embd.weight')
  const { rows } = embedding
  const tokens = gguf.metadata.get('tokenizer.ggml.tokens')
  const count = Array.isArray(tokens) ? tokens.length : 0
  if (rows < count || rows > limits.modelVocab)
    throw new MdiError('bad-file', `${file} has ${count} tokens but ${rows} rows of embedding.`)
  return rows
}

const optional = (keys: Keys, key: string): number | undefined =>
  keys.raw(key) === undefined ? undefined : keys.positive(key)

/** A cap that the file names, or the family's; 0 stands for none. */
const softcap = (keys: Keys, key: string, usual = 0): number | undefined =>
  keys.number(key, usual) === 0 ? undefined : keys.positive(key, usual)

/** Which layers are windowed, where a file says it: a flag for each, or every how many are not. */
const windowLayers = (keys: Keys, layers: number): number[] | undefined => {
  const key = 'attention.sliding_window_pattern'
  const pattern = keys.raw(key)
  const indices = Array.from({ length: layers }, (_, i) => i)
  if (pattern instanceof Uint8Array && pattern.length >= layers)
    return indices.filter((i) => pattern[i] !== 0)
  if (pattern === undefined) return undefined
  const every = keys.count(key, layers)
  return indices.filter((i) => (i + 1) % every !== 0)
}

/** A window and what goes with it, where the family has any. */
const windowFacts = (keys: Keys, family: Family, layers: number) => {
  // 0 stands for none.
  const key = 'attention.sliding_window'
  const usual = family.windowSize ?? 0
  if (!family.windows || keys.number(key, usual) === 0) return {}
  const theta = optional(keys, 'rope.freq_base_swa')
  const which = windowLayers(keys, layers)
  const window = {
    size: keys.count(key, limits.modelContext, usual),
    ...(which && { layers: which }),
    ...(theta !== undefined && { theta }),
  }
  return { window }
}

/**
 * A GGUF file's family, shapes and constants.
 * Errors: `unsupported` (architecture or feature, by its name), `bad-file` (keys are missing
 * or make no sense).
 */
export const specFromGguf = async (
  source: ByteSource,
  gguf: GgufFile,
): Promise<{ spec: ModelSpec; family: Family }> => {
  const general = new Keys(source.name, '', (key) => gguf.metadata.get(key))
  const name = general.text('general.architecture')
  const other = otherKind(general.raw('general.type'), name, [...gguf.tensors.keys()])
  if (other !== undefined) throw new MdiError('bad-file', `${source.name} is ${other}.`)
  if (name === undefined)
    throw new MdiError('bad-file', `${source.name} does not say "general.architecture".`)
  const family = familyByName(source.name, name)
  const keys = new Keys(source.name, `${name}.`, (key) => gguf.metadata.get(key))
  if (keys.number('expert_count', 0) > 0)
    throw unsupported(source.name, 'a mixture of experts is not supported')
  const layers = keys.count('block_count', limits.modelLayers)
  const hidden = keys.count('embedding_length', limits.modelHidden)
  const head = headShape(keys, hidden, {
    heads: 'attention.head_count',
    kvHeads: 'attention.head_count_kv',
    headDim: 'attention.key_length',
  })
  if (keys.count('attention.value_length', limits.modelHidden, head.headDim) !== head.headDim)
    throw unsupported(source.name, 'keys and values of different widths are not supported')
  const attentionSoftcap = softcap(keys, 'attn_logit_softcapping', family.softcaps?.[0])
  const logitSoftcap = softcap(keys, 'final_logit_softcapping', family.softcaps?.[1])
  const spec = specOf(family, {
    layers,
    hidden,
    ...head,
    feedForward: keys.count('feed_forward_length', limits.modelFeedForward),
    vocab: vocabulary(source.name, gguf),
    normEpsilon: keys.positive('attention.layer_norm_rms_epsilon'),
    ...(await rotation(source, gguf, keys, { family, headDim: head.headDim })),
    tiedHead: !gguf.tensors.has('output.weight'),
    qkvBias: family.qkvBias ?? gguf.tensors.has('blk.0.attn_q.bias'),
    ...(attentionSoftcap !== undefined && { attentionSoftcap }),
    ...(logitSoftcap !== undefined && { logitSoftcap }),
    ...windowFacts(keys, family, layers),
  })
  return { spec, family }
}
