/** Checks a tokenizer's description, which is a stranger's. */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { checkRegexes } from './regexcheck.ts'
import type { AddedToken, TokenizerJson } from './text.ts'

/** A token id is an index: beyond the vocabulary's bound it would be memory and time without end. */
const checkIds = (added: readonly unknown[], vocab: Record<string, unknown>): void => {
  const check = (id: unknown, text: unknown): void => {
    if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < limits.modelVocab) return
    const token = String(JSON.stringify(text)).slice(0, 60)
    throw new MdiError(
      'bad-file',
      `The model's tokenizer is damaged: its token ${token} has the id ${JSON.stringify(id)}.`,
    )
  }
  for (const token of added) {
    const { id, content } = Object(token) as Partial<AddedToken>
    check(id, content)
    if (typeof content !== 'string')
      throw new MdiError('bad-file', `The model's tokenizer is damaged: token ${id} has no text.`)
  }
  for (const text of Object.keys(vocab)) check(vocab[text], text)
}

/**
 * The parts of a `tokenizer.json`, sound as far as its user relies on it.
 * @throws MdiError `bad-file`; `unsupported` for another kind or a regular expression without end
 */
export const checkedTokenizer = (value: unknown): TokenizerJson => {
  const json = value as Partial<TokenizerJson> | null
  const { vocab, merges, type } = json?.model ?? {}
  if (!Array.isArray(json?.added_tokens) || typeof vocab !== 'object' || vocab === null)
    throw new MdiError('bad-file', "The model's tokenizer is damaged: it has no vocabulary.")
  if ((type ?? 'BPE') !== 'BPE' || !Array.isArray(merges))
    throw new MdiError(
      'unsupported',
      `The model's tokenizer is of the kind "${type}", which is not supported.`,
    )
  checkIds(json.added_tokens, vocab)
  const { normalizer, pre_tokenizer, post_processor, decoder } = json
  for (const part of [normalizer, pre_tokenizer, decoder]) checkRegexes(part)
  return {
    normalizer: normalizer ?? null,
    pre_tokenizer: pre_tokenizer ?? null,
    post_processor: post_processor ?? null,
    decoder: decoder ?? null,
    added_tokens: json.added_tokens,
    model: { ...json.model, type: 'BPE', vocab, merges },
  }
}
