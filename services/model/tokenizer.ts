/**
 * Text to token ids and back. Merging is `@huggingface/tokenizers`'; what counts as a
 * control token is decided here, since that library finds control tokens in any text:
 * it is only ever given text between them, and a vocabulary without them.
 */
import { Tokenizer as Library } from '@huggingface/tokenizers'
import { MdiError } from '../errors.ts'
import type { TextSpec } from './spec.ts'
import type { AddedToken, TokenizerJson } from './text.ts'

export type EncodeOptions = {
  /** The text starts a sequence: begin with the beginning-of-text token, once, if the model has it so. */
  bos?: boolean
  /** Control tokens in the text count (a rendered template); otherwise they are plain text. */
  parseControl?: boolean
  /** A character that is left out of plain text: it keeps a person's text from being control tokens. */
  marker?: string
}

/** Whether a part of `tokenizer.json` is of that type, or a sequence with one. */
const hasType = (part: unknown, type: string): boolean => {
  if (typeof part !== 'object' || part === null) return false
  const values = Object.entries(part)
  return values.some(([key, value]) =>
    key === 'type' ? value === type : Array.isArray(value) && value.some((v) => hasType(v, type)),
  )
}

/** The byte for which each character of a byte-level token stands. */
const byteOf = ((): Map<string, number> => {
  const map = new Map<string, number>()
  let next = 256
  for (let byte = 0; byte < 256; byte++) {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
    map.set(String.fromCharCode(printable ? byte : next++), byte)
  }
  return map
})()

const utf8 = new TextEncoder()
const nothing = new Uint8Array(0)

export class Tokenizer {
  readonly #library: Library
  readonly #spec: TextSpec
  /** The control tokens, by their text; and the lengths that occur, longest first. */
  readonly #control = new Map<string, AddedToken>()
  readonly #controlLengths: number[]
  readonly #firstCharacters: Set<string>
  readonly #texts: string[] = []
  readonly #controlIds = new Set<number>()
  readonly #userIds = new Set<number>()
  readonly #byteLevel: boolean
  readonly #later: Library['pre_tokenizer']
  /** Whether text starts with a space of the tokenizer's own (SentencePiece). */
  readonly spacePrefix: boolean
  /** Token ids are below this. */
  readonly vocabularySize: number

  /** @throws MdiError `bad-file` or `unsupported` where the library cannot read the spec */
  constructor(spec: TextSpec) {
    this.#spec = spec
    const json = checked(spec.tokenizer)
    for (const [text, id] of Object.entries(json.model.vocab)) this.#texts[id] = text
    for (const token of json.added_tokens) {
      this.#texts[token.id] = token.content
      if (!token.special) this.#userIds.add(token.id)
      else {
        this.#controlIds.add(token.id)
        // One of a single character could not be told from a person's text (`markText`).
        if (token.content.length > 1) this.#control.set(token.content, token)
      }
    }
    this.vocabularySize = this.#texts.length
    const lengths = new Set([...this.#control.keys()].map((text) => text.length))
    this.#controlLengths = [...lengths].sort((a, b) => b - a)
    this.#firstCharacters = new Set([...this.#control.keys()].map((text) => text.charAt(0)))
    this.#byteLevel = hasType(json.decoder, 'ByteLevel')
    this.spacePrefix =
      hasType(json.normalizer, 'Prepend') ||
      (hasType(json.pre_tokenizer, 'Metaspace') && metaspace(json)?.prepend_scheme !== 'never')
    const plain = this.#withoutControl(json)
    this.#library = build(plain, spec.tokenizerConfig)
    this.#later =
      metaspace(json)?.prepend_scheme === 'first'
        ? build({ ...plain, ...neverPrefixed(json) }, {}).pre_tokenizer
        : this.#library.pre_tokenizer
  }

  #withoutControl(json: TokenizerJson): TokenizerJson {
    const keep = ([text, id]: [string, number]): boolean =>
      text === json.model.unk_token || !this.#controlIds.has(id)
    const vocab = Object.fromEntries(Object.entries(json.model.vocab).filter(keep))
    return {
      ...json,
      added_tokens: json.added_tokens.filter((token) => !token.special && token.content !== ''),
      model: { ...json.model, vocab },
    }
  }

  /** The control tokens' texts, for marking a person's text before a template is rendered. */
  get controlTexts(): string[] {
    return [...this.#control.keys()]
  }

  /** Whether the token is a control token, which is never shown. */
  isControl(id: number): boolean {
    return this.#controlIds.has(id)
  }

  /** Token ids of a text. */
  encode(text: string, options: EncodeOptions = {}): number[] {
    const ids: number[] = []
    const { marker } = options
    const sections = options.parseControl ? this.#sections(text) : [text]
    for (const [index, section] of sections.entries()) {
      if (typeof section !== 'string') ids.push(section.id)
      else this.#encodePlain(marker ? section.replaceAll(marker, '') : section, index === 0, ids)
    }
    const { bosId, addBos } = this.#spec
    if (options.bos && addBos && bosId !== undefined && ids[0] !== bosId) ids.unshift(bosId)
    return ids
  }

  #encodePlain(text: string, first: boolean, ids: number[]): void {
    if (text === '') return
    const usual = this.#library.pre_tokenizer
    // A "first" space prefix belongs to the first section only.
    if (!first) this.#library.pre_tokenizer = this.#later
    const found = this.#library.encode(text, { add_special_tokens: false }).ids
    this.#library.pre_tokenizer = usual
    // Characters without any token have no id; there is nothing to put for them.
    for (const id of found) if (typeof id === 'number') ids.push(id)
  }

  /** Cuts a text at its control tokens, the longest at each place. */
  #sections(text: string): (string | AddedToken)[] {
    const sections: (string | AddedToken)[] = []
    let start = 0
    let at = 0
    let strip = false
    const pushPlain = (end: number, token?: AddedToken): void => {
      let plain = text.slice(start, end)
      if (strip) plain = plain.trimStart()
      if (token?.lstrip) plain = plain.trimEnd()
      if (plain !== '') sections.push(plain)
    }
    while (at < text.length) {
      const token = this.#firstCharacters.has(text.charAt(at)) ? this.#tokenAt(text, at) : undefined
      if (!token) {
        at += 1
        continue
      }
      pushPlain(at, token)
      sections.push(token)
      strip = token.rstrip ?? false
      at += token.content.length
      start = at
    }
    pushPlain(text.length)
    return sections
  }

  #tokenAt(text: string, at: number): AddedToken | undefined {
    for (const length of this.#controlLengths) {
      const token = this.#control.get(text.substring(at, at + length))
      if (token) return token
    }
    return undefined
  }

  /** The bytes for which a token stands: part of a character perhaps; none for control tokens. */
  bytes(id: number): Uint8Array {
    const text = this.#texts[id]
    if (text === undefined || this.#controlIds.has(id)) return nothing
    if (this.#userIds.has(id)) return utf8.encode(text)
    if (this.#byteLevel) return this.#levelBytes(text)
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(text)?.[1]
    if (byte) return Uint8Array.of(Number.parseInt(byte, 16))
    return utf8.encode(text.replaceAll('▁', ' '))
  }

  #levelBytes(text: string): Uint8Array {
    const bytes: number[] = []
    for (const character of text) {
      const byte = byteOf.get(character)
      if (byte === undefined) bytes.push(...utf8.encode(character))
      else bytes.push(byte)
    }
    return Uint8Array.from(bytes)
  }

  /** The text as it stands in the vocabulary, e.g. to show which token was meant. */
  tokenText(id: number): string | undefined {
    return this.#texts[id]
  }

  /** The whole text of the ids; bytes that are no UTF-8 become U+FFFD. */
  decode(ids: readonly number[]): string {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
    const text = decoder.decode(Buffer.concat(ids.map((id) => this.bytes(id))))
    return this.spacePrefix && text.startsWith(' ') ? text.slice(1) : text
  }
}

const metaspace = (json: TokenizerJson): { prepend_scheme?: unknown } | undefined =>
  hasType(json.pre_tokenizer, 'Metaspace')
    ? (json.pre_tokenizer as { prepend_scheme?: unknown })
    : undefined

/** The same cutting without the space before the text, and no vocabulary. */
const neverPrefixed = (json: TokenizerJson): Partial<TokenizerJson> => ({
  added_tokens: [],
  pre_tokenizer: { ...(json.pre_tokenizer as object), prepend_scheme: 'never' },
  model: { type: 'BPE', vocab: {}, merges: [] },
})

const checked = (value: unknown): TokenizerJson => {
  const json = value as Partial<TokenizerJson> | null
  const { vocab, merges, type } = json?.model ?? {}
  if (!Array.isArray(json?.added_tokens) || typeof vocab !== 'object' || vocab === null)
    throw new MdiError('bad-file', "The model's tokenizer is damaged: it has no vocabulary.")
  if ((type ?? 'BPE') !== 'BPE' || !Array.isArray(merges))
    throw new MdiError(
      'unsupported',
      `The model's tokenizer is of the kind "${type}", which is not supported.`,
    )
  const { normalizer, pre_tokenizer, post_processor, decoder } = json
  return {
    normalizer: normalizer ?? null,
    pre_tokenizer: pre_tokenizer ?? null,
    post_processor: post_processor ?? null,
    decoder: decoder ?? null,
    added_tokens: json.added_tokens,
    model: { ...json.model, type: 'BPE', vocab, merges },
  }
}

const build = (json: TokenizerJson, config: unknown): Library => {
  try {
    return new Library(json, config ?? {})
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new MdiError('bad-file', `The model's tokenizer cannot be read: ${reason}`, {
      cause: error,
    })
  }
}
