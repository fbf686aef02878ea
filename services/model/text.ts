/**
 * A GGUF file's tokenizer and chat template in the form that their libraries read:
 * the keys `tokenizer.*` become a `tokenizer.json`.
 */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { endsByName, kindOf, sortedIds, type TokenKind } from './control.ts'
import type { GgufMetadata } from './gguf.ts'
import { compactMerges, type Merge } from './merges.ts'
import { preTokenizer } from './pretokenizers.ts'
import type { TextSpec } from './spec.ts'

/** Kinds of tokens, as `tokenizer.ggml.token_type` numbers them. */
const Kind = { normal: 1, unknown: 2, control: 3, user: 4, unused: 5, byte: 6 } as const

/** One token that is found in text before the rest is cut up; as `tokenizer.json` has it. */
export type AddedToken = {
  id: number
  content: string
  /** Control: counts only where the template wrote it, never in a person's text. */
  special: boolean
  lstrip?: boolean
  rstrip?: boolean
  normalized?: boolean
}

/** The part of `tokenizer.json` that is read here. */
export type TokenizerJson = {
  added_tokens: AddedToken[]
  normalizer: unknown
  pre_tokenizer: unknown
  post_processor: unknown
  decoder: unknown
  model: {
    type: string
    vocab: Record<string, number>
    merges: Merge[]
    [key: string]: unknown
  }
}

type Vocabulary = { tokens: string[]; kinds: Int32Array }

const bad = (what: string): MdiError =>
  new MdiError('bad-file', `The model file's tokenizer is damaged: ${what}.`)

const textsAt = (metadata: GgufMetadata, key: string): string[] => {
  const value = metadata.get(key)
  if (!Array.isArray(value)) throw bad(`${key} is missing`)
  return value
}

/** Our own key: see `TextSpec.besideNames`. */
const BESIDE = 'mdi.beside_names'

const besideNamesOf = (metadata: GgufMetadata): string[] => {
  const words = textsAt(metadata, BESIDE)
  if (words.length > limits.modelBesideNames) throw bad(`${BESIDE} has ${words.length} words`)
  return words
}

/** Our own key: see `TextSpec.intentProbability`. */
const PROBABILITY = 'mdi.intent_probability'

const intentProbabilityOf = (metadata: GgufMetadata): number => {
  const value = metadata.get(PROBABILITY)
  if (typeof value !== 'number' || !(value >= 0 && value <= 1))
    throw bad(`${PROBABILITY} is no number from 0 to 1`)
  return value
}

const vocabularyOf = (metadata: GgufMetadata): Vocabulary => {
  const tokens = textsAt(metadata, 'tokenizer.ggml.tokens')
  if (tokens.length === 0 || tokens.length > limits.modelVocab)
    throw bad(`it has ${tokens.length} tokens`)
  const given = metadata.get('tokenizer.ggml.token_type')
  const kinds = new Int32Array(tokens.length).fill(Kind.normal)
  if (given !== undefined) {
    if (!ArrayBuffer.isView(given) || given.length !== tokens.length)
      throw bad('tokenizer.ggml.token_type does not fit its tokens')
    for (let id = 0; id < kinds.length; id++) kinds[id] = Number(given[id])
  }
  const template = templateOf(metadata) ?? ''
  for (const [id, token] of tokens.entries()) {
    const given = kindAt(kinds, id)
    const kind = given && kindOf(token, given, template)
    if (kind && kind !== given) kinds[id] = Kind[kind]
  }
  // Some converters leave the end tokens' kind at normal or user-defined.
  for (const id of endIdsOf(metadata, tokens, kinds)) kinds[id] = Kind.control
  return { tokens, kinds }
}

/** A token's kind as other formats have it, too; undefined for those that only GGUF has. */
const kindAt = (kinds: Int32Array, id: number): TokenKind | undefined => {
  if (kinds[id] === Kind.control) return 'control'
  if (kinds[id] === Kind.user) return 'user'
  return kinds[id] === Kind.normal ? 'normal' : undefined
}

/** The chat template; the one that is named "default" where the file has several. */
const templateOf = (metadata: GgufMetadata): string | undefined => {
  const template = metadata.get('tokenizer.chat_template')
  const other = metadata.get('tokenizer.chat_template.default')
  if (typeof template === 'string') return template
  return typeof other === 'string' ? other : undefined
}

/** A token id that a key names, if it lies within the vocabulary. */
const idAt = (metadata: GgufMetadata, key: string, count: number): number | undefined => {
  const id = metadata.get(`tokenizer.ggml.${key}_token_id`)
  return typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < count ? id : undefined
}

const endIdsOf = (metadata: GgufMetadata, tokens: string[], kinds: Int32Array): number[] => {
  const named = ['eos', 'eot', 'eom'].map((key) => idAt(metadata, key, tokens.length))
  const ids = new Set(named.filter((id) => id !== undefined))
  for (const [id, token] of tokens.entries())
    if (endsByName(token, kindAt(kinds, id) ?? 'control')) ids.add(id)
  return sortedIds(ids)
}

const addedTokens = ({ tokens, kinds }: Vocabulary): AddedToken[] =>
  tokens.flatMap((content, id) => {
    const kind = kinds[id]
    if (content === '' || kind === Kind.normal || kind === Kind.byte) return []
    return [{ id, content, special: kind !== Kind.user, normalized: false }]
  })

/** Control tokens of Phi 3 that leave the white space after them as it is. */
const unstripping = ['<unk>', '<s>', '<|endoftext|>']

/**
 * Phi 3's control tokens swallow the white space after them; GGUF files do not say so, and
 * llama.cpp too knows it by the model (`llama-vocab.cpp`).
 */
const stripping = (metadata: GgufMetadata, tokens: AddedToken[]): AddedToken[] =>
  metadata.get('general.architecture') !== 'phi3'
    ? tokens
    : tokens.map((token) => ({
        ...token,
        rstrip: token.special && !unstripping.includes(token.content),
      }))

/** Text and id of those tokens that text is made of; own properties whatever their names. */
const plainTokens = ({ tokens, kinds }: Vocabulary): Record<string, number> => {
  const plain = (id: number) => kinds[id] === Kind.normal || kinds[id] === Kind.byte
  return Object.fromEntries(tokens.flatMap((token, id) => (plain(id) ? [[token, id]] : [])))
}

const split = (Regex: string) => ({
  type: 'Split',
  pattern: { Regex },
  behavior: 'Isolated',
  invert: false,
})

/** Byte-level BPE, as GPT-2 introduced it. */
const byteLevel = (metadata: GgufMetadata, vocabulary: Vocabulary): TokenizerJson => {
  const rule = preTokenizer(ruleName(metadata))
  const bytes = { type: 'ByteLevel', add_prefix_space: false, use_regex: false }
  return {
    added_tokens: addedTokens(vocabulary),
    normalizer: rule.composed ? { type: 'NFC' } : null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [...rule.patterns.map(split), bytes] },
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      vocab: plainTokens(vocabulary),
      merges: textsAt(metadata, 'tokenizer.ggml.merges'),
      ignore_merges: rule.ignoreMerges ?? false,
    },
  }
}

const ruleName = (metadata: GgufMetadata): string => {
  const name = metadata.get('tokenizer.ggml.pre') ?? 'default'
  if (typeof name !== 'string') throw bad('tokenizer.ggml.pre is not a text')
  return name
}

/**
 * The merges that a SentencePiece vocabulary implies: any two tokens that together are
 * one may merge, those with the best score first.
 */
const mergesByScore = (vocab: Record<string, number>, scores: ArrayLike<unknown>) => {
  const ids = new Map(Object.entries(vocab))
  const found: { left: string; right: string; score: number; a: number; b: number }[] = []
  for (const [token, id] of ids) {
    if (token.length > limits.tokenChars) continue
    for (let at = 1; at < token.length; at++) {
      const left = token.slice(0, at)
      const right = token.slice(at)
      const a = ids.get(left)
      const b = ids.get(right)
      if (a !== undefined && b !== undefined)
        found.push({ left, right, score: Number(scores[id]), a, b })
    }
  }
  found.sort((x, y) => y.score - x.score || x.a - y.a || x.b - y.b)
  return compactMerges(found.map(({ left, right }) => [left, right])) as Merge[]
}

/** SentencePiece BPE: scores instead of merges, bytes for what has no token. */
const sentencePiece = (metadata: GgufMetadata, vocabulary: Vocabulary): TokenizerJson => {
  const scores = metadata.get('tokenizer.ggml.scores')
  if (!ArrayBuffer.isView(scores) || scores.length !== vocabulary.tokens.length)
    throw bad('tokenizer.ggml.scores does not fit its tokens')
  const { tokens, kinds } = vocabulary
  const normal = Object.fromEntries(
    tokens.flatMap((token, id) => (kinds[id] === Kind.normal ? [[token, id]] : [])),
  )
  const prefix = metadata.get('tokenizer.ggml.add_space_prefix') !== false
  const spaces = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }
  return {
    added_tokens: stripping(metadata, addedTokens(vocabulary)),
    normalizer: {
      type: 'Sequence',
      normalizers: prefix ? [{ type: 'Prepend', prepend: '▁' }, spaces] : [spaces],
    },
    pre_tokenizer: null,
    post_processor: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: 'BPE',
      vocab: plainTokens(vocabulary),
      merges: mergesByScore(normal, scores),
      byte_fallback: true,
    },
  }
}

const kinds: Readonly<
  Record<
    string,
    {
      make: (metadata: GgufMetadata, vocabulary: Vocabulary) => TokenizerJson
      addBos: (metadata: GgufMetadata) => boolean
    }
  >
> = {
  gpt2: { make: byteLevel, addBos: (m) => preTokenizer(ruleName(m)).addBos ?? false },
  llama: { make: sentencePiece, addBos: () => true },
}

/**
 * Reads tokenizer and chat template from a GGUF file's keys.
 * @throws MdiError `bad-file`; `unsupported` with the tokenizer's or its rule's name
 */
export const textSpecFromGguf = (metadata: GgufMetadata): TextSpec => {
  const name = metadata.get('tokenizer.ggml.model')
  if (typeof name !== 'string') throw bad('tokenizer.ggml.model is missing')
  const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined
  if (!kind)
    throw new MdiError(
      'unsupported',
      `The model's tokenizer is of the kind "${name.slice(0, 60)}", which is not supported.`,
    )
  const vocabulary = vocabularyOf(metadata)
  const { tokens } = vocabulary
  const bosId = idAt(metadata, 'bos', tokens.length)
  const eosId = idAt(metadata, 'eos', tokens.length)
  const bosToken = bosId === undefined ? undefined : tokens[bosId]
  const eosToken = eosId === undefined ? undefined : tokens[eosId]
  const template = templateOf(metadata)
  const says = metadata.get('tokenizer.ggml.add_bos_token')
  const addBos = typeof says === 'boolean' ? says : kind.addBos(metadata)
  return {
    tokenizer: kind.make(metadata, vocabulary),
    tokenizerConfig: {},
    ...(template !== undefined && { chatTemplate: template }),
    ...(bosToken === undefined ? {} : { bosToken }),
    ...(eosToken === undefined ? {} : { eosToken }),
    endIds: endIdsOf(metadata, tokens, vocabulary.kinds),
    addBos: addBos && bosId !== undefined,
    ...(bosId === undefined ? {} : { bosId }),
    ...(metadata.has(BESIDE) && { besideNames: besideNamesOf(metadata) }),
    ...(metadata.has(PROBABILITY) && { intentProbability: intentProbabilityOf(metadata) }),
  }
}
