/** Model families: from a GGUF file's keys and tensors to a `ModelSpec`. */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { GgufFile } from './gguf.ts'
import { Keys } from './keys.ts'
import { dequantize } from './quants.ts'
import { linearFactors, llama3Factors } from './rope.ts'
import type { ByteSource } from './source.ts'
import type { ModelSpec, RopeSpec } from './spec.ts'

/** Families by `general.architecture`. */
const families: readonly string[] = ['llama']

const unsupported = (file: string, what: string): MdiError =>
  new MdiError('unsupported', `${file}: ${what}.`)

/** Divisors that stand in the file as a tensor. */
const factorTensor = async (source: ByteSource, gguf: GgufFile, dim: number) => {
  const tensor = gguf.tensors.get('rope_freqs.weight')
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

const ropeSpec = async (
  source: ByteSource,
  gguf: GgufFile,
  keys: Keys,
  { headDim, context }: { headDim: number; context: number },
): Promise<RopeSpec> => {
  const dim = keys.count('rope.dimension_count', headDim, headDim)
  if (dim % 2 !== 0) throw new MdiError('bad-file', `${source.name} rotates ${dim} dimensions.`)
  const theta = keys.positive('rope.freq_base', 10_000)
  const factors = (await factorTensor(source, gguf, dim)) ?? factorKeys(keys, theta, dim, context)
  return { theta, dim, interleaved: true, ...(factors && { factors }) }
}

const headShape = (keys: Keys, hidden: number) => {
  const heads = keys.count('attention.head_count', limits.modelHidden)
  const kvHeads = keys.count('attention.head_count_kv', heads, heads)
  const headDim = keys.count('attention.key_length', limits.modelHidden, hidden / heads)
  const valueDim = keys.count('attention.value_length', limits.modelHidden, headDim)
  if (heads % kvHeads !== 0)
    throw new MdiError(
      'bad-file',
      `${keys.file} has ${heads} query heads, which ${kvHeads} key heads cannot share.`,
    )
  if (valueDim !== headDim)
    throw unsupported(keys.file, 'keys and values of different widths are not supported')
  return { heads, kvHeads, headDim }
}

/**
 * A GGUF file's shapes and constants.
 * Errors: `unsupported` (architecture or feature, by its name), `bad-file` (keys are missing
 * or make no sense).
 */
export const specFromGguf = async (source: ByteSource, gguf: GgufFile): Promise<ModelSpec> => {
  const general = new Keys(source.name, '', (key) => gguf.metadata.get(key))
  const family = general.text('general.architecture')
  if (family === undefined)
    throw new MdiError('bad-file', `${source.name} does not say "general.architecture".`)
  if (!families.includes(family))
    throw unsupported(
      source.name,
      `the architecture ${JSON.stringify(family)} is not supported; ${families.join(', ')} can be imported`,
    )
  const keys = new Keys(source.name, `${family}.`, (key) => gguf.metadata.get(key))
  if (keys.number('expert_count', 0) > 0)
    throw unsupported(source.name, 'a mixture of experts is not supported')
  const layers = keys.count('block_count', limits.modelLayers)
  const hidden = keys.count('embedding_length', limits.modelHidden)
  const feedForward = keys.count('feed_forward_length', limits.modelFeedForward)
  const context = keys.count('context_length', limits.modelContext)
  const head = headShape(keys, hidden)
  const embedding = gguf.tensors.get('token_embd.weight')
  if (!embedding) throw missing(source.name, 'token_embd.weight')
  return {
    family,
    layers,
    hidden,
    ...head,
    feedForward,
    vocab: vocabulary(source.name, gguf, embedding.rows),
    context,
    normEpsilon: keys.positive('attention.layer_norm_rms_epsilon'),
    rope: await ropeSpec(source, gguf, keys, { headDim: head.headDim, context }),
    tiedHead: !gguf.tensors.has('output.weight'),
  }
}

/** The error for a tensor that should be there. */
export const missing = (file: string, tensor: string): MdiError =>
  new MdiError('bad-file', `${file} lacks the tensor ${JSON.stringify(tensor)}.`)

/** Some files have more rows in the embedding than tokens, never fewer. */
const vocabulary = (file: string, gguf: GgufFile, rows: number): number => {
  const tokens = gguf.metadata.get('tokenizer.ggml.tokens')
  const count = Array.isArray(tokens) ? tokens.length : 0
  if (rows < count || rows > limits.modelVocab)
    throw new MdiError('bad-file', `${file} has ${count} tokens but ${rows} rows of embedding.`)
  return rows
}
