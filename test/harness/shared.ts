import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/**
 * A file of the folder `shared/` beside the checkout, or of the one that MDI_SHARED names.
 * @returns its path, or undefined where it is not at hand
 */
export const sharedFile = (name: string): string | undefined => {
  const named = process.env.MDI_SHARED
  if (named) return existsSync(join(named, name)) ? join(named, name) : undefined
  for (let folder = resolve('.'); ; folder = dirname(folder)) {
    const path = join(folder, 'shared', name)
    if (existsSync(path)) return path
    if (dirname(folder) === folder) return undefined
  }
}

/** The real model to test with. */
export const realModel = (): string | undefined =>
  sharedFile('models/SmolLM2-135M-Instruct.Q4_1.gguf')
