import {
  type RandomOptions,
  type RandomShape,
  writeRandomModel,
} from '../../services/model/synthetic.ts'

/** A model of a few kilobytes, with every feature of its family. */
export const smallShape: RandomShape = {
  layers: 2,
  hidden: 64,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  feedForward: 96,
  vocab: 300,
  context: 256,
  tiedHead: false,
}

/** A random model as a GGUF file in memory. */
export const randomModel = async (
  shape: Partial<RandomShape> = {},
  options: RandomOptions = {},
): Promise<Uint8Array> => {
  const parts: Uint8Array[] = []
  await writeRandomModel(
    async (bytes) => {
      parts.push(bytes.slice())
    },
    { ...smallShape, ...shape },
    options,
  )
  return new Uint8Array(Buffer.concat(parts))
}

/** A shape of each family in which all that the family is beyond Llama has an effect. */
export const familyShapes: Readonly<Record<string, Partial<RandomShape>>> = {
  qwen2: { family: 'qwen2', tiedHead: true },
  qwen3: { family: 'qwen3', headDim: 32 },
  mistral: { family: 'llama', window: 5 },
  phi3: {
    family: 'phi3',
    window: 6,
    ropeFactors: [1, 1.25, 1.5, 2, 3, 4, 6, 8],
  },
  gemma2: { family: 'gemma2', tiedHead: true, window: 4 },
  gemma3: { family: 'gemma3', layers: 7, tiedHead: true, window: 4, theta: 1_000_000 },
}
