/**
 * Small and large random models in real shapes, as GGUF files: for the demo without a
 * model at hand, for tests and for benchmarks. They speak nonsense in real time.
 */

import { type Family, familyByName, specOf } from './family.ts'
import { type ByteSink, type NewTensor, type TypedValue, writeGguf } from './ggufwriter.ts'
import { modelRecords } from './layout.ts'
import { locateGguf, type TensorPlace } from './names.ts'
import { noise, randomFloats, randomQuantized } from './noise.ts'
import { type TensorType, typeByName } from './quants.ts'
import type { ModelSpec } from './spec.ts'

/** What of a random model can be chosen. */
export type RandomShape = {
  layers: number
  hidden: number
  heads: number
  kvHeads: number
  /** `hidden / heads` if absent. */
  headDim?: number
  feedForward: number
  vocab: number
  context: number
  tiedHead: boolean
  theta?: number
  /** `headDim / 2` divisors of the RoPE frequencies. */
  ropeFactors?: readonly number[]
  /** `general.architecture`: `llama` unless said otherwise. */
  family?: string
  /** Positions that windowed layers see, in a family that has such layers. */
  window?: number
}

/** Shapes by name: two of the paper's, and one that is made in an instant. */
export const randomShapes = {
  tiny: {
    layers: 4,
    hidden: 128,
    heads: 4,
    kvHeads: 2,
    feedForward: 384,
    vocab: 1_024,
    context: 1_024,
    tiedHead: true,
  },
  /** NanoLlama 304M */
  '304m': {
    layers: 12,
    hidden: 1_024,
    heads: 16,
    kvHeads: 4,
    feedForward: 5_632,
    vocab: 32_000,
    context: 2_048,
    tiedHead: false,
  },
  /** TinyLlama 1.1B */
  '1.1b': {
    layers: 22,
    hidden: 2_048,
    heads: 32,
    kvHeads: 4,
    feedForward: 5_632,
    vocab: 32_000,
    context: 2_048,
    tiedHead: false,
  },
} as const satisfies Record<string, RandomShape>

export type RandomOptions = {
  /** Type of the matrices: `Q4_0` unless said otherwise. */
  type?: string
  /** Type of a matrix by its canonical name where it differs, e.g. `{ ffn_down: 'Q6_K' }`. */
  types?: Readonly<Record<string, string>>
  seed?: number
  /** Further keys of the file. */
  keys?: Readonly<Record<string, TypedValue>>
  /** `general.name`. */
  name?: string
  /** Writes one of several files that the model is split over, counted from 0. */
  part?: { number: number; of: number }
}

const CONTROL = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'] as const
const BYTE_TOKENS = 256

/** GPT-2's alphabet: a printable character for every byte. */
const byteCharacters = (): string[] => {
  const printable = (b: number): boolean =>
    (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255)
  let next = 256
  return Array.from({ length: BYTE_TOKENS }, (_, b) =>
    String.fromCharCode(printable(b) ? b : next++),
  )
}

/** Tokens of a byte-level BPE: controls, bytes, then longer and longer runs of letters. */
const vocabulary = (size: number): { tokens: string[]; merges: string[] } => {
  if (size < CONTROL.length + BYTE_TOKENS)
    throw new RangeError(`a vocabulary has at least ${CONTROL.length + BYTE_TOKENS} tokens`)
  const tokens: string[] = [...CONTROL, ...byteCharacters()]
  const merges: string[] = []
  // The most frequent letters of English first, so that real text does get shorter.
  const letters = [...'etaoinshrdlcumwfgypbvkjxqz']
  // "Ġ" is the space before a word.
  let shorter = ['Ġ', ...letters]
  while (tokens.length < size) {
    const longer: string[] = []
    for (const start of shorter)
      for (const letter of letters) {
        if (tokens.length === size) return { tokens, merges }
        tokens.push(start + letter)
        merges.push(`${start} ${letter}`)
        longer.push(start + letter)
      }
    shorter = longer
  }
  return { tokens, merges }
}

const TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

const metadataOf = (shape: RandomShape, name: string): Map<string, TypedValue> => {
  const { tokens, merges } = vocabulary(shape.vocab)
  const { family = 'llama' } = shape
  const u32 = (value: number): TypedValue => ({ type: 'u32', value })
  const text = (value: string): TypedValue => ({ type: 'string', value })
  const headDim = shape.headDim ?? shape.hidden / shape.heads
  return new Map<string, TypedValue>([
    ['general.architecture', text(family)],
    ['general.name', text(name)],
    [`${family}.block_count`, u32(shape.layers)],
    [`${family}.context_length`, u32(shape.context)],
    [`${family}.embedding_length`, u32(shape.hidden)],
    [`${family}.feed_forward_length`, u32(shape.feedForward)],
    [`${family}.attention.head_count`, u32(shape.heads)],
    [`${family}.attention.head_count_kv`, u32(shape.kvHeads)],
    [`${family}.attention.key_length`, u32(headDim)],
    [`${family}.attention.value_length`, u32(headDim)],
    [`${family}.attention.layer_norm_rms_epsilon`, { type: 'f32', value: 1e-5 }],
    [`${family}.rope.dimension_count`, u32(headDim)],
    [`${family}.rope.freq_base`, { type: 'f32', value: shape.theta ?? 10_000 }],
    [`${family}.vocab_size`, u32(shape.vocab)],
    ...(shape.window ? [[`${family}.attention.sliding_window`, u32(shape.window)] as const] : []),
    ['tokenizer.ggml.model', text('gpt2')],
    ['tokenizer.ggml.pre', text('smollm')],
    ['tokenizer.ggml.tokens', { type: 'strings', value: tokens }],
    [
      'tokenizer.ggml.token_type',
      { type: 'i32s', value: tokens.map((_, id) => (id < CONTROL.length ? 3 : 1)) },
    ],
    ['tokenizer.ggml.merges', { type: 'strings', value: merges }],
    ['tokenizer.ggml.bos_token_id', u32(1)],
    ['tokenizer.ggml.eos_token_id', u32(2)],
    ['tokenizer.ggml.unknown_token_id', u32(0)],
    ['tokenizer.ggml.padding_token_id', u32(2)],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: false }],
    ['tokenizer.chat_template', text(TEMPLATE)],
  ])
}

const F32 = typeByName('F32')

const floatTensor = (name: string, values: readonly number[]): NewTensor => ({
  name,
  type: F32,
  shape: [values.length],
  data: () => [new Uint8Array(Float32Array.from(values).buffer)],
})

/** The spec, as far as the tensors' names and shapes depend on it. */
const specFor = (shape: RandomShape, family: Family): ModelSpec => {
  const { layers, hidden, heads, kvHeads, feedForward, vocab, context, tiedHead } = shape
  const headDim = shape.headDim ?? hidden / heads
  return specOf(family, {
    ...{ layers, hidden, heads, kvHeads, headDim, feedForward, vocab, context, tiedHead },
    normEpsilon: 1e-5,
    rope: { theta: 10_000, dim: headDim, interleaved: false },
    qkvBias: family.qkvBias ?? false,
  })
}

/** Norm weights about 1, biases small, matrices about N(0, 1/columns): activations stay sane. */
const randomTensor = (
  { name, totalRows, columns }: TensorPlace,
  type: TensorType,
  seed: number,
): NewTensor => {
  const words = noise(seed, name)
  if (totalRows === 1) {
    const bias = name.endsWith('.bias')
    const options = { mean: bias ? 0 : 1, deviation: bias ? 0.3 : 0.1 }
    const data = () => randomFloats(F32, columns, words, options)
    return { name, type: F32, shape: [columns], data }
  }
  const deviation = 1 / Math.sqrt(columns)
  const count = totalRows * columns
  const data = () =>
    type.form
      ? randomQuantized(type, count, words, deviation)
      : randomFloats(type, count, words, { mean: 0, deviation })
  return { name, type, shape: [columns, totalRows], data }
}

/**
 * Writes a random model as a GGUF file, a few MB at a time. Equal arguments give equal
 * bytes.
 * @throws RangeError for shapes that are no model
 */
export const writeRandomModel = async (
  sink: ByteSink,
  shape: RandomShape,
  options: RandomOptions = {},
): Promise<void> => {
  const family = familyByName('a random model', shape.family ?? 'llama')
  const spec = specFor(shape, family)
  const { seed = 1, types = {}, type = 'Q4_0', name = 'random', keys = {} } = options
  const locate = locateGguf(spec, family)
  const tensors = new Map<string, NewTensor>()
  for (const record of modelRecords(spec))
    for (const tensor of record.tensors) {
      const place = locate(record, tensor.name)
      if (tensors.has(place.name)) continue
      tensors.set(place.name, randomTensor(place, typeByName(types[tensor.name] ?? type), seed))
    }
  const factors = family.fused ? 'rope_factors_short.weight' : 'rope_freqs.weight'
  if (shape.ropeFactors) tensors.set(factors, floatTensor(factors, shape.ropeFactors))
  const { number: part, of } = options.part ?? { number: 0, of: 1 }
  const u32 = (value: number): TypedValue => ({ type: 'u32', value })
  const metadata = new Map([
    // As llama.cpp splits files: only the first has the model's keys.
    ...(part === 0 ? metadataOf(shape, name) : []),
    ...(of > 1
      ? ([
          ['split.no', u32(part)],
          ['split.count', u32(of)],
        ] as const)
      : []),
    ...Object.entries(keys),
  ])
  const own = [...tensors.values()].filter(
    (_, i, all) => Math.floor((i * of) / all.length) === part,
  )
  await writeGguf(sink, metadata, own)
}
