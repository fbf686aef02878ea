/** `mdi bench`: speed of prompt and answer, and memory, on this machine alone. */
import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import { residentMemory } from '../io/board/system.ts'
import type { LocalRing, WorkerEntry } from '../lifecycle/local.ts'
import { defaultSampling } from '../model/sampler.ts'
import type { Answer } from '../requests/generation.ts'
import { withLocalRing } from './local.ts'
import { addEngineOptions, type EngineOptions, whole } from './options.ts'
import { bytes, json, table } from './output.ts'
import { localSpeaker } from './speaker.ts'

type Options = EngineOptions & {
  model?: string
  prompt: number
  tokens: number
  sequences: number
  json?: boolean
}

export const addBench = (program: Command, entry: WorkerEntry): void => {
  const command = program
    .command('bench')
    .description('measure prompt speed, answer speed and memory of a model here')
    .option('--model <name>', 'which model, where there are several')
    .option('--prompt <n>', 'tokens of the prompt', whole(2), 128)
    .option('--tokens <n>', 'tokens of the answer', whole(2), 64)
    .option('--sequences <n>', 'answers at once', whole(1), 1)
    .option('--json', 'one JSON document instead of a table')
  addEngineOptions(command).action(async (options: Options, self: Command) => {
    await withLocalRing(entry, self, options.model, options, (ring) => bench(ring, options))
  })
}

const bench = async (ring: LocalRing, options: Options): Promise<void> => {
  const { manifest } = ring.model
  await measure(ring, { ...options, prompt: 8, tokens: 4, sequences: 1 })
  const startedAt = performance.now()
  const answers = await measure(ring, options)
  const seconds = (performance.now() - startedAt) / 1000
  const firstMs = Math.max(...answers.map((a) => a.firstTokenMs ?? 0))
  const promptTokens = answers.reduce((sum, a) => sum + a.promptTokens, 0)
  const tokens = answers.reduce((sum, a) => sum + a.tokens, 0)
  const result = {
    model: manifest.name,
    arithmetic: options.arithmetic,
    threads: options.threads,
    sequences: options.sequences,
    promptTokens,
    tokens,
    prefillTokensPerSecond: (promptTokens * 1000) / firstMs,
    decodeTokensPerSecond: (tokens - answers.length) / (seconds - firstMs / 1000),
    firstTokenMs: firstMs,
    residentBytes: residentMemory(),
    weightBytes: ring.report.weightBytes,
    forms: ring.report.forms,
  }
  if (options.json) {
    json(result)
    return
  }
  table(
    ['MODEL', 'ARITHMETIC', 'THREADS', 'AT ONCE', 'PROMPT tok/s', 'ANSWER tok/s', 'MEMORY'],
    [
      [
        result.model,
        result.arithmetic,
        result.threads,
        result.sequences,
        result.prefillTokensPerSecond.toFixed(1),
        result.decodeTokensPerSecond.toFixed(1),
        bytes(result.residentBytes),
      ],
    ],
  )
}

/** Runs the answers to their full length: the end token does not count. */
const measure = (ring: LocalRing, options: Options): Promise<Answer[]> => {
  const { vocab } = ring.model.manifest.spec
  const words = ring.model.tokenizer.decode(
    Array.from({ length: options.prompt }, (_, i) => (i * 7919 + 300) % Math.min(vocab, 4_000)),
  )
  const ids = ring.model.tokenizer.encode(words).slice(0, options.prompt)
  const prompt = ring.model.tokenizer.decode(ids)
  const next = ids[0] ?? 0
  return Promise.all(
    Array.from({ length: options.sequences }, () =>
      localSpeaker(ring).answer(
        {
          id: randomUUID(),
          input: { prompt },
          sampling: { ...defaultSampling, temperature: 0 },
          maxTokens: options.tokens,
          stop: [],
          score: Array.from({ length: options.tokens }, () => ({ ids: [], next })),
        },
        { text: () => {} },
      ),
    ),
  )
}
