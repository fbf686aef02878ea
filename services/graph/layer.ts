/**
 * One decoder layer as an ONNX graph, after Llama (arXiv 2302.13971): RMS norm, rotary
 * grouped-query attention, RMS norm, gated feed-forward, with residual sums.
 *
 * Inputs   x         [T, hidden]     rows of all segments, T = batch · rows each
 *          positions [1, T] int64    position of each row
 *          shape     [3] int64       (batch, rows each, −1)
 *          cos, sin  [M, dim / 2]    rotary tables
 *          pastK/V   [batch, kvHeads, capacity, headDim]
 *          lengths   [batch] int32   positions with this visit's, less one
 *          total     [1] int32       the longest sequence's positions with this visit's
 * Outputs  y         [T, hidden]
 *          newK, newV [1, T, kvHeads · headDim]   the rows that the caller adds to its cache
 *
 * The cache itself is never fetched: the binding copies every output whole. Rotating K
 * outside of the attention node gives the new rows at no cost, also where the sequences of
 * a batch stand at different positions.
 */
import type { ModelSpec } from '../model/spec.ts'
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
  attentionNorm: Float32Array
  feedForwardNorm: Float32Array
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

/**
 * Encodes a layer's graph.
 * @param file name of the runtime file, beside the model
 */
export const encodeLayer = (
  spec: ModelSpec,
  plan: LayerPlan,
  arithmetic: Arithmetic,
  file: string,
): Uint8Array => {
  const g = new GraphBuilder()
  const m = new MatrixBuilder(g, file, arithmetic)
  const epsilon = { epsilon: { float: spec.normEpsilon } }
  g.input('x', DataType.float, ['T', spec.hidden])
  g.input('positions', DataType.int64, [1, 'T'])
  g.input('shape', DataType.int64, [3])
  g.input('cos', DataType.float, ['M', spec.rope.dim / 2])
  g.input('sin', DataType.float, ['M', spec.rope.dim / 2])
  const attentionNorm = m.vector('attention_norm', plan.attentionNorm)
  const [normed] = g.node('SimplifiedLayerNormalization', ['x', attentionNorm], {
    attributes: { ...epsilon, axis: -1 },
  })
  const attention = attend(g, spec, products(g, m, normed, plan.qkv))
  const projected = m.product(attention, plan.output)
  const feedForwardNorm = m.vector('feed_forward_norm', plan.feedForwardNorm)
  const [normed2, , , residual] = g.node(
    'SkipSimplifiedLayerNormalization',
    ['x', projected, feedForwardNorm],
    {
      domain: MICROSOFT,
      outputs: [g.name('normed'), '', '', g.name('residual')],
      attributes: epsilon,
    },
  )
  const [gate, up] = products(g, m, normed2, plan.gateUp)
  // SiLU is QuickGelu with alpha 1, in one kernel.
  const [activated] = g.node('QuickGelu', [gate as string], {
    domain: MICROSOFT,
    attributes: { alpha: { float: 1 } },
  })
  const [gated] = g.node('Mul', [activated, up as string])
  g.node('Add', [residual as string, m.product(gated, plan.down)], { outputs: ['y'] })
  g.output('y', DataType.float, ['T', spec.hidden])
  return g.encode('layer')
}

/** Rotary grouped-query attention over the cache. @returns `[T, heads · headDim]` */
const attend = (g: GraphBuilder, spec: ModelSpec, qkv: readonly string[]): string => {
  const [q, k, v] = qkv as [string, string, string]
  const kvWidth = spec.kvHeads * spec.headDim
  const cache = ['batch', spec.kvHeads, 'capacity', spec.headDim]
  g.input('pastK', DataType.float, cache)
  g.input('pastV', DataType.float, cache)
  g.input('lengths', DataType.int32, ['batch'])
  g.input('total', DataType.int32, [1])
  const rows = (x: string, width: number): string =>
    g.node('Reshape', [x, ints(g, 'rows', [1, -1, width])])[0]
  const rotate = (x: string, heads: number, output: string): string =>
    g.node('RotaryEmbedding', [x, 'positions', 'cos', 'sin'], {
      domain: MICROSOFT,
      outputs: [output],
      attributes: {
        interleaved: spec.rope.interleaved ? 1 : 0,
        num_heads: heads,
        ...(spec.rope.dim === spec.headDim ? {} : { rotary_embedding_dim: spec.rope.dim }),
      },
    })[0]
  const rotatedQ = rotate(rows(q, spec.heads * spec.headDim), spec.heads, g.name('q'))
  const rotatedK = rotate(rows(k, kvWidth), spec.kvHeads, 'newK')
  g.node('Reshape', [v, ints(g, 'rows', [1, -1, kvWidth])], { outputs: ['newV'] })
  g.output('newK', DataType.float, [1, 'T', kvWidth])
  g.output('newV', DataType.float, [1, 'T', kvWidth])
  const batched = (x: string): string => g.node('Reshape', [x, 'shape'])[0]
  const [attention] = g.node(
    'GroupQueryAttention',
    [batched(rotatedQ), batched(rotatedK), batched('newV'), 'pastK', 'pastV', 'lengths', 'total'],
    {
      domain: MICROSOFT,
      outputs: 3,
      attributes: { num_heads: spec.heads, kv_num_heads: spec.kvHeads },
    },
  )
  return g.node('Reshape', [attention, ints(g, 'flat', [-1, spec.heads * spec.headDim])])[0]
}
