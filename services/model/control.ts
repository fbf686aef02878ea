/**
 * Which tokens of a file are control tokens. Converters set a token's type wrongly in both
 * directions, so it follows from three things together: the type, the end tokens that the file
 * names, and what its template writes. One rule for every format.
 */

/** What a token is: `control` counts only where the template wrote it, `user` in any text. */
export type TokenKind = 'control' | 'user' | 'normal'

/** Tags of HTML, which some vocabularies have as tokens of their own: they are text. */
const html = new Set(
  (
    'a abbr b blockquote body br caption center cite code col colgroup dd del details div dl dt em ' +
    'figcaption figure h1 h2 h3 h4 h5 h6 head hr html i iframe img input ins kbd label li link mark ' +
    'meta nav ol p pre q script section small span strong style sub summary sup svg table tbody td ' +
    'textarea tfoot th thead title tr tt u ul var video'
  ).split(' '),
)

/** Whether a token is a tag of HTML, such as `<td>` or `</h1>`. */
export const isHtml = (token: string): boolean => {
  const name = /^<\/?([a-z][a-z0-9]*)>$/.exec(token)?.[1]
  return name !== undefined && html.has(name)
}

/** Texts that stand for nothing else than a token: `<|im_end|>`, also with DeepSeek's wide bars. */
const barred = /^<[|｜][^\s<>]+[|｜]>$/
/** Others that begin or end a turn: `<start_of_turn>`, `[/INST]`. */
const turning = /^(<\/?[a-z]+_of_[a-z]+>|\[\/?[A-Z][A-Z_]+\])$/
/** A word in angle brackets: `<think>`, `</tool_call>`. */
const tagged = /^<\/?[A-Za-z][\w-]*>$/

/**
 * What a token is in this file.
 * @param given as the file says
 * @param template the chat template's source
 */
export const kindOf = (token: string, given: TokenKind, template: string): TokenKind => {
  if (isHtml(token)) return given === 'control' ? 'user' : given
  if (given === 'control') return given
  const candidate = barred.test(token) || turning.test(token) || tagged.test(token)
  if (!candidate || !template.includes(token)) return given
  if (!tagged.test(token) || turning.test(token)) return 'control'
  // The template's `<think>` is one token; it may be written by people, too.
  return 'user'
}

/** Tokens that end an answer whatever the file calls its end token. */
const endNames = new Set([
  ...['<|eot_id|>', '<|eom_id|>', '<|im_end|>', '<|end|>', '<|endoftext|>', '<|end_of_text|>'],
  ...['<|return|>', '<|call|>', '<end_of_turn>', '<end_of_utterance>', '<EOT>', '<eos>', '</s>'],
])

/**
 * Whether a token of this text ends an answer by its name. An ordinary piece of text does only
 * if nobody would write it.
 */
export const endsByName = (token: string, kind: TokenKind): boolean =>
  endNames.has(token) && (kind !== 'normal' || barred.test(token))

/** Ids in ascending order, each once. */
export const sortedIds = (ids: Iterable<number>): number[] =>
  [...new Set(ids)].sort((a, b) => a - b)
