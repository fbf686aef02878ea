/** What a model is: its shapes and constants, and the manifest under which it is stored. */

/**
 * A decoder-only model's shapes and constants. All counts are in elements.
 * Names are the field's; a GGUF file has them as `llama.*` keys.
 */
export type ModelSpec = {
  /** The family, as `general.architecture` names it. */
  family: string
  layers: number
  /** Width of the residual stream. */
  hidden: number
  /** Query heads. */
  heads: number
  /** Key and value heads (grouped-query attention when fewer than `heads`). */
  kvHeads: number
  headDim: number
  feedForward: number
  vocab: number
  /** Positions that the model was made for. */
  context: number
  /** Epsilon of the RMS norms. */
  normEpsilon: number
  rope: RopeSpec
  /** Whether the head shares the embedding's matrix. */
  tiedHead: boolean
  // What follows is absent where the family is plain Llama.
  /** Q, K and V have biases: vectors `attn_q_bias`, `attn_k_bias`, `attn_v_bias`. */
  qkvBias?: true
  /** Each head of Q and K is RMS-normalized before RoPE: vectors `attn_q_norm`, `attn_k_norm`. */
  headNorms?: true
  /**
   * What attention and feed-forward give is RMS-normalized before it is added to the
   * residual stream: vectors `post_attention_norm`, `post_ffw_norm`.
   */
  postNorms?: true
  /** The gate's activation: GELU in its tanh form; absent: SiLU. */
  activation?: 'gelu'
  /** The embedding's rows are multiplied by this. */
  embeddingScale?: number
  /** The attention's scores are multiplied by this; absent: `1 / √headDim`. */
  attentionScale?: number
  /** Scores s become `cap · tanh(s / cap)` before the softmax. */
  attentionSoftcap?: number
  /** The same for logits. */
  logitSoftcap?: number
  window?: WindowSpec
}

/** Layers that see only the last positions. */
export type WindowSpec = {
  /** Positions that a row attends to, its own included. */
  size: number
  /** Which layers, from 0, ascending. */
  layers: number[]
  /** Their rotation where it is another than the other layers'. */
  rope?: RopeSpec
}

/** How many positions a layer's rows attend to, the own included; undefined: all. */
export const layerWindow = (spec: ModelSpec, layer: number): number | undefined =>
  spec.window?.layers.includes(layer) ? spec.window.size : undefined

/** A layer's rotation. */
export const layerRope = (spec: ModelSpec, layer: number): RopeSpec =>
  (spec.window?.layers.includes(layer) && spec.window.rope) || spec.rope

/** Rotary position embedding: `angle(position, i) = position · theta^(−2i/dim) / factors[i]`. */
export type RopeSpec = {
  theta: number
  /** Dimensions of a head that are rotated (even). */
  dim: number
  /** Pairs are neighbours (GGUF `llama`) or halves (safetensors). */
  interleaved: boolean
  /** Divisors of the frequencies, `dim / 2` of them (Llama 3's scaling); absent: all 1. */
  factors?: number[]
  /** Cosines and sines are multiplied by this (LongRoPE); absent: 1. */
  magnitude?: number
}

/** What a record holds. */
export type RecordKind = 'embedding' | 'layer' | 'head'

/** A reference to one weight record; its content is addressed by its hash. */
export type RecordRef = {
  kind: RecordKind
  /** For `layer`: its index from 0. */
  layer?: number
  /** SHA-256 of the whole record, in hex. */
  sha256: string
  bytes: number
  /** Bytes that the tensors take at run time in 4- or 8-bit blocks (exact forms). */
  runtimeBytes: number
}

/** What the tokenizer and the chat template need, in the form their libraries read. */
export type TextSpec = {
  /** `tokenizer.json` of `@huggingface/tokenizers`. */
  tokenizer: unknown
  /** `tokenizer_config.json` of the same. */
  tokenizerConfig: unknown
  /** Jinja source; absent where the file has none. */
  chatTemplate?: string
  /** Conversations get a plain form, since a person wants it in place of the template. */
  plainChat?: boolean
  bosToken?: string
  eosToken?: string
  /** Tokens that end an answer. */
  endIds: number[]
  /** Whether a plain prompt starts with the beginning-of-text token. */
  addBos: boolean
  bosId?: number
  /**
   * Words (case folded) that stand beside names in what the model was taught, so that any other
   * word beside one belongs to it; the file's own key `mdi.beside_names`.
   */
  besideNames?: string[]
  /**
   * The least probability, from 0 to 1, that the model must give its own line of intent for it to
   * be carried out; the file's own key `mdi.intent_probability`.
   */
  intentProbability?: number
}

/** A model as it is stored: everything but the weights, and where those are. */
export type Manifest = {
  /** The name by which a person calls it. */
  name: string
  spec: ModelSpec
  text: TextSpec
  records: RecordRef[]
  /**
   * Where it came from: a file's name and its SHA-256 if it was computed; `identity` tells
   * its content from any other (see `identityOf`).
   */
  source: { file: string; sha256?: string; identity?: string; bytes: number }
  /** Parameters, counted from the tensors' shapes. */
  parameters: number
  /** Tensor types and how many of each. */
  types: Record<string, number>
}
