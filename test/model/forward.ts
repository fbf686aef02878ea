/**
 * A Llama forward pass as its definition reads: plain loops over dequantized weights, fp32
 * activations, fp64 sums. Slow, and independent of the engine and of the import.
 */
import { type GgufFile, readGguf } from '../../services/model/gguf.ts'
import { dequantize } from '../../services/model/quants.ts'
import type { ByteSource } from '../../services/model/source.ts'

type Matrix = { rows: number; columns: number; values: Float32Array }

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

/** Turns neighbouring pairs of each head's first `dim` elements, in place. */
const rotate = (
  x: Float32Array,
  position: number,
  {
    headDim,
    dim,
    theta,
    factors,
  }: { headDim: number; dim: number; theta: number; factors: Float32Array | undefined },
): void => {
  for (let head = 0; head < x.length; head += headDim)
    for (let i = 0; i < dim / 2; i++) {
      const angle = (position * theta ** ((-2 * i) / dim)) / (factors?.[i] ?? 1)
      const a = x[head + 2 * i] as number
      const b = x[head + 2 * i + 1] as number
      x[head + 2 * i] = a * Math.cos(angle) - b * Math.sin(angle)
      x[head + 2 * i + 1] = a * Math.sin(angle) + b * Math.cos(angle)
    }
}

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

/** A model with its whole KV cache in memory; every `forward` continues the sequence. */
export class ReferenceModel {
  readonly #tensors: Map<string, Matrix>
  readonly #keys: GgufFile['metadata']
  readonly #cache: { k: Float32Array[]; v: Float32Array[] }[]
  #position = 0

  private constructor(keys: GgufFile['metadata'], tensors: Map<string, Matrix>) {
    this.#keys = keys
    this.#tensors = tensors
    this.#cache = Array.from({ length: this.#key('block_count') }, () => ({ k: [], v: [] }))
  }

  /** Reads and dequantizes a whole GGUF file of the architecture `llama`. */
  static async open(source: ByteSource): Promise<ReferenceModel> {
    const gguf = await readGguf(source)
    const tensors = new Map<string, Matrix>()
    for (const { name, type, rows, columns, offset, bytes } of gguf.tensors.values()) {
      const data = await source.read(offset, bytes)
      tensors.set(name, { rows, columns, values: dequantize(type, data, rows * columns) })
    }
    return new ReferenceModel(gguf.metadata, tensors)
  }

  #key(name: string, fallback?: number): number {
    const value = this.#keys.get(`llama.${name}`) ?? fallback
    if (typeof value !== 'number') throw new Error(`no llama.${name}`)
    return value
  }

  #tensor(name: string): Matrix {
    const matrix = this.#tensors.get(`${name}.weight`)
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
    return ids.map((id) => {
      const embedding = this.#tensor('token_embd')
      const width = embedding.columns
      let x: Float32Array = embedding.values.slice(id * width, (id + 1) * width)
      for (const layer of this.#cache.keys()) x = this.#layer(layer, x)
      this.#position++
      const head = this.#tensors.has('output.weight') ? this.#tensor('output') : embedding
      return multiply(head, this.#norm('output_norm', x))
    })
  }

  #norm(name: string, x: Float32Array): Float32Array {
    return rmsNorm(x, this.#tensor(name).values, this.#key('attention.layer_norm_rms_epsilon'))
  }

  #layer(index: number, x: Float32Array): Float32Array {
    const block = `blk.${index}.`
    const product = (name: string, input: Float32Array) =>
      multiply(this.#tensor(block + name), input)
    const a = this.#norm(`${block}attn_norm`, x)
    const attended = this.#attention(
      index,
      product('attn_q', a),
      product('attn_k', a),
      product('attn_v', a),
    )
    const middle = add(x, product('attn_output', attended))
    const f = this.#norm(`${block}ffn_norm`, middle)
    const up = product('ffn_up', f)
    const gated = product('ffn_gate', f).map((g, i) => (g / (1 + Math.exp(-g))) * (up[i] as number))
    return add(middle, product('ffn_down', gated))
  }

  #attention(index: number, q: Float32Array, k: Float32Array, v: Float32Array): Float32Array {
    const heads = this.#key('attention.head_count')
    const kvHeads = this.#key('attention.head_count_kv', heads)
    const headDim = q.length / heads
    const rope = {
      headDim,
      dim: this.#key('rope.dimension_count', headDim),
      theta: this.#key('rope.freq_base', 10_000),
      factors: this.#tensors.get('rope_freqs.weight')?.values,
    }
    rotate(q, this.#position, rope)
    rotate(k, this.#position, rope)
    const cache = this.#cache[index] as { k: Float32Array[]; v: Float32Array[] }
    cache.k.push(k)
    cache.v.push(v)
    const out = new Float32Array(q.length)
    for (let head = 0; head < heads; head++) {
      const shared = Math.floor(head / (heads / kvHeads)) * headDim
      const scores = cache.k.map(
        (key) => dot(q, head * headDim, key, shared, headDim) / Math.sqrt(headDim),
      )
      const weights = softmax(scores)
      for (let i = 0; i < headDim; i++) {
        let sum = 0
        for (const [p, weight] of weights.entries())
          sum += weight * ((cache.v[p] as Float32Array)[shared + i] as number)
        out[head * headDim + i] = sum
      }
    }
    return out
  }
}
