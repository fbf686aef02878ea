/**
 * A model that says what it is told to: real weights in a real file, so that a whole ring can be
 * made to answer anything. Its layers add nothing; each token is a vector of its own, and the
 * head knows, for every vector, which token comes next.
 */
import { type NewTensor, type TypedValue, writeGguf } from '../../services/model/ggufwriter.ts'
import { typeByName } from '../../services/model/quants.ts'

const HIDDEN = 512
const LAYERS = 3
const FEED_FORWARD = 32
const HEAD_DIM = 64
const CONTROL = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']
const END = 2
const F32 = typeByName('F32')

/** Which letter at an utterance's end has which answer. */
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** GPT-2's alphabet: a printable character for every byte. */
const characters = (() => {
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => {
    const own = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
    return String.fromCharCode(own ? byte : next++)
  })
})()

const piece = (text: string): string =>
  [...new TextEncoder().encode(text)].map((byte) => characters[byte]).join('')

/** +1 and −1, the same for the same token; two tokens' products are small beside one's own. */
const vectorOf = (token: number): Float32Array => {
  let state = (token + 1) * 2_654_435_761
  return Float32Array.from({ length: HIDDEN }, () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state & 1 ? 1 : -1
  })
}

const matrix = (name: string, columns: number, rows: readonly Float32Array[] | number) => {
  const count = typeof rows === 'number' ? rows : rows.length
  const values = new Float32Array(columns * count)
  if (typeof rows !== 'number') for (const [i, row] of rows.entries()) values.set(row, i * columns)
  return tensor(name, [columns, count], values)
}
const tensor = (name: string, shape: number[], values: Float32Array): NewTensor => ({
  ...{ name, type: F32, shape },
  data: () => [new Uint8Array(values.buffer)],
})

/**
 * A GGUF file of the Llama family that answers an utterance by its last letter: `A` with the
 * first of `answers`, `B` with the second, and so on.
 * @param beside words that may stand beside a name, besides the letters
 * @param unsure answers beside which another is as probable; the file wants six in ten
 */
export const scriptedModel = async (
  answers: readonly string[],
  beside: readonly string[] = [],
  unsure: readonly number[] = [],
): Promise<Uint8Array> => {
  if (answers.length > LETTERS.length) throw new RangeError('more answers than letters')
  const others = unsure.map((i) => `Or ${answers[i]}`)
  const tokens = [...CONTROL, ...characters, ...[...answers, ...others].map(piece)]
  const vectors = tokens.map((_, token) => vectorOf(token))
  const first = CONTROL.length + characters.length
  const head = tokens.map((_, token) => {
    const row = new Float32Array(HIDDEN)
    const answer = unsure[token - first - answers.length] ?? token - first
    const before = answers.flatMap((_, i) => {
      if (token === END) return [first + i]
      return i === answer ? [CONTROL.length + LETTERS.charCodeAt(i)] : []
    })
    return row.map((_, i) => before.reduce((sum, other) => sum + (vectors[other]?.[i] ?? 0), 0))
  })
  const ones = (name: string) => tensor(name, [HIDDEN], new Float32Array(HIDDEN).fill(1))
  const layer = (i: number): NewTensor[] => {
    const named = (kind: string) => `blk.${i}.${kind}.weight`
    return [
      ones(named('attn_norm')),
      ...['attn_q', 'attn_k', 'attn_v'].map((kind) => matrix(named(kind), HIDDEN, HEAD_DIM)),
      matrix(named('attn_output'), HEAD_DIM, HIDDEN),
      ones(named('ffn_norm')),
      ...['ffn_gate', 'ffn_up'].map((kind) => matrix(named(kind), HIDDEN, FEED_FORWARD)),
      matrix(named('ffn_down'), FEED_FORWARD, HIDDEN),
    ]
  }
  const u32 = (value: number): TypedValue => ({ type: 'u32', value })
  const text = (value: string): TypedValue => ({ type: 'string', value })
  const keys = new Map<string, TypedValue>([
    ['general.architecture', text('llama')],
    ['general.name', text('scripted')],
    ['llama.block_count', u32(LAYERS)],
    ['llama.context_length', u32(1_024)],
    ['llama.embedding_length', u32(HIDDEN)],
    ['llama.feed_forward_length', u32(FEED_FORWARD)],
    ['llama.attention.head_count', u32(1)],
    ['llama.attention.head_count_kv', u32(1)],
    ['llama.attention.key_length', u32(HEAD_DIM)],
    ['llama.attention.value_length', u32(HEAD_DIM)],
    ['llama.attention.layer_norm_rms_epsilon', { type: 'f32', value: 1e-5 }],
    ['llama.rope.dimension_count', u32(HEAD_DIM)],
    ['llama.rope.freq_base', { type: 'f32', value: 10_000 }],
    ['llama.vocab_size', u32(tokens.length)],
    ['tokenizer.ggml.model', text('gpt2')],
    ['tokenizer.ggml.pre', text('smollm')],
    ['tokenizer.ggml.tokens', { type: 'strings', value: tokens }],
    [
      'tokenizer.ggml.token_type',
      { type: 'i32s', value: tokens.map((_, id) => (id < CONTROL.length ? 3 : 1)) },
    ],
    ['tokenizer.ggml.merges', { type: 'strings', value: [] }],
    ['tokenizer.ggml.bos_token_id', u32(1)],
    ['tokenizer.ggml.eos_token_id', u32(END)],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: false }],
    ['tokenizer.chat_template', text("{{ messages[-1]['content'] }}")],
    ['mdi.intent_probability', { type: 'f32', value: 0.6 }],
    ['mdi.beside_names', { type: 'strings', value: [...LETTERS.toLowerCase(), ...beside] }],
  ])
  const tensors = [
    matrix('token_embd.weight', HIDDEN, vectors),
    ...Array.from({ length: LAYERS }, (_, i) => layer(i)).flat(),
    ones('output_norm.weight'),
    matrix('output.weight', HIDDEN, head),
  ]
  const parts: Uint8Array[] = []
  await writeGguf(
    async (bytes) => {
      parts.push(bytes.slice())
    },
    keys,
    tensors,
  )
  return new Uint8Array(Buffer.concat(parts))
}

/** The utterance that gets answer `i`. */
export const cue = (said: string, i: number): string => `${said} ${LETTERS[i]}`
