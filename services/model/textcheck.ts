/** Whether a model's text side is of use, asked when it is imported and not when somebody waits for an answer. */
import { MdiError } from '../errors.ts'
import type { GgufMetadata } from './gguf.ts'
import type { TextSpec } from './spec.ts'
import { Tokenizer } from './tokenizer.ts'

/** Letters, a digit, a space, a line's end, and what takes several bytes. */
const SAMPLE = 'Tea at 5,\nplease: één kopje ☕'

/**
 * Tries a tokenizer.
 * @param name the model's file or folder, for sentences
 * @param vocab rows of the embedding
 * @throws MdiError `bad-file`, `unsupported`
 */
export const checkText = (name: string, text: TextSpec, vocab: number): void => {
  const ids = [...text.endIds, ...(text.bosId === undefined ? [] : [text.bosId])]
  const beyond = ids.find((id) => !Number.isSafeInteger(id) || id < 0 || id >= vocab)
  if (beyond !== undefined)
    throw new MdiError(
      'bad-file',
      `${name} is damaged: it names token ${beyond}, and has ${vocab} of them.`,
    )
  try {
    const tokenizer = new Tokenizer(text)
    if (tokenizer.vocabularySize > vocab)
      throw new MdiError(
        'bad-file',
        `The model's tokenizer has tokens up to ${tokenizer.vocabularySize - 1}, and the model ${vocab} of them.`,
      )
    tokenizer.encode(SAMPLE)
  } catch (error) {
    if (error instanceof MdiError)
      throw new MdiError(error.code, `${name}: ${error.message}`, { cause: error })
    throw new MdiError(
      'bad-file',
      `${name}: The model's tokenizer cannot be read: ${(error as Error).message}`,
      { cause: error },
    )
  }
}

/**
 * What may disappoint of a tokenizer that works: a sentence each.
 * @param keys a GGUF file's
 */
export const notesOnText = (name: string, text: TextSpec, keys?: GgufMetadata): string[] => {
  const notes: string[] = []
  const byteLevel = keys?.get('tokenizer.ggml.model') === 'gpt2'
  if (byteLevel && !keys?.has('tokenizer.ggml.pre'))
    notes.push(
      `${name} does not say how its tokenizer cuts text (tokenizer.ggml.pre), as files from before May 2024: a common rule is used, and answers may suffer. A newer conversion is better.`,
    )
  const lacking = new Tokenizer(text).unspelledBytes
  if (lacking > 0)
    notes.push(
      `${name}'s vocabulary cannot spell every character (it lacks ${lacking} of the bytes that texts are made of): those that it cannot are left out of prompts.`,
    )
  return notes
}
