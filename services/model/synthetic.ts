/**
 * Small and large random models in real shapes, as GGUF files: for the demo without a
 * model at hand, for tests and for benchmarks. They speak nonsense in real time.
 */
import { type ByteSink, type NewTensor, type TypedValue, writeGguf } from './ggufwriter.ts'
import { type ExpectedRecord, modelRecords } from './layout.ts'
import { ggufName } from './names.ts'
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
  /** `general.name`. */
  name?: string
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
  const u32 = (value: number): TypedValue => ({ type: 'u32', value })
  const text = (value: string): TypedValue => ({ type: 'string', value })
  const headDim = shape.headDim ?? shape.hidden / shape.heads
  return new Map<string, TypedValue>([
    ['general.architecture', text('llama')],
    ['general.name', text(name)],
    ['llama.block_count', u32(shape.layers)],
    ['llama.context_length', u32(shape.context)],
    ['llama.embedding_length', u32(shape.hidden)],
    ['llama.feed_forward_length', u32(shape.feedForward)],
    ['llama.attention.head_count', u32(shape.heads)],
    ['llama.attention.head_count_kv', u32(shape.kvHeads)],
    ['llama.attention.key_length', u32(headDim)],
    ['llama.attention.value_length', u32(headDim)],
    ['llama.attention.layer_norm_rms_epsilon', { type: 'f32', value: 1e-5 }],
    ['llama.rope.dimension_count', u32(headDim)],
    ['llama.rope.freq_base', { type: 'f32', value: shape.theta ?? 10_000 }],
    ['llama.vocab_size', u32(shape.vocab)],
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

const specOf = (shape: RandomShape): ModelSpec => {
  const headDim = shape.headDim ?? shape.hidden / shape.heads
  const { layers, hidden, heads, kvHeads, feedForward, vocab, context, tiedHead } = shape
  const rope = { theta: shape.theta ?? 10_000, dim: headDim, interleaved: true }
  const head = { heads, kvHeads, headDim }
  const normEpsilon = 1e-5
  return {
    family: 'llama',
    layers,
    hidden,
    ...head,
    feedForward,
    vocab,
    context,
    normEpsilon,
    rope,
    tiedHead,
  }
}

/** Norm weights about 1, matrices about N(0, 1/columns): activations stay sane. */
const randomTensor = (
  record: ExpectedRecord,
  { name, rows, columns }: { name: string; rows: number; columns: number },
  type: TensorType,
  seed: number,
): NewTensor => {
  const full = ggufName(record, name)
  const words = noise(seed, full)
  if (rows === 1)
    return {
      name: full,
      type: F32,
      shape: [columns],
      data: () => randomFloats(F32, columns, words, { mean: 1, deviation: 0.1 }),
    }
  const options = { mean: 0, deviation: 1 / Math.sqrt(columns) }
  const data = () =>
    type.form
      ? randomQuantized(type, rows * columns, words, options.deviation)
      : randomFloats(type, rows * columns, words, options)
  return { name: full, type, shape: [columns, rows], data }
}

/**
 * Writes a random Llama model as a GGUF file, a few MB at a time. Equal arguments give
 * equal bytes.
 * @throws RangeError for shapes that are no model
 */
export const writeRandomModel = async (
  sink: ByteSink,
  shape: RandomShape,
  options: RandomOptions = {},
): Promise<void> => {
  const spec = specOf(shape)
  const { seed = 1, types = {}, type = 'Q4_0', name = 'random' } = options
  const tensors = modelRecords(spec).flatMap((record) =>
    record.tensors.map((tensor) =>
      randomTensor(record, tensor, typeByName(types[tensor.name] ?? type), seed),
    ),
  )
  if (shape.ropeFactors) tensors.push(floatTensor('rope_freqs.weight', shape.ropeFactors))
  await writeGguf(sink, metadataOf(shape, name), tensors)
}
