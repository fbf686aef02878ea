/**
 * Reads a SentencePiece model (`tokenizer.model`) into the keys with which a GGUF file
 * describes the same tokenizer. Field numbers follow
 * https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto.
 */
import protobuf from 'protobufjs/light.js'
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { GgufValue } from './gguf.ts'

/** Of proto2, in which a zero that is written differs from a value that is left out. */
const message = (fields: Record<string, protobuf.IField>): protobuf.IType => ({
  edition: 'proto2',
  fields,
})

const root = protobuf.Root.fromJSON({
  nested: {
    Piece: message({
      piece: { type: 'string', id: 1 },
      score: { type: 'float', id: 2 },
      // The kinds' numbers are those of `tokenizer.ggml.token_type`.
      type: { type: 'int32', id: 3, options: { default: 1 } },
    }),
    Trainer: message({
      modelType: { type: 'int32', id: 3, options: { default: 1 } },
      unkId: { type: 'int32', id: 40, options: { default: 0 } },
      bosId: { type: 'int32', id: 41, options: { default: 1 } },
      eosId: { type: 'int32', id: 42, options: { default: 2 } },
    }),
    Normalizer: message({
      addDummyPrefix: { type: 'bool', id: 3, options: { default: true } },
    }),
    Model: message({
      pieces: { rule: 'repeated', type: 'Piece', id: 1 } as protobuf.IField,
      trainer: { type: 'Trainer', id: 2 },
      normalizer: { type: 'Normalizer', id: 3 },
    }),
  },
})
const Model = root.lookupType('Model')

type Decoded = {
  pieces: { piece: string; score: number; type: number }[]
  trainer?: { modelType: number; unkId: number; bosId: number; eosId: number }
  normalizer?: { addDummyPrefix: boolean }
}

const BPE = 2

/**
 * The tokenizer's keys `tokenizer.ggml.*`.
 * @param size rows of the embedding: tokens beyond the file's are filled up as unused
 * @param added tokens that stand beside the model, by their ids; all are control tokens
 * Errors: `bad-file`, `unsupported` (a tokenizer that is no BPE).
 */
export const readSentencePiece = (
  file: string,
  bytes: Uint8Array,
  size: number,
  added: ReadonlyMap<number, string>,
): Map<string, GgufValue> => {
  let model: Decoded
  try {
    model = Model.decode(bytes) as unknown as Decoded
  } catch (cause) {
    throw new MdiError('bad-file', `${file} is no SentencePiece model.`, { cause })
  }
  const { pieces, trainer } = model
  if (pieces.length === 0 || pieces.length > limits.modelVocab)
    throw new MdiError('bad-file', `${file} has ${pieces.length} tokens.`)
  if (trainer?.modelType !== BPE)
    throw new MdiError('unsupported', `${file} is no BPE tokenizer; only those are supported.`)
  const count = Math.max(pieces.length, size)
  const tokens = Array.from({ length: count }, (_, id) => pieces[id]?.piece ?? `<unused ${id}>`)
  const kinds = Int32Array.from(tokens, (_, id) => pieces[id]?.type ?? 5)
  for (const [id, text] of added) {
    if (id >= count) continue
    tokens[id] = text
    kinds[id] = 3
  }
  const scores = Float32Array.from(tokens, (_, id) => pieces[id]?.score ?? 0)
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'llama'],
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.token_type', kinds],
    ['tokenizer.ggml.scores', scores],
    ['tokenizer.ggml.bos_token_id', trainer.bosId],
    ['tokenizer.ggml.eos_token_id', trainer.eosId],
    ['tokenizer.ggml.unknown_token_id', trainer.unkId],
    ['tokenizer.ggml.add_space_prefix', model.normalizer?.addDummyPrefix ?? true],
  ])
}
