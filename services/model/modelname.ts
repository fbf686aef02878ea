/** How models are called: names from files' names, and which one a person means. */
import type { Manifest } from './spec.ts'

/** A model's name from its file's: without the ending, of letters, digits and `. _ -`. */
export const modelName = (file: string): string =>
  file
    .replace(/\.(gguf|safetensors)$/i, '')
    .replace(/-\d{5}-of-\d{5}$/, '')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[-.]+/, '')
    .slice(0, 100) || 'model'

/** How files' names tell their weights: `.Q4_1`, `-Q4_K_M`, `_iq4_nl`, `-UD-Q4_K_XL`, `.f16`. */
const weights =
  /[._-](?:UD-)?(?:I?Q\d(?:_[0-9A-Z]+)*|TQ\d_\d|MXFP4|NVFP4|BF16|F(?:P)?(?:16|32))(?:[._-]imat(?:rix)?)?$/i

/** A model's name without what tells its weights. */
export const shortName = (name: string): string => {
  const short = name.replace(weights, '')
  return short === '' ? name : short
}

/**
 * A file's model's name: the short one, unless another model here has it.
 * @param isSame whether a model of the store is the file's
 */
export const freeName = async (
  store: { getModel(name: string): Promise<Manifest | undefined> },
  file: string,
  isSame: (model: Manifest) => boolean,
): Promise<string> => {
  const full = modelName(file)
  const short = shortName(full)
  if (short === full) return full
  const long = await store.getModel(full)
  if (long && isSame(long)) return full
  const there = await store.getModel(short)
  return !there || isSame(there) ? short : full
}

/** Which of these names a person may mean: that one in whatever case, or else with that beginning. */
export const meantNames = (names: readonly string[], given: string): string[] => {
  const wanted = given.toLowerCase()
  if (names.includes(given)) return [given]
  const same = names.filter((name) => name.toLowerCase() === wanted)
  if (same.length > 0 || wanted === '') return same
  return names.filter((name) => name.toLowerCase().startsWith(wanted))
}
