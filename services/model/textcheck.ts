/** Whether a model's text side is of use, asked when it is imported and not when somebody waits for an answer. */
import { MdiError } from '../errors.ts'
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
    new Tokenizer(text).encode(SAMPLE)
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
