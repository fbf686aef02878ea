/** A folder's tokenizer, chat template and end tokens, from its JSON files. */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { endsByName, kindOf, sortedIds } from './control.ts'
import { type Folder, isObject, type Json, readFolderJson, readText } from './folder.ts'
import type { GgufMetadata } from './gguf.ts'
import { compactMerges } from './merges.ts'
import { readSentencePiece } from './sentencepiece.ts'
import type { TextSpec } from './spec.ts'

/** A token as tokenizer_config.json names it: a text, or an object with one. */
const tokenText = (value: unknown): string | undefined => {
  if (typeof value === 'string') return value
  return isObject(value) && typeof value.content === 'string' ? value.content : undefined
}

/** Ids under a key: one number or several. */
const idsAt = (json: Json | undefined, key: string): number[] => {
  const value = json?.[key]
  const list = Array.isArray(value) ? value : [value]
  return list.filter((id): id is number => Number.isInteger(id) && (id as number) >= 0)
}

/** The template: a file of its own, or in the tokenizer's configuration, one or several. */
const templateOf = async (folder: Folder, config: Json): Promise<string | undefined> => {
  const file = await readText(folder, 'chat_template.jinja', limits.modelConfigBytes)
  if (file !== undefined) return file
  const apart = (await readFolderJson(folder, 'chat_template.json'))?.chat_template
  const given = apart ?? config.chat_template
  if (typeof given === 'string') return given
  if (!Array.isArray(given)) return undefined
  const named = given.find((t) => isObject(t) && t.name === 'default')
  return isObject(named) && typeof named.template === 'string' ? named.template : undefined
}

/** The token that the tokenizer's post-processing puts first; '' for none. */
const beginning = (processor: unknown): string | undefined => {
  if (!isObject(processor)) return undefined
  if (Array.isArray(processor.processors)) {
    const found = processor.processors.map(beginning)
    return found.find((f) => f !== undefined)
  }
  if (processor.type !== 'TemplateProcessing' || !Array.isArray(processor.single)) return undefined
  const first: unknown = processor.single[0]
  const token = isObject(first) && isObject(first.SpecialToken) ? first.SpecialToken.id : ''
  return typeof token === 'string' ? token : ''
}

/** Tokens that stand beside the vocabulary, with those of it that this template makes such. */
const addedOf = (json: Json, template: string): Json[] => {
  const added = (Array.isArray(json.added_tokens) ? json.added_tokens : [])
    .filter(isObject)
    .map((token) => {
      const kind = kindOf(String(token.content), token.special ? 'control' : 'user', template)
      return { ...token, special: kind === 'control' }
    })
  const known = new Set(added.map((token: Json) => token.content))
  const vocab = isObject(json.model) && isObject(json.model.vocab) ? json.model.vocab : {}
  const more = Object.entries(vocab).flatMap(([content, id]) => {
    const kind = known.has(content) ? 'normal' : kindOf(content, 'normal', template)
    return kind === 'normal'
      ? []
      : [{ id, content, special: kind === 'control', normalized: false }]
  })
  return [...added, ...more]
}

/** Those that end an answer are control tokens. */
const withEnds = (added: readonly Json[], endIds: readonly number[]): Json[] =>
  added.map((token) => (endIds.includes(token.id as number) ? { ...token, special: true } : token))

const modelOf = (model: unknown): unknown =>
  isObject(model) && Array.isArray(model.merges)
    ? { ...model, merges: compactMerges(model.merges) }
    : model

/** The parts of tokenizer.json that are read; the beginning-of-text token is put elsewhere. */
const partsOf = (json: Json, added: readonly Json[]): Json => ({
  added_tokens: added,
  normalizer: json.normalizer ?? null,
  pre_tokenizer: json.pre_tokenizer ?? null,
  post_processor: null,
  decoder: json.decoder ?? null,
  model: modelOf(json.model),
})

/** Whether a token, such as one for pictures, has no row in the embedding: no prompt may have it. */
const rowless = (id: unknown, vocab: number): boolean =>
  typeof id === 'number' && id >= vocab && id < limits.modelVocab

const idOf = (json: Json, token: string): number | undefined => {
  const added = Array.isArray(json.added_tokens) ? json.added_tokens : []
  const found = added.find((t) => isObject(t) && t.content === token)
  const vocab = isObject(json.model) && isObject(json.model.vocab) ? json.model.vocab : {}
  const id: unknown = isObject(found) ? found.id : Object.hasOwn(vocab, token) && vocab[token]
  return typeof id === 'number' ? id : undefined
}

type Parts = {
  tokenizerConfig: Json
  template: string | undefined
  ends: number[]
  /** Rows of the embedding. */
  vocab: number
}

const fromTokenizerJson = (json: Json, parts: Parts): TextSpec => {
  const { tokenizerConfig, template, ends, vocab } = parts
  const begins = beginning(json.post_processor)
  const bosToken = tokenText(tokenizerConfig.bos_token) ?? (begins || undefined)
  const eosToken = tokenText(tokenizerConfig.eos_token)
  const bosId = bosToken === undefined ? undefined : idOf(json, bosToken)
  const eosId = eosToken === undefined ? undefined : idOf(json, eosToken)
  const addBos = begins === undefined ? tokenizerConfig.add_bos_token === true : begins === bosToken
  const added = addedOf(json, template ?? '').filter((token) => !rowless(token.id, vocab))
  const named = added.filter((t) => endsByName(String(t.content), t.special ? 'control' : 'user'))
  const namedIds = named.map(({ id }) => id).filter((id) => typeof id === 'number')
  const endIds = sortedIds([...ends, ...namedIds, ...(eosId === undefined ? [] : [eosId])])
  return {
    tokenizer: partsOf(json, withEnds(added, endIds)),
    tokenizerConfig: {},
    ...(template !== undefined && { chatTemplate: template }),
    ...(bosToken !== undefined && { bosToken }),
    ...(eosToken !== undefined && { eosToken }),
    endIds,
    addBos: addBos && bosId !== undefined,
    ...(bosId !== undefined && { bosId }),
  }
}

/** Tokens that tokenizer_config.json adds to a SentencePiece model. */
const addedTokens = (config: Json): Map<number, string> => {
  const list = isObject(config.added_tokens_decoder) ? config.added_tokens_decoder : {}
  const added = new Map<number, string>()
  for (const [id, token] of Object.entries(list)) {
    const text = tokenText(token)
    if (text !== undefined && isObject(token) && token.special === true) added.set(Number(id), text)
  }
  return added
}

/**
 * Reads a folder's tokenizer and template: from tokenizer.json, or else from tokenizer.model.
 * @param config the model's config.json
 * @param vocab rows of the embedding
 * @param fromKeys reads a tokenizer from the keys of a GGUF file
 * Errors: `bad-file`, `unsupported`.
 */
export const textSpecFromFolder = async (
  folder: Folder,
  config: Json,
  vocab: number,
  fromKeys: (metadata: GgufMetadata) => TextSpec,
): Promise<TextSpec> => {
  const tokenizerConfig = (await readFolderJson(folder, 'tokenizer_config.json')) ?? {}
  const generation = await readFolderJson(folder, 'generation_config.json')
  const ends = [...idsAt(generation, 'eos_token_id'), ...idsAt(config, 'eos_token_id')]
  const template = await templateOf(folder, tokenizerConfig)
  const json = await readFolderJson(folder, 'tokenizer.json', limits.tokenizerBytes)
  if (json) return fromTokenizerJson(json, { tokenizerConfig, template, ends, vocab })
  const source = await folder.open('tokenizer.model')
  if (!source)
    throw new MdiError('bad-file', `${folder.name} has no tokenizer.json and no tokenizer.model.`)
  if (source.size > limits.tokenizerBytes)
    throw new MdiError('bad-file', `${folder.name}: tokenizer.model is too long.`)
  const bytes = await source.read(0, source.size)
  const keys = readSentencePiece(source.name, bytes, vocab, addedTokens(tokenizerConfig))
  const { add_bos_token: addBos } = tokenizerConfig
  if (typeof addBos === 'boolean') keys.set('tokenizer.ggml.add_bos_token', addBos)
  if (template !== undefined) keys.set('tokenizer.chat_template', template)
  if (typeof config.model_type === 'string') keys.set('general.architecture', config.model_type)
  const spec = fromKeys(keys)
  return { ...spec, endIds: sortedIds([...spec.endIds, ...ends]) }
}
