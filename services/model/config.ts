/** From a folder's config.json to a `ModelSpec`. Its keys are those of transformers. */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { type Facts, type Family, familyByType, headShape, specOf, unsupported } from './family.ts'
import { isObject, type Json } from './folder.ts'
import { Keys } from './keys.ts'
import { linearFactors, llama3Factors } from './rope.ts'
import type { ModelSpec, RopeSpec } from './spec.ts'

/** Values that a config.json may leave out because its library knows them. */
const defaults: Readonly<Record<string, Json>> = {
  gemma2: {
    head_dim: 256,
    rms_norm_eps: 1e-6,
    query_pre_attn_scalar: 256,
    sliding_window: 4_096,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
  },
  gemma3: {
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    rms_norm_eps: 1e-6,
    max_position_embeddings: 131_072,
    rope_theta: 1_000_000,
    query_pre_attn_scalar: 256,
    sliding_window: 4_096,
  },
}

const keysOf = (file: string, values: Json, fallback: Json = {}): Keys =>
  new Keys(file, '', (key) => values[key] ?? fallback[key] ?? undefined)

/** Divisors that stand in config.json as a list. */
const factorList = (keys: Keys, key: string, dim: number): number[] => {
  const value = keys.raw(key)
  const sane =
    Array.isArray(value) &&
    value.length === dim / 2 &&
    value.every((f) => typeof f === 'number' && Number.isFinite(f) && f > 0)
  if (!sane)
    throw new MdiError('bad-file', `${keys.file}: ${JSON.stringify(key)} does not fit its heads.`)
  return value as number[]
}

type Rotation = { rope: RopeSpec; context: number }

/** LongRoPE, below the positions that the model was first made for: there it is one table. */
const longRope = (config: Keys, scaling: Keys, base: RopeSpec, context: number): Rotation => {
  const key = 'original_max_position_embeddings'
  const original = scaling.count(key, limits.modelContext, config.number(key, context))
  const stretch = context / original
  const usual = stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(original))
  const magnitude = scaling.positive('attention_factor', usual)
  const factors = factorList(scaling, 'short_factor', base.dim)
  return {
    rope: { ...base, factors, ...(magnitude !== 1 && { magnitude }) },
    context: Math.min(context, original),
  }
}

const rotation = (config: Keys, parameters: Json, headDim: number): Rotation => {
  const context = config.count('max_position_embeddings', limits.modelContext, 2_048)
  const scaling = keysOf(config.file, parameters)
  const partial = scaling.positive(
    'partial_rotary_factor',
    config.positive('partial_rotary_factor', 1),
  )
  const dim = Math.floor(headDim * partial)
  if (dim % 2 !== 0 || dim < 2 || dim > headDim)
    throw new MdiError('bad-file', `${config.file} rotates ${dim} dimensions.`)
  const theta = scaling.positive('rope_theta', config.positive('rope_theta', 10_000))
  const base = { theta, dim, interleaved: false }
  const type = scaling.text('rope_type') ?? scaling.text('type') ?? 'default'
  if (type === 'default') return { rope: base, context }
  if (type === 'longrope' || type === 'su') return longRope(config, scaling, base, context)
  if (type === 'linear') {
    const factors = linearFactors(dim, scaling.positive('factor'))
    return { rope: { ...base, ...(factors && { factors }) }, context }
  }
  if (type !== 'llama3')
    throw unsupported(config.file, `its RoPE scaling ${JSON.stringify(type)} is not supported`)
  const factors = llama3Factors(theta, dim, {
    factor: scaling.positive('factor'),
    lowFrequency: scaling.positive('low_freq_factor'),
    highFrequency: scaling.positive('high_freq_factor'),
    context: scaling.positive('original_max_position_embeddings'),
  })
  return { rope: { ...base, factors }, context }
}

/** RoPE's parameters of the layers that see everything, and of the others where they differ. */
const ropeParameters = (config: Keys): { full: Json; windowed?: Json } => {
  const both = config.raw('rope_parameters')
  if (!isObject(both)) {
    const scaling = config.raw('rope_scaling')
    return { full: isObject(scaling) ? scaling : {} }
  }
  const { full_attention: full, sliding_attention: windowed } = both
  if (!isObject(full)) return { full: both }
  return { full, ...(isObject(windowed) && { windowed }) }
}

/** Which layers are windowed, where the file lists them or says from where on. */
const windowLayers = (config: Keys, layers: number): number[] | undefined => {
  const indices = Array.from({ length: layers }, (_, i) => i)
  const list = config.raw('layer_types')
  if (Array.isArray(list)) {
    if (list.length !== layers)
      throw new MdiError('bad-file', `${config.file} lists ${list.length} layers of ${layers}.`)
    return indices.filter((i) => list[i] === 'sliding_attention')
  }
  if (config.raw('use_sliding_window') === true)
    return indices.filter((i) => i >= config.number('max_window_layers', layers))
  const every = config.raw('sliding_window_pattern') ?? config.raw('_sliding_window_pattern')
  return typeof every === 'number' && every > 0
    ? indices.filter((i) => (i + 1) % every !== 0)
    : undefined
}

const windowFacts = (config: Keys, family: Family, layers: number, windowed?: Json) => {
  const size = config.raw('sliding_window')
  // Qwen's files have a window and say apart whether it counts.
  const counts = family.windows
    ? config.raw('use_sliding_window') !== false
    : config.raw('use_sliding_window') === true
  if (size === undefined || size === null || !counts) return {}
  const which = windowLayers(config, layers)
  const own = windowed && keysOf(config.file, windowed).number('rope_theta', 0)
  const theta = own || config.number('rope_local_base_freq', 0)
  const window: NonNullable<Facts['window']> = {
    size: config.count('sliding_window', limits.modelContext),
    ...(which && { layers: which }),
    ...(theta > 0 && { theta }),
  }
  return { window }
}

const checkActivation = (config: Keys, family: Family): void => {
  const name = config.text('hidden_activation') ?? config.text('hidden_act')
  const known = family.activation === 'gelu' ? ['gelu_pytorch_tanh', 'gelu'] : ['silu', 'swish']
  if (name !== undefined && !known.includes(name))
    throw unsupported(config.file, `the activation ${JSON.stringify(name)} is not supported`)
}

const refuse = (config: Keys): void => {
  const { file } = config
  if (isObject(config.raw('quantization_config'))) {
    const method = keysOf(file, config.raw('quantization_config') as Json).raw('quant_method')
    throw unsupported(
      file,
      `weights quantized by ${JSON.stringify(method ?? 'another method')} are not supported; a GGUF file of the model can be imported`,
    )
  }
  const types = config.raw('layer_types')
  const other =
    Array.isArray(types) && types.find((t) => t !== 'full_attention' && t !== 'sliding_attention')
  if (other)
    throw unsupported(file, `layers of the type ${JSON.stringify(other)} are not supported`)
  if (config.raw('use_bidirectional_attention') === true)
    throw unsupported(file, 'attention in both directions is not supported')
}

const softcap = (config: Keys, key: string): number | undefined =>
  (config.raw(key) ?? null) === null ? undefined : config.positive(key)

/** What the tensors say that config.json may not. */
export type TensorPresence = { vocab: number; head: boolean; qkvBias: boolean }

/**
 * The family and the part of a config.json that describes the text model.
 * Errors: `unsupported` (the model type, by its name), `bad-file`.
 */
export const familyOfConfig = (file: string, config: Json): { family: Family; text: Json } => {
  const type = new Keys(file, '', (key) => config[key]).text('model_type')
  if (type === undefined) throw new MdiError('bad-file', `${file} does not say "model_type".`)
  const family = familyByType(file, type)
  const inner = config.text_config
  return { family, text: isObject(inner) ? { ...config, ...inner } : config }
}

/**
 * A config.json's shapes and constants.
 * @param config its part for the text model
 * Errors: `unsupported` (a feature, by its name), `bad-file` (keys are missing or make no
 * sense).
 */
export const specFromConfig = (
  file: string,
  family: Family,
  config: Json,
  presence: TensorPresence,
): ModelSpec => {
  const keys = keysOf(file, config, defaults[family.name])
  refuse(keys)
  checkActivation(keys, family)
  const hidden = keys.count('hidden_size', limits.modelHidden)
  const layers = keys.count('num_hidden_layers', limits.modelLayers)
  const head = headShape(keys, hidden, {
    heads: 'num_attention_heads',
    kvHeads: 'num_key_value_heads',
    headDim: 'head_dim',
  })
  const { full, windowed } = ropeParameters(keys)
  const tied = keys.raw('tie_word_embeddings')
  const attentionSoftcap = softcap(keys, 'attn_logit_softcapping')
  const logitSoftcap = softcap(keys, 'final_logit_softcapping')
  const scalar = keys.number('query_pre_attn_scalar', 0)
  return specOf(family, {
    layers,
    hidden,
    ...head,
    feedForward: keys.count('intermediate_size', limits.modelFeedForward),
    vocab: presence.vocab,
    normEpsilon: keys.positive('rms_norm_eps', 1e-6),
    ...rotation(keys, full, head.headDim),
    tiedHead: typeof tied === 'boolean' ? tied : !presence.head,
    qkvBias: family.qkvBias ?? presence.qkvBias,
    ...(scalar > 0 && { queryScalar: scalar }),
    ...(attentionSoftcap !== undefined && { attentionSoftcap }),
    ...(logitSoftcap !== undefined && { logitSoftcap }),
    ...windowFacts(keys, family, layers, windowed),
  })
}
