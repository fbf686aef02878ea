/** Which tensors a model's records hold, under their canonical names, and their shapes. */
import type { ModelSpec, RecordKind } from './spec.ts'

/** A tensor that a record must hold; a vector has one row. */
export type ExpectedTensor = { name: string; rows: number; columns: number }

/** One record of a model. */
export type ExpectedRecord = {
  kind: RecordKind
  /** For `layer`. */
  layer?: number
  tensors: ExpectedTensor[]
}

const vector = (name: string, columns: number): ExpectedTensor => ({ name, rows: 1, columns })
const matrix = (name: string, rows: number, columns: number): ExpectedTensor => ({
  name,
  rows,
  columns,
})

/** The tensors of one layer. */
export const layerTensors = (spec: ModelSpec): ExpectedTensor[] => {
  const { hidden, feedForward, headDim } = spec
  const queries = spec.heads * headDim
  const keys = spec.kvHeads * headDim
  return [
    vector('attn_norm', hidden),
    matrix('attn_q', queries, hidden),
    matrix('attn_k', keys, hidden),
    matrix('attn_v', keys, hidden),
    ...(spec.qkvBias
      ? [vector('attn_q_bias', queries), vector('attn_k_bias', keys), vector('attn_v_bias', keys)]
      : []),
    ...(spec.headNorms ? [vector('attn_q_norm', headDim), vector('attn_k_norm', headDim)] : []),
    matrix('attn_output', hidden, queries),
    ...(spec.postNorms ? [vector('post_attention_norm', hidden)] : []),
    vector('ffn_norm', hidden),
    matrix('ffn_gate', feedForward, hidden),
    matrix('ffn_up', feedForward, hidden),
    matrix('ffn_down', hidden, feedForward),
    ...(spec.postNorms ? [vector('post_ffw_norm', hidden)] : []),
  ]
}

/** Every record in order: the embedding, the layers, the head. */
export const modelRecords = (spec: ModelSpec): ExpectedRecord[] => [
  { kind: 'embedding', tensors: [matrix('token_embd', spec.vocab, spec.hidden)] },
  ...Array.from({ length: spec.layers }, (_, layer) => ({
    kind: 'layer' as const,
    layer,
    tensors: layerTensors(spec),
  })),
  {
    kind: 'head',
    tensors: [
      vector('output_norm', spec.hidden),
      // A tied head computes with the embedding's matrix.
      ...(spec.tiedHead ? [] : [matrix('output', spec.vocab, spec.hidden)]),
    ],
  },
]
