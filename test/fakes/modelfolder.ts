/** A small random Llama as a folder of safetensors, split over two files. */
import { type PlainTensor, safetensorsFile } from '../harness/folder.ts'
import { random } from './random.ts'

const config = {
  model_type: 'llama',
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-6,
  eos_token_id: 2,
}

const tokenizer = {
  added_tokens: [
    { id: 1, content: '<s>', special: true },
    { id: 2, content: '</s>', special: true },
  ],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
  post_processor: null,
  decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', vocab: { '<s>': 1, '</s>': 2, a: 4, b: 5, ab: 6 }, merges: ['a b'] },
}

/** The folder's files by name. */
export const modelFolder = (seed = 9): Record<string, Uint8Array> => {
  const next = random(seed)
  const tensor = (...shape: number[]): PlainTensor => {
    const count = shape.reduce((product, n) => product * n, 1)
    return {
      dtype: 'BF16',
      shape,
      values: Float32Array.from({ length: count }, () => next() - 0.5),
    }
  }
  const layer = (i: number): Record<string, PlainTensor> =>
    Object.fromEntries(
      Object.entries({
        'input_layernorm.weight': tensor(32),
        'self_attn.q_proj.weight': tensor(32, 32),
        'self_attn.k_proj.weight': tensor(16, 32),
        'self_attn.v_proj.weight': tensor(16, 32),
        'self_attn.o_proj.weight': tensor(32, 32),
        'post_attention_layernorm.weight': tensor(32),
        'mlp.gate_proj.weight': tensor(64, 32),
        'mlp.up_proj.weight': tensor(64, 32),
        'mlp.down_proj.weight': tensor(32, 64),
      }).map(([name, t]) => [`model.layers.${i}.${name}`, t]),
    )
  const ends = {
    'model.embed_tokens.weight': tensor(10, 32),
    'model.norm.weight': tensor(32),
    'lm_head.weight': tensor(10, 32),
  }
  const shards: Record<string, Record<string, PlainTensor>> = {
    'model-00001-of-00002.safetensors': { ...ends, ...layer(0) },
    'model-00002-of-00002.safetensors': layer(1),
  }
  const map = Object.entries(shards).flatMap(([file, tensors]) =>
    Object.keys(tensors).map((name) => [name, file]),
  )
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
  return {
    'config.json': json(config),
    'tokenizer.json': json(tokenizer),
    'tokenizer_config.json': json({ bos_token: '<s>', eos_token: '</s>' }),
    'model.safetensors.index.json': json({ weight_map: Object.fromEntries(map) }),
    ...Object.fromEntries(Object.entries(shards).map(([f, t]) => [f, safetensorsFile(t)])),
  }
}
