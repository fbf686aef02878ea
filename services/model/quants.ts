/**
 * The table of tensor types. Numbers and names are those of GGUF,
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
 */

/** One tensor type: how its elements lie in blocks of bytes. */
export type TensorType = {
  readonly name: string
  /** `ggml_type` in a GGUF file. */
  readonly id: number
  /** Elements in a block; a row holds whole blocks. */
  readonly elements: number
  /** Bytes of a block. */
  readonly bytes: number
}

/** Every type that can be imported. */
export const tensorTypes: readonly TensorType[] = [
  { name: 'F32', id: 0, elements: 1, bytes: 4 },
  { name: 'F16', id: 1, elements: 1, bytes: 2 },
  { name: 'Q4_0', id: 2, elements: 32, bytes: 18 },
  { name: 'Q4_1', id: 3, elements: 32, bytes: 20 },
  { name: 'Q5_0', id: 6, elements: 32, bytes: 22 },
  { name: 'Q5_1', id: 7, elements: 32, bytes: 24 },
  { name: 'Q8_0', id: 8, elements: 32, bytes: 34 },
  { name: 'Q2_K', id: 10, elements: 256, bytes: 84 },
  { name: 'Q3_K', id: 11, elements: 256, bytes: 110 },
  { name: 'Q4_K', id: 12, elements: 256, bytes: 144 },
  { name: 'Q5_K', id: 13, elements: 256, bytes: 176 },
  { name: 'Q6_K', id: 14, elements: 256, bytes: 210 },
  { name: 'IQ4_NL', id: 20, elements: 32, bytes: 18 },
  { name: 'BF16', id: 30, elements: 1, bytes: 2 },
]

/** Types that GGUF has and that cannot be imported, so that they can be refused by name. */
const foreignTypes: Readonly<Record<number, string>> = {
  9: 'Q8_1',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  24: 'I8',
  25: 'I16',
  26: 'I32',
  27: 'I64',
  28: 'F64',
  29: 'IQ1_M',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
  40: 'NVFP4',
  41: 'Q1_0',
}

const byId = new Map(tensorTypes.map((type) => [type.id, type]))
const byName = new Map(tensorTypes.map((type) => [type.name, type]))

/** The type with this GGUF number, if it can be imported. */
export const typeById = (id: number): TensorType | undefined => byId.get(id)
/** The type of this name, if it can be imported. */
export const typeByName = (name: string): TensorType | undefined => byName.get(name)
/** How a GGUF number is called, known or not. */
export const typeLabel = (id: number): string =>
  byId.get(id)?.name ?? foreignTypes[id] ?? `number ${id}`
