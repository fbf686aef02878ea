/** Which tokens end an answer, beside those that a file says: one rule for every format. */

/** Tokens that end an answer whatever the file calls its end token. */
const endNames = [
  '<|eot_id|>',
  '<|eom_id|>',
  '<|im_end|>',
  '<|end|>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<|return|>',
  '<|call|>',
  '<end_of_turn>',
  '<end_of_utterance>',
  '<EOT>',
  '<eos>',
  '</s>',
]

/** Whether a token of this text ends an answer, unless it is an ordinary piece of text. */
export const endsByName = (token: string): boolean => endNames.includes(token)

/** Ids in ascending order, each once. */
export const sortedIds = (ids: Iterable<number>): number[] =>
  [...new Set(ids)].sort((a, b) => a - b)
