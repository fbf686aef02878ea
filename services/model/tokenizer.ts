/**
 * Text to token ids and back. `@huggingface/tokenizers` merges. It would find control tokens in
 * any text, so control tokens are found here: the library gets only the text between them, and
 * a vocabulary without them.
 */
import { Tokenizer as Library } from '@huggingface/tokenizers'
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { type Merge, MergeRanks } from './merges.ts'
import type { TextSpec } from './spec.ts'
import type { AddedToken, TokenizerJson } from './text.ts'
import { checkedTokenizer } from './tokenizerjson.ts'

export type EncodeOptions = {
  /** The text starts a sequence: begin with the beginning-of-text token, once, if the model has it so. */
  bos?: boolean
  /**
   * Control tokens in the text count, but for those that touch one of the `foreign` ranges
   * `[start, end)` of it (flat, ascending); absent: they are plain text.
   */
  control?: { foreign: readonly number[] }
  /** Told of pieces of the text that the vocabulary cannot spell: they are left out, or unknown. */
  lost?: ((pieces: number) => void) | undefined
  /** More tokens than these are refused (`too-long`), soon after they are reached. */
  atMost?: number
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

const hex = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, '0')

const utf8 = new TextEncoder()
const nothing = new Uint8Array(0)

export class Tokenizer {
  readonly #library: Library
  readonly #start: Pick<TextSpec, 'addBos' | 'bosId'>
  /** The control tokens, by their text; and the lengths that occur, longest first. */
  readonly #control = new Map<string, AddedToken>()
  readonly #controlLengths: number[]
  readonly #firstCharacters: Set<string>
  readonly #texts: string[] = []
  readonly #added = new Set<string>()
  readonly #controlIds = new Set<number>()
  readonly #userIds = new Set<number>()
  readonly #byteLevel: boolean
  /** The token that stands for what has none, where the model has it. */
  readonly #unknown: number | undefined
  readonly #cutting: Record<Place, Cutting>
  /** Whether text may be encoded in slices: no token goes over the end of a word. */
  readonly #sliced: boolean
  /** Whether text starts with a space of the tokenizer's own (SentencePiece). */
  readonly spacePrefix: boolean
  /** Token ids are below this. */
  readonly vocabularySize: number

  /** @throws MdiError `bad-file` or `unsupported` where the library cannot read the spec */
  constructor(spec: TextSpec) {
    // Only these two: the spec's vocabulary and merges are not needed any more.
    this.#start = { addBos: spec.addBos, ...(spec.bosId !== undefined && { bosId: spec.bosId }) }
    const json = checkedTokenizer(spec.tokenizer)
    for (const [text, id] of Object.entries(json.model.vocab)) this.#texts[id] = text
    for (const token of json.added_tokens) {
      this.#texts[token.id] = token.content
      this.#added.add(token.content)
      if (!token.special) this.#userIds.add(token.id)
      else {
        this.#controlIds.add(token.id)
        if (token.content !== '') this.#control.set(token.content, token)
      }
    }
    this.vocabularySize = this.#texts.length
    const lengths = new Set([...this.#control.keys()].map((text) => text.length))
    this.#controlLengths = [...lengths].sort((a, b) => b - a)
    this.#firstCharacters = new Set([...this.#control.keys()].map((text) => text.charAt(0)))
    this.#byteLevel = hasType(json.decoder, 'ByteLevel')
    this.#unknown = json.model.vocab[String(json.model.unk_token)]
    this.spacePrefix =
      hasType(json.normalizer, 'Prepend') ||
      (hasType(json.pre_tokenizer, 'Metaspace') && metaspace(json)?.prepend_scheme !== 'never')
    this.#sliced = !this.#texts.some((text) => /[A-Za-z][\u0120\u2581]/.test(text))
    const plain = this.#withoutControl(json)
    this.#library = build({ ...plain, model: { ...plain.model, merges: [] } }, spec.tokenizerConfig)
    mergeBy(this.#library, json.model.merges)
    const bare = build(unprefixed(json), {})
    const { normalizer, pre_tokenizer } = this.#library
    const first = metaspace(json)?.prepend_scheme === 'first'
    this.#cutting = {
      start: { normalizer, pre_tokenizer },
      section: { normalizer, pre_tokenizer: first ? bare.pre_tokenizer : pre_tokenizer },
      slice: { normalizer: bare.normalizer, pre_tokenizer: bare.pre_tokenizer },
    }
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

  /** Of the bytes that texts are made of, those without a token: they may get lost. */
  get unspelledBytes(): number {
    const texts = new Set(this.#texts)
    const bytes = this.#byteLevel
      ? [...byteOf.keys()]
      : Array.from({ length: 256 }, (_, b) => `<0x${hex(b)}>`)
    // Control codes, what no UTF-8 has, and planes without writing do not matter.
    const matters = (b: number) =>
      b === 9 || b === 10 || b === 13 || (b >= 0x20 && b <= 0xf0 && ![0x7f, 0xc0, 0xc1].includes(b))
    return bytes.filter(
      (byte, b) => matters(this.#byteLevel ? (byteOf.get(byte) as number) : b) && !texts.has(byte),
    ).length
  }

  /** The control tokens' texts. */
  get controlTexts(): string[] {
    return [...this.#control.keys()]
  }

  /** Whether a text is a token that is found in text before the rest is cut up. */
  isAdded(text: string): boolean {
    return this.#added.has(text)
  }

  /** Whether the token is a control token, which is never shown. */
  isControl(id: number): boolean {
    return this.#controlIds.has(id)
  }

  /** Token ids of a text. */
  encode(text: string, options: EncodeOptions = {}): number[] {
    const ids: number[] = []
    const { control } = options
    const sections = control ? this.#sections(text, control.foreign) : [text]
    for (const [index, section] of sections.entries()) {
      if (typeof section !== 'string') ids.push(section.id)
      else this.#encodePlain(section, index === 0 ? 'start' : 'section', ids, options)
    }
    const { bosId, addBos } = this.#start
    if (options.bos && addBos && bosId !== undefined && ids[0] !== bosId) ids.unshift(bosId)
    if (ids.length > (options.atMost ?? ids.length)) throw tooLong(options.atMost)
    return ids
  }

  #encodePlain(text: string, place: Place, ids: number[], options: EncodeOptions): void {
    const { atMost, lost } = options
    let here = place
    let missing = 0
    for (const slice of this.#sliced ? slices(text) : [text]) {
      Object.assign(this.#library, this.#cutting[here])
      for (const id of this.#library.encode(slice, { add_special_tokens: false }).ids) {
        // Characters without any token have no id; there is nothing to put for them.
        if (typeof id === 'number') ids.push(id)
        if (typeof id !== 'number' || id === this.#unknown) missing += 1
      }
      if (atMost !== undefined && ids.length > atMost) throw tooLong(atMost)
      here = 'slice'
    }
    if (missing > 0) lost?.(missing)
  }

  /** Cuts a text at its control tokens, the longest at each place. */
  #sections(text: string, foreign: readonly number[]): (string | AddedToken)[] {
    const sections: (string | AddedToken)[] = []
    let start = 0
    let at = 0
    let strip = false
    /** The first range that ends beyond here. */
    let range = 0
    const pushPlain = (end: number, token?: AddedToken): void => {
      let plain = text.slice(start, end)
      if (strip) plain = plain.trimStart()
      if (token?.lstrip) plain = plain.trimEnd()
      if (plain !== '') sections.push(plain)
    }
    while (at < text.length) {
      while (at >= (foreign[range + 1] ?? Number.POSITIVE_INFINITY)) range += 2
      const free = foreign[range] ?? text.length
      const token =
        at < free && this.#firstCharacters.has(text.charAt(at))
          ? this.#tokenAt(text, at, free)
          : undefined
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

  /** The longest control token at a place that ends by `end`. */
  #tokenAt(text: string, at: number, end: number): AddedToken | undefined {
    for (const length of this.#controlLengths) {
      if (at + length > end) continue
      const token = this.#control.get(text.substring(at, at + length))
      if (token) return token
    }
    return undefined
  }

  /** The bytes for which a token stands: part of a character perhaps; none for control tokens. */
  bytes(id: number): Uint8Array {
    const text = this.#texts[id]
    if (text === undefined || this.#controlIds.has(id)) return nothing
    const user = this.#userIds.has(id)
    if (this.#byteLevel) return user ? utf8.encode(text) : this.#levelBytes(text)
    // A user-defined token may be a run of spaces, which Gemma has by the dozen.
    if (user) return utf8.encode(text.replaceAll('▁', ' '))
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

/** The place of a piece of text: at the start, after a control token, or inside a text. */
type Place = 'start' | 'section' | 'slice'
/** The library's parts that cut text. Whether a space is put first depends on the place. */
type Cutting = Pick<Library, 'normalizer' | 'pre_tokenizer'>

const tooLong = (atMost: number | undefined): MdiError =>
  new MdiError('too-long', `The text has more than ${atMost} tokens: shorten it.`)

/**
 * Cuts a long text between words, where no token can cross. So merging takes time in proportion to
 * the text. A text without such places (some languages write no spaces) is cut anyway.
 */
const slices = function* (text: string): Generator<string> {
  let at = 0
  while (text.length - at > limits.encodeChars) {
    let end = at + limits.encodeChars
    const window = text.slice(at + limits.encodeChars / 2, end)
    const last = /^.*[A-Za-z](?= [A-Za-z])/s.exec(window)
    if (last) end = at + limits.encodeChars / 2 + last[0].length
    else {
      if (/[\ud800-\udbff]/.test(text.charAt(end - 1))) end -= 1
      // A mark stays with its letter, or the two could not be composed.
      const mark = (place: number) => /^\p{M}/u.test(text.slice(place, place + 2))
      while (end > at + limits.encodeChars / 2 && mark(end)) end -= 1
    }
    yield text.slice(at, end)
    at = end
  }
  if (at < text.length) yield text.slice(at)
}

/** The same cutting without any space put before a text, and without a vocabulary. */
const unprefixed = (json: TokenizerJson): TokenizerJson => {
  const strip = (part: unknown): unknown => {
    if (Array.isArray(part))
      return part.filter((p: { type?: unknown } | null) => p?.type !== 'Prepend').map(strip)
    if (typeof part !== 'object' || part === null) return part
    const copy: Record<string, unknown> = {}
    for (const [key, value] of Object.entries(part))
      if (key === 'prepend_scheme') copy[key] = 'never'
      else copy[key] = key === 'add_prefix_space' ? false : strip(value)
    return copy
  }
  const prepends = (json.normalizer as { type?: unknown } | null)?.type === 'Prepend'
  return {
    ...json,
    added_tokens: [],
    normalizer: prepends ? null : strip(json.normalizer),
    pre_tokenizer: strip(json.pre_tokenizer),
    model: { type: 'BPE', vocab: {}, merges: [] },
  }
}

/** A token of a word that is being merged, as the library has it. */
type Node = { token: string; bias: number; next: Node; score?: number }
/** Stands for text without a token, where the model has no unknown token; it has no id. */
const LOST = '\uffff lost'
/** What of the library's BPE is made anew here. */
type Mergeable = {
  config: unknown
  unk_token?: string | null
  tokens_to_ids: Map<string, number>
  add_node(queue: { push(node: Node): void }, node: Node): void
}

/** Gives the library our table of merges for its own, and lets go of what it was made from. */
const mergeBy = (library: Library, merges: readonly Merge[]): void => {
  const model = library.model as unknown as Mergeable
  if (!(model?.tokens_to_ids instanceof Map) || typeof model.add_node !== 'function')
    throw new Error('@huggingface/tokenizers merges in another way than it did')
  const ranks = new MergeRanks(model.tokens_to_ids, merges)
  model.add_node = (queue, node) => {
    const rank = ranks.rank(node.token, node.next.token)
    if (rank === undefined) return
    node.score = rank + node.bias
    queue.push(node)
  }
  // What has no token is told by one that is none, and not left out in silence.
  model.unk_token ??= LOST
  Object.assign(model.config as object, { vocab: {} })
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
