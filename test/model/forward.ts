/**
 * A model's forward pass as its definition reads: plain loops over dequantized weights, fp32
 * activations, fp64 sums. Slow, and independent of the engine and of the import.
 */
import { readGguf } from '../../services/model/gguf.ts'
import { dequantize } from '../../services/model/quants.ts'
import type { ByteSource } from '../../services/model/source.ts'

export type Matrix = { rows: number; columns: number; values: Float32Array }

const dot = (a: Float32Array, at: number, b: Float32Array, bt: number, n: number): number => {
  let sum = 0
  for (let i = 0; i < n; i++) sum += (a[at + i] as number) * (b[bt + i] as number)
  return sum
}

const multiply = (m: Matrix, x: Float32Array): Float32Array =>
  Float32Array.from({ length: m.rows }, (_, r) => dot(m.values, r * m.columns, x, 0, m.columns))

const add = (a: Float32Array, b: Float32Array): Float32Array =>
  a.map((v, i) => v + (b[i] as number))

const rmsNorm = (x: Float32Array, weight: Float32Array, epsilon: number): Float32Array => {
  const scale = 1 / Math.sqrt(dot(x, 0, x, 0, x.length) / x.length + epsilon)
  return x.map((v, i) => v * scale * (weight[i] as number))
}

/** How a layer rotates. */
export type Rotation = {
  dim: number
  theta: number
  factor: (i: number) => number
  magnitude: number
  /** Pairs are neighbours; otherwise element i goes with element i + dim / 2. */
  neighbours: boolean
}

/** Turns the pairs of each head's first `dim` elements, in place. */
const rotate = (x: Float32Array, position: number, headDim: number, r: Rotation): void => {
  for (let head = 0; head < x.length; head += headDim)
    for (let i = 0; i < r.dim / 2; i++) {
      const angle = (position * r.theta ** ((-2 * i) / r.dim)) / r.factor(i)
      const cos = Math.cos(angle) * r.magnitude
      const sin = Math.sin(angle) * r.magnitude
      const first = head + (r.neighbours ? 2 * i : i)
      const second = r.neighbours ? first + 1 : first + r.dim / 2
      const a = x[first] as number
      const b = x[second] as number
      x[first] = a * cos - b * sin
      x[second] = a * sin + b * cos
    }
}

const silu = (x: number): number => x / (1 + Math.exp(-x))
const gelu = (x: number): number =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
const capped = (x: number, cap: number): number => (cap > 0 ? cap * Math.tanh(x / cap) : x)

const softmax = (scores: number[]): number[] => {
  const top = scores.reduce((a, b) => Math.max(a, b))
  const powers = scores.map((s) => Math.exp(s - top))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((p) => p / sum)
}

/** Natural-log probabilities from logits. */
export const logSoftmax = (logits: Float32Array): Float64Array => {
  const top = logits.reduce((a, b) => Math.max(a, b))
  const sum = logits.reduce((a, l) => a + Math.exp(l - top), 0)
  return Float64Array.from(logits, (l) => l - top - Math.log(sum))
}

/** A model: its constants, and its weights under GGUF's names. */
export type Weights = {
  layers: number
  heads: number
  kvHeads: number
  headDim: number
  epsilon: number
  gelu: boolean
  embeddingScale: number
  attentionScale: number
  /** 0: none. */
  attentionSoftcap: number
  logitSoftcap: number
  rotation: (layer: number) => Rotation
  /** How many positions a row of this layer sees. */
  window: (layer: number) => number
  tensors: Map<string, Matrix>
}

/** Constants as the families' definitions have them; nothing of the import is used. */
const constants = (
  architecture: string,
  key: (name: string, fallback?: number) => number,
  tensors: Map<string, Matrix>,
): Omit<Weights, 'tensors'> => {
  const layers = key('block_count')
  const heads = key('attention.head_count')
  const hidden = key('embedding_length')
  const headDim = key('attention.key_length', hidden / heads)
  const gemma = architecture.startsWith('gemma')
  const gemma2 = architecture === 'gemma2'
  const gemma3 = architecture === 'gemma3'
  const everything = (layer: number) => (gemma2 && layer % 2 === 1) || (gemma3 && layer % 6 === 5)
  const wide = (gemma2 && layers === 46) || (gemma3 && layers === 62)
  const window = key('attention.sliding_window', gemma2 ? 4_096 : 0)
  const short = tensors.get('rope_factors_short.weight')
  const factors = short ?? tensors.get('rope_freqs.weight')
  const linear = key('rope.scaling.factor', 1)
  const base = { dim: key('rope.dimension_count', headDim), neighbours: architecture === 'llama' }
  return {
    layers,
    heads,
    kvHeads: key('attention.head_count_kv', heads),
    headDim,
    epsilon: key('attention.layer_norm_rms_epsilon'),
    gelu: gemma,
    embeddingScale: gemma ? Math.sqrt(hidden) : 1,
    attentionScale: 1 / Math.sqrt(wide ? hidden / heads : headDim),
    attentionSoftcap: key('attn_logit_softcapping', gemma2 ? 50 : 0),
    logitSoftcap: key('final_logit_softcapping', gemma2 ? 30 : 0),
    window: (layer) => (window === 0 || everything(layer) ? Number.POSITIVE_INFINITY : window),
    rotation: (layer) =>
      gemma3 && !everything(layer)
        ? { ...base, theta: 10_000, factor: () => 1, magnitude: 1 }
        : {
            ...base,
            theta: key('rope.freq_base', gemma3 ? 1_000_000 : 10_000),
            factor: (i) => factors?.values[i] ?? linear,
            magnitude: short ? key('rope.scaling.attn_factor', 1) : 1,
          },
  }
}

/** Reads and dequantizes a whole GGUF file. */
const readWeights = async (source: ByteSource): Promise<Weights> => {
  const gguf = await readGguf(source)
  const tensors = new Map<string, Matrix>()
  for (const { name, type, rows, columns, offset, bytes } of gguf.tensors.values()) {
    const data = await source.read(offset, bytes)
    tensors.set(name, { rows, columns, values: dequantize(type, data, rows * columns) })
  }
  const architecture = String(gguf.metadata.get('general.architecture'))
  const key = (name: string, fallback?: number): number => {
    const value = gguf.metadata.get(`${architecture}.${name}`) ?? fallback
    if (typeof value !== 'number') throw new Error(`no key ${name}`)
    return value
  }
  return { ...constants(architecture, key, tensors), tensors }
}

/** A model with its whole KV cache in memory; every `forward` continues the sequence. */
export class ReferenceModel {
  readonly #weights: Weights
  readonly #cache: { k: Float32Array[]; v: Float32Array[] }[]
  #position = 0

  constructor(weights: Weights) {
    this.#weights = weights
    this.#cache = Array.from({ length: weights.layers }, () => ({ k: [], v: [] }))
  }

  /** Reads a GGUF file of any family. */
  static async open(source: ByteSource): Promise<ReferenceModel> {
    return new ReferenceModel(await readWeights(source))
  }

  #tensor(name: string): Matrix {
    const matrix = this.#weights.tensors.get(name)
    if (!matrix) throw new Error(`no tensor ${name}`)
    return matrix
  }

  /** Forgets the sequence. */
  reset(): void {
    this.#position = 0
    for (const cache of this.#cache) cache.k.length = cache.v.length = 0
  }

  /** @returns the logits after each of `ids` */
  forward(ids: readonly number[]): Float32Array[] {
    const { embeddingScale, layers, logitSoftcap, tensors } = this.#weights
    return ids.map((id) => {
      const embedding = this.#tensor('token_embd.weight')
      const width = embedding.columns
      let x: Float32Array = embedding.values.slice(id * width, (id + 1) * width)
      x = x.map((v) => v * embeddingScale)
      for (let layer = 0; layer < layers; layer++) x = this.#layer(layer, x)
      this.#position++
      const head = tensors.get('output.weight') ?? embedding
      return multiply(head, this.#norm('output_norm', x)).map((l) => capped(l, logitSoftcap))
    })
  }

  #norm(name: string, x: Float32Array): Float32Array {
    return rmsNorm(x, this.#tensor(`${name}.weight`).values, this.#weights.epsilon)
  }

  /** Normalizes where the model has such a norm. */
  #ifNorm(name: string, x: Float32Array): Float32Array {
    return this.#weights.tensors.has(`${name}.weight`) ? this.#norm(name, x) : x
  }

  /** Normalizes each head where the model has such a norm. */
  #headNorm(name: string, x: Float32Array): Float32Array {
    const { headDim } = this.#weights
    const heads = Array.from({ length: x.length / headDim }, (_, h) =>
      this.#ifNorm(name, x.subarray(h * headDim, (h + 1) * headDim)),
    )
    return Float32Array.from(heads.flatMap((head) => [...head]))
  }

  #product(name: string, x: Float32Array): Float32Array {
    const bias = this.#weights.tensors.get(`${name}.bias`)
    const product = multiply(this.#tensor(`${name}.weight`), x)
    return bias ? add(product, bias.values) : product
  }

  #qkv(block: string, x: Float32Array): Float32Array[] {
    if (!this.#weights.tensors.has(`${block}attn_qkv.weight`))
      return ['attn_q', 'attn_k', 'attn_v'].map((name) => this.#product(block + name, x))
    const all = this.#product(`${block}attn_qkv`, x)
    const queries = this.#weights.heads * this.#weights.headDim
    const keys = this.#weights.kvHeads * this.#weights.headDim
    return [all.slice(0, queries), all.slice(queries, queries + keys), all.slice(queries + keys)]
  }

  #gateUp(block: string, x: Float32Array): Float32Array[] {
    if (this.#weights.tensors.has(`${block}ffn_gate.weight`))
      return ['ffn_gate', 'ffn_up'].map((name) => this.#product(block + name, x))
    const both = this.#product(`${block}ffn_up`, x)
    return [both.slice(0, both.length / 2), both.slice(both.length / 2)]
  }

  #layer(index: number, x: Float32Array): Float32Array {
    const block = `blk.${index}.`
    const a = this.#norm(`${block}attn_norm`, x)
    const [q, k, v] = this.#qkv(block, a) as [Float32Array, Float32Array, Float32Array]
    const attended = this.#attention(
      index,
      this.#headNorm(`${block}attn_q_norm`, q),
      this.#headNorm(`${block}attn_k_norm`, k),
      v,
    )
    const outcome = this.#product(`${block}attn_output`, attended)
    const middle = add(x, this.#ifNorm(`${block}post_attention_norm`, outcome))
    const f = this.#norm(`${block}ffn_norm`, middle)
    const [gate, up] = this.#gateUp(block, f) as [Float32Array, Float32Array]
    const activation = this.#weights.gelu ? gelu : silu
    const gated = gate.map((g, i) => activation(g) * (up[i] as number))
    const down = this.#product(`${block}ffn_down`, gated)
    return add(middle, this.#ifNorm(`${block}post_ffw_norm`, down))
  }

  #attention(index: number, q: Float32Array, k: Float32Array, v: Float32Array): Float32Array {
    const { heads, kvHeads, headDim, attentionScale, attentionSoftcap } = this.#weights
    const rotation = this.#weights.rotation(index)
    rotate(q, this.#position, headDim, rotation)
    rotate(k, this.#position, headDim, rotation)
    const cache = this.#cache[index] as { k: Float32Array[]; v: Float32Array[] }
    cache.k.push(k)
    cache.v.push(v)
    const from = Math.max(0, this.#position + 1 - this.#weights.window(index))
    const out = new Float32Array(q.length)
    for (let head = 0; head < heads; head++) {
      const shared = Math.floor(head / (heads / kvHeads)) * headDim
      const scores = cache.k
        .slice(from)
        .map((key) =>
          capped(dot(q, head * headDim, key, shared, headDim) * attentionScale, attentionSoftcap),
        )
      const weights = softmax(scores)
      for (let i = 0; i < headDim; i++) {
        let sum = 0
        for (const [p, weight] of weights.entries())
          sum += weight * ((cache.v[from + p] as Float32Array)[shared + i] as number)
        out[head * headDim + i] = sum
      }
    }
    return out
  }
}
