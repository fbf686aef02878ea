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
