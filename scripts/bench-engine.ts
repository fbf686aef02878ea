/**
 * Measures the engine alone, in this process, on random weights in real shapes
 * (`scripts/bench-engine`): what the context's limit costs, what sequences side by side
 * gain, how fast prompts go by chunk, and how much memory comes back with dropped layers.
 */
import { openSync, readFileSync, writeSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { arithmetic, whole } from '../services/cli/options.ts'
import { bytes, json, table, tellError } from '../services/cli/output.ts'
import { processor } from '../services/io/board/system.ts'
import { OrtEngine } from '../services/io/ort/engine.ts'
import { RecordReader } from '../services/io/store/reader.ts'
import type { Manifest } from '../services/model/spec.ts'
import { type RandomShape, randomShapes, writeRandomModel } from '../services/model/synthetic.ts'
import type { Arithmetic, Segment } from '../services/ports.ts'
import { importInto, withFolder } from '../test/harness/rings.ts'

type Options = {
  shape: RandomShape
  layers: number
  type: string
  arithmetic: Arithmetic
  threads: number
  runs: number
  json?: boolean
}

/** Kilobytes of a line of this process's status, in bytes. */
const status = (name: string): number => {
  const text = readFileSync('/proc/self/status', 'utf8')
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN) * 1024
}

const median = (values: number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[sorted.length >> 1] as number
}

const segment = (sequence: number, position: number, rows: number): Segment => ({
  sequence,
  branch: 0,
  position,
  rows,
  wanted: 1,
})

class Bench {
  readonly #engine: OrtEngine
  readonly #manifest: Manifest
  readonly #options: Options

  constructor(folder: string, manifest: Manifest, options: Options) {
    const source = new RecordReader({ folder })
    const { threads } = options
    this.#engine = new OrtEngine({ source, folder: join(folder, 'runtime'), threads })
    this.#manifest = manifest
    this.#options = options
  }

  load(layers: number, context: number): Promise<unknown> {
    const { arithmetic } = this.#options
    const manifest = this.#manifest
    return this.#engine.load({ manifest, first: 0, end: layers, ends: true, arithmetic, context })
  }

  /** Milliseconds of one visit; head included, as in decoding. */
  async visit(segments: Segment[], opening: readonly number[] = []): Promise<number> {
    const rows = segments.reduce((sum, s) => sum + s.rows, 0)
    const startedAt = performance.now()
    await this.#engine.run({
      operations: opening.map((sequence) => ({ kind: 'open', sequence })),
      segments,
      input: Int32Array.from({ length: rows }, (_, i) => (i * 31) % 1000),
      output: 'wanted',
      head: segments.map(() => ({ kind: 'score', ids: [] })),
    })
    return performance.now() - startedAt
  }

  /** Opens sequences and runs `position` rows of each. */
  async fill(ids: readonly number[], position: number): Promise<void> {
    for (const id of ids) await this.visit([segment(id, 0, position)], [id])
  }

  /** Milliseconds of a visit with one row of each sequence. */
  decode(ids: readonly number[], position: number): Promise<number> {
    return this.visit(ids.map((id) => segment(id, position, 1)))
  }

  /** Tokens a second of a prompt by chunks of `chunk` rows. */
  async prefill(chunk: number, length: number): Promise<number> {
    const times: number[] = []
    for (let run = 0; run < 3; run++) {
      let ms = 0
      for (let at = 0; at < length; at += chunk)
        ms += await this.visit([segment(1, at, Math.min(chunk, length - at))], at === 0 ? [1] : [])
      times.push(ms)
    }
    return (length * 1000) / median(times)
  }

  close(): Promise<void> {
    return this.#engine.close()
  }
}

/** Decode time with two limits of the context, in turns: other work then falls on both. */
const measureContext = async (make: () => Bench, { layers, runs }: Options) => {
  const near = make()
  const far = make()
  await near.load(layers, 512)
  await far.load(layers, 8_192)
  for (const bench of [near, far]) await bench.fill([1], 130)
  const times: [near: number, far: number][] = []
  for (let run = 0; run < runs; run++)
    times.push([await near.decode([1], 130 + run), await far.decode([1], 130 + run)])
  await near.close()
  await far.close()
  const settled = times.slice(2)
  return {
    context512: median(settled.map(([n]) => n)),
    context8192: median(settled.map(([, f]) => f)),
    ratio: median(settled.map(([n, f]) => f / n)),
  }
}

const TOGETHER = [1, 2, 4, 8]

/** Milliseconds of a visit by how many sequences are in it. */
const measureBatches = async (bench: Bench, runs: number): Promise<Record<number, number>> => {
  const times: Record<number, number[]> = {}
  const ids = (n: number) => Array.from({ length: n }, (_, i) => 100 * n + i)
  for (const n of TOGETHER) {
    times[n] = []
    await bench.fill(ids(n), 64)
  }
  for (let run = 0; run < runs; run++)
    for (const n of TOGETHER) times[n]?.push(await bench.decode(ids(n), 64 + run))
  return Object.fromEntries(TOGETHER.map((n) => [n, median(times[n]?.slice(2) as number[])]))
}

/** Memory with all layers, half of them and one, before anything else has used any. */
const measureMemory = async (bench: Bench, layers: number) => {
  // Loaded anew so that caches do not count; run once so that all pages are there.
  const resident = async (n: number) => {
    await bench.load(n, 512)
    await bench.visit([segment(1, 0, 4)], [1])
    globalThis.gc?.()
    return { rss: status('VmRSS'), anonymous: status('RssAnon') }
  }
  const half = Math.ceil(layers / 2)
  const before = await resident(1)
  const all = await resident(layers)
  const kept = await resident(half)
  const share = (layers - half) / (layers - 1)
  const returned = (of: 'rss' | 'anonymous') =>
    (all[of] - kept[of]) / ((all[of] - before[of]) * share)
  return {
    one: before,
    all,
    half: kept,
    /** Of what the dropped layers took when they were loaded. */
    returned: returned('rss'),
    anonymousReturned: returned('anonymous'),
  }
}

const measure = async (folder: string, manifest: Manifest, options: Options) => {
  const { layers, threads, runs, type } = options
  const make = () => new Bench(folder, manifest, options)
  const bench = make()
  const memory = await measureMemory(bench, layers)
  await bench.load(layers, 2_048)
  const batches = await measureBatches(bench, runs)
  const prefill: Record<number, number> = {}
  for (const chunk of [16, 32, 64, 128, 256]) prefill[chunk] = await bench.prefill(chunk, 256)
  await bench.close()
  return {
    processor: processor().name,
    arithmetic: options.arithmetic,
    threads,
    layers,
    type,
    decodeMsAt130: await measureContext(make, options),
    decodeMsBySequences: batches,
    gainOfFour: (4 * (batches[1] as number)) / (batches[4] as number),
    prefillTokensPerSecondByChunk: prefill,
    memory,
  }
}

type Figures = Awaited<ReturnType<typeof measure>>

const show = (f: Figures): void => {
  const { context512, context8192, ratio } = f.decodeMsAt130
  const percent = (x: number) => `${(100 * x).toFixed(0)} %`
  process.stdout.write(
    `${f.processor}, ${f.threads} threads, ${f.arithmetic}, ${f.layers} layers of ${f.type}\n\n`,
  )
  table(
    ['WHAT', 'MEASURED', 'BOUND'],
    [
      ['decode at position 130, context 512', `${context512.toFixed(1)} ms`, ''],
      ['the same, context 8192', `${context8192.toFixed(1)} ms, ×${ratio.toFixed(2)}`, '≤ ×1.10'],
      ...Object.entries(f.decodeMsBySequences).map(([n, ms]) => [
        `${n} sequences in one visit`,
        `${ms.toFixed(1)} ms, ${((Number(n) * 1000) / ms).toFixed(1)} tok/s`,
        n === '4' ? `×${f.gainOfFour.toFixed(2)}; ≥ ×1.9` : '',
      ]),
      ...Object.entries(f.prefillTokensPerSecondByChunk).map(([chunk, rate]) => [
        `prompt in chunks of ${chunk}`,
        `${rate.toFixed(1)} tok/s`,
        '',
      ]),
      ['memory with all layers', bytes(f.memory.all.rss), ''],
      [
        'after half were dropped',
        bytes(f.memory.half.rss),
        `${percent(f.memory.returned)}; ≥ 80 %`,
      ],
      ['anonymous memory returned', percent(f.memory.anonymousReturned), '≥ 80 %'],
    ],
  )
}

const shapes: Record<string, RandomShape> = randomShapes
const shape = (text: string): RandomShape => {
  const found = shapes[text]
  if (!found) throw new InvalidArgumentError(`It is one of ${Object.keys(shapes).join(', ')}.`)
  return found
}

const bench = async (options: Options): Promise<void> => {
  const figures = await withFolder(async (folder) => {
    const file = join(folder, 'random.gguf')
    const fd = openSync(file, 'w')
    await writeRandomModel(
      async (data) => {
        writeSync(fd, data)
      },
      { ...options.shape, layers: options.layers, context: 8_192 },
      { type: options.type },
    )
    const manifest = await importInto(folder, file)
    return measure(folder, manifest, options)
  })
  if (options.json) json(figures)
  else show(figures)
}

const program = new Command('scripts/bench-engine')
  .description('Measures the engine alone, on random weights in real shapes.')
  .addOption(
    new Option('--shape <name>', `one of ${Object.keys(shapes).join(', ')}`)
      .argParser(shape)
      .default(shapes['1.1b'], '1.1b'),
  )
  .option('--layers <n>', 'layers', whole(2), 8)
  .option('--type <type>', 'tensor type of the matrices', 'Q4_0')
  .option('--arithmetic <kind>', 'exact or fast', arithmetic, 'fast')
  .option('--threads <n>', 'threads that compute', whole(1), Math.min(4, availableParallelism()))
  .option('--runs <n>', 'visits that a median is taken of', whole(3), 30)
  .option('--json', 'one JSON document instead of a table')
  .exitOverride()
  .action(bench)

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
  else process.exitCode = tellError(error)
}
