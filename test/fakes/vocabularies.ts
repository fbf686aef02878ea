/** Small vocabularies as a GGUF file has them. */
import type { GgufMetadata, GgufValue } from '../../services/model/gguf.ts'

/** The character for which each byte stands in a byte-level vocabulary. */
const characters = (() => {
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => {
    const own = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
    return String.fromCharCode(own ? byte : next++)
  })
})()

export const byteLevelControl = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', '[INST]', '[/INST]']

/** 256 bytes from 5 on, then `merges`, then user-defined tokens. */
export const byteLevel = (
  more: Record<string, GgufValue> = {},
  merges: string[] = [],
  user: string[] = [],
): GgufMetadata => {
  const merged = merges.map((merge) => merge.replace(' ', ''))
  const tokens = [...byteLevelControl, ...characters, ...merged, ...user]
  const kinds = tokens.map((_, id) => {
    if (id < byteLevelControl.length) return 3
    return id < tokens.length - user.length ? 1 : 4
  })
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'gpt2'],
    ['tokenizer.ggml.pre', 'smollm'],
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.token_type', Int32Array.from(kinds)],
    ['tokenizer.ggml.merges', merges],
    ['tokenizer.ggml.bos_token_id', 1],
    ['tokenizer.ggml.eos_token_id', 2],
    ...Object.entries(more),
  ])
}

/** `<unk> <s> </s>`, 256 bytes from 3 on, then `pieces` from 259 on, best score first. */
export const sentencePiece = (
  pieces: string[],
  more: Record<string, GgufValue> = {},
): GgufMetadata => {
  const bytes = Array.from(
    { length: 256 },
    (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`,
  )
  const tokens = ['<unk>', '<s>', '</s>', ...bytes, ...pieces]
  const kinds = tokens.map((_, id) => (id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1))
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'llama'],
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.token_type', Int32Array.from(kinds)],
    ['tokenizer.ggml.scores', Float32Array.from(tokens, (_, id) => (id < 259 ? 0 : 259 - id))],
    ['tokenizer.ggml.bos_token_id', 1],
    ['tokenizer.ggml.eos_token_id', 2],
    ...Object.entries(more),
  ])
}
