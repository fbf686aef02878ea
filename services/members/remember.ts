/** Keeping things in the store beside the work: a disk that is full or fails ends nothing. */
import { MdiError } from '../errors.ts'
import type { Store } from '../ports.ts'

export type Remember = (key: string, value: string) => Promise<void>

/**
 * Keeps values one after the other. What cannot be kept is told in a sentence, once as long as
 * it lasts, and the process goes on with what it has in memory.
 */
export const rememberIn = (
  store: Pick<Store, 'setConfig'>,
  tell: (sentence: string) => void,
): Remember => {
  let told = ''
  return async (key, value) => {
    try {
      await store.setConfig(key, value)
      told = ''
    } catch (error) {
      if (!(error instanceof MdiError)) throw error
      const sentence = `What is to be kept over a restart (${key}) is not: ${error.message}`
      if (sentence !== told) tell(sentence)
      told = sentence
    }
  }
}
