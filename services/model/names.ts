/** How files call the tensors of the records, and which of them stand fused in a file. */
import type { Family } from './family.ts'
import type { ExpectedRecord } from './layout.ts'
import type { ModelSpec } from './spec.ts'

/** A record's tensor in a file: rows `firstRow` and on of the tensor `name`. */
export type TensorPlace = { name: string; firstRow: number; totalRows: number; columns: number }
export type Locate = (record: ExpectedRecord, tensor: string) => TensorPlace

/** Fused tensors, and the rows of each part: Phi-3's Q, K and V, and its gate and up. */
const fusedPart = (spec: ModelSpec, tensor: string): [string, number, number] | undefined => {
  const queries = spec.heads * spec.headDim
  const keys = spec.kvHeads * spec.headDim
  const all = queries + 2 * keys
  const parts: Record<string, [string, number, number]> = {
    attn_q: ['attn_qkv', 0, all],
    attn_k: ['attn_qkv', queries, all],
    attn_v: ['attn_qkv', queries + keys, all],
    ffn_gate: ['ffn_gate_up', 0, 2 * spec.feedForward],
    ffn_up: ['ffn_gate_up', spec.feedForward, 2 * spec.feedForward],
  }
  return parts[tensor]
}

const locator =
  (spec: ModelSpec, family: Family, full: (record: ExpectedRecord, tensor: string) => string) =>
  (record: ExpectedRecord, tensor: string): TensorPlace => {
    const expected = record.tensors.find((t) => t.name === tensor)
    if (!expected) throw new Error(`no tensor ${tensor} in a ${record.kind} record`)
    const { rows, columns } = expected
    const [name, firstRow, totalRows] = (family.fused && fusedPart(spec, tensor)) || [
      tensor,
      0,
      rows,
    ]
    return { name: full(record, name), firstRow, totalRows, columns }
  }

/** Canonical names are GGUF's but for these. */
const ggufTensor: Readonly<Record<string, string>> = {
  attn_q_bias: 'attn_q.bias',
  attn_k_bias: 'attn_k.bias',
  attn_v_bias: 'attn_v.bias',
  ffn_gate_up: 'ffn_up.weight',
}

/** A GGUF file's name for a tensor. */
export const ggufName = (record: ExpectedRecord, tensor: string): string => {
  const name = ggufTensor[tensor] ?? `${tensor}.weight`
  return record.kind === 'layer' ? `blk.${record.layer}.${name}` : name
}

/** Where a GGUF file has the tensors. */
export const locateGguf = (spec: ModelSpec, family: Family): Locate =>
  locator(spec, family, ggufName)

/** After `model.layers.N.` of a safetensors file. */
const layerTensor: Readonly<Record<string, string>> = {
  attn_norm: 'input_layernorm.weight',
  attn_q: 'self_attn.q_proj.weight',
  attn_k: 'self_attn.k_proj.weight',
  attn_v: 'self_attn.v_proj.weight',
  attn_qkv: 'self_attn.qkv_proj.weight',
  attn_q_bias: 'self_attn.q_proj.bias',
  attn_k_bias: 'self_attn.k_proj.bias',
  attn_v_bias: 'self_attn.v_proj.bias',
  attn_q_norm: 'self_attn.q_norm.weight',
  attn_k_norm: 'self_attn.k_norm.weight',
  attn_output: 'self_attn.o_proj.weight',
  post_attention_norm: 'post_attention_layernorm.weight',
  ffn_norm: 'post_attention_layernorm.weight',
  ffn_gate: 'mlp.gate_proj.weight',
  ffn_up: 'mlp.up_proj.weight',
  ffn_gate_up: 'mlp.gate_up_proj.weight',
  ffn_down: 'mlp.down_proj.weight',
  post_ffw_norm: 'post_feedforward_layernorm.weight',
}

/**
 * Where a safetensors folder has the tensors.
 * @param prefix of the inner model, `model.` in most files
 * @param head the head's full name
 */
export const locateSafetensors = (
  spec: ModelSpec,
  family: Family,
  prefix: string,
  head: string,
): Locate =>
  locator(spec, family, (record, tensor) => {
    if (tensor === 'token_embd') return `${prefix}embed_tokens.weight`
    if (tensor === 'output_norm') return `${prefix}norm.weight`
    if (tensor === 'output') return head
    // With norms on both sides, the name of Llama's ffn_norm is another norm's.
    const own =
      spec.postNorms && tensor === 'ffn_norm'
        ? 'pre_feedforward_layernorm.weight'
        : layerTensor[tensor]
    return `${prefix}layers.${record.layer}.${own}`
  })
