/**
 * One decoder layer as an ONNX graph, after Llama (arXiv 2302.13971): RMS norm, rotary
 * grouped-query attention, RMS norm, gated feed-forward, with residual sums. How other
 * families differ is data in their `ModelSpec`.
 *
 * Inputs   x         [T, hidden]     rows of all segments, T = batch · rows each
 *          positions [1, T] int64    position of each row
 *          shape     [3] int64       (batch, rows each, −1)
 *          cos, sin  [M, dim / 2]    rotary tables
 *          pastK/V   [batch, kvHeads, capacity, headDim]
 *          lengths   [batch] int32   positions of each sequence after this visit, less one
 *          total     [1] int32       positions of the longest sequence after this visit
 * Outputs  y         [T, hidden]
 *          newK, newV [1, T, kvHeads · headDim]   the rows that the caller adds to its cache
 *
 * The cache itself is never an output, since the binding copies every output whole. K is rotated
 * before the attention node, so the new rows are there at no cost, also where the sequences of a
 * batch are at different positions.
 */
import { layerRope, layerWindow, type ModelSpec } from '../model/spec.ts'
import type { Arithmetic } from '../ports.ts'
import type { MatrixPlan } from './forms.ts'
import { MatrixBuilder } from './matrix.ts'
import { DataType, GraphBuilder } from './onnx.ts'

/** A layer's weights as planned: matrices in the runtime file, vectors by value. */
export type LayerPlan = {
  /** q, k, v stacked as far as their forms agree, in this order. */
  qkv: MatrixPlan[]
  output: MatrixPlan
  /** gate, up stacked as far as their forms agree. */
  gateUp: MatrixPlan[]
  down: MatrixPlan
  /** A vector of the record by its name: norms and biases. */
  vector: (name: string) => Float32Array
}

const MICROSOFT = 'com.microsoft'

const ints = (g: GraphBuilder, hint: string, values: readonly number[]): string =>
  g.constant(hint, DataType.int64, [values.length], BigInt64Array.from(values.map(BigInt)))

/** Splits the last axis of a `[rows, sum(parts)]` value. */
const split = (g: GraphBuilder, x: string, parts: readonly number[]): string[] =>
  parts.length === 1
    ? [x]
    : g.node('Split', [x, ints(g, 'parts', parts)], {
        outputs: parts.length,
        attributes: { axis: 1 },
      })

/** Computes stacked products and gives each tensor's own result, in order. */
const products = (
  g: GraphBuilder,
  matrices: MatrixBuilder,
  x: string,
  plans: readonly MatrixPlan[],
): string[] => plans.flatMap((plan) => split(g, matrices.product(x, plan), plan.tensorRows))

/** What the builders of a layer's parts share. */
type Site = {
  g: GraphBuilder
  m: MatrixBuilder
  spec: ModelSpec
  layer: number
  plan: LayerPlan
}

/** RMS norm over the last axis. */
const norm = ({ g, m, spec, plan }: Site, x: string, weight: string): string =>
  g.node('SimplifiedLayerNormalization', [x, m.vector(weight, plan.vector(weight))], {
    attributes: { epsilon: { float: spec.normEpsilon }, axis: -1 },
  })[0]

/**
 * Encodes a layer's graph.
 * @param layer its index: some families' layers differ in window and rotation
 * @param file name of the runtime file, beside the model
 */
export const encodeLayer = (
  spec: ModelSpec,
  layer: number,
  plan: LayerPlan,
  arithmetic: Arithmetic,
  file: string,
): Uint8Array => {
  const g = new GraphBuilder()
  const m = new MatrixBuilder(g, file, arithmetic)
  const site: Site = { g, m, spec, layer, plan }
  const { dim } = layerRope(spec, layer)
  g.input('x', DataType.float, ['T', spec.hidden])
  g.input('positions', DataType.int64, [1, 'T'])
  g.input('shape', DataType.int64, [3])
  g.input('cos', DataType.float, ['M', dim / 2])
  g.input('sin', DataType.float, ['M', dim / 2])
  const [q, k, v] = products(g, m, norm(site, 'x', 'attn_norm'), plan.qkv)
  const attention = attend(site, q as string, k as string, v as string)
  let projected = m.product(attention, plan.output)
  if (spec.postNorms) projected = norm(site, projected, 'post_attention_norm')
  const [normed, , , residual] = g.node(
    'SkipSimplifiedLayerNormalization',
    ['x', projected, m.vector('ffn_norm', plan.vector('ffn_norm'))],
    {
      domain: MICROSOFT,
      outputs: [g.name('normed'), '', '', g.name('residual')],
      attributes: { epsilon: { float: spec.normEpsilon } },
    },
  )
  let fed = feedForward(site, normed)
  if (spec.postNorms) fed = norm(site, fed, 'post_ffw_norm')
  g.node('Add', [residual as string, fed], { outputs: ['y'] })
  g.output('y', DataType.float, ['T', spec.hidden])
  return g.encode('layer')
}

/** Gated feed-forward: down(activation(gate(x)) · up(x)). */
const feedForward = ({ g, m, spec, plan }: Site, x: string): string => {
  const [gate, up] = products(g, m, x, plan.gateUp)
  const [activated] =
    spec.activation === 'gelu'
      ? g.node('Gelu', [gate as string], { attributes: { approximate: 'tanh' } })
      : // SiLU is QuickGelu with alpha 1, in one kernel.
        g.node('QuickGelu', [gate as string], {
          domain: MICROSOFT,
          attributes: { alpha: { float: 1 } },
        })
  return m.product(g.node('Mul', [activated, up as string])[0], plan.down)
}

/** Rotary grouped-query attention over the cache. @returns `[T, heads · headDim]` */
const attend = (site: Site, q: string, k: string, v: string): string => {
  const { g, spec, layer } = site
  const kvWidth = spec.kvHeads * spec.headDim
  const cache = ['batch', spec.kvHeads, 'capacity', spec.headDim]
  g.input('pastK', DataType.float, cache)
  g.input('pastV', DataType.float, cache)
  g.input('lengths', DataType.int32, ['batch'])
  g.input('total', DataType.int32, [1])
  const queries = rotated(site, q, 'attn_q', spec.heads, g.name('q'))
  const keys = rotated(site, k, 'attn_k', spec.kvHeads, 'newK')
  g.node('Reshape', [biased(site, v, 'attn_v'), ints(g, 'rows', [1, -1, kvWidth])], {
    outputs: ['newV'],
  })
  g.output('newK', DataType.float, [1, 'T', kvWidth])
  g.output('newV', DataType.float, [1, 'T', kvWidth])
  const batched = (x: string): string => g.node('Reshape', [x, 'shape'])[0]
  const window = layerWindow(spec, layer)
  const [attention] = g.node(
    'GroupQueryAttention',
    [batched(queries), batched(keys), batched('newV'), 'pastK', 'pastV', 'lengths', 'total'],
    {
      domain: MICROSOFT,
      outputs: 3,
      attributes: {
        num_heads: spec.heads,
        kv_num_heads: spec.kvHeads,
        ...(spec.attentionScale !== undefined && { scale: { float: spec.attentionScale } }),
        ...(spec.attentionSoftcap !== undefined && { softcap: { float: spec.attentionSoftcap } }),
        ...(window !== undefined && { local_window_size: window }),
      },
    },
  )
  return g.node('Reshape', [attention, ints(g, 'flat', [-1, spec.heads * spec.headDim])])[0]
}

const biased = ({ g, m, spec, plan }: Site, x: string, name: string): string =>
  spec.qkvBias ? g.node('Add', [x, m.vector(name, plan.vector(`${name}_bias`))])[0] : x

/** Bias, norm of each head, and rotation, where the family has them. @returns `[1, T, width]` */
const rotated = (site: Site, x: string, name: string, heads: number, output: string): string => {
  const { g, spec, layer } = site
  const rope = layerRope(spec, layer)
  let value = biased(site, x, name)
  if (spec.headNorms) {
    const [each] = g.node('Reshape', [value, ints(g, 'heads', [-1, spec.headDim])])
    value = norm(site, each, `${name}_norm`)
  }
  const [rows] = g.node('Reshape', [value, ints(g, 'rows', [1, -1, heads * spec.headDim])])
  return g.node('RotaryEmbedding', [rows, 'positions', 'cos', 'sin'], {
    domain: MICROSOFT,
    outputs: [output],
    attributes: {
      interleaved: rope.interleaved ? 1 : 0,
      num_heads: heads,
      ...(rope.dim === spec.headDim ? {} : { rotary_embedding_dim: rope.dim }),
    },
  })[0]
}
