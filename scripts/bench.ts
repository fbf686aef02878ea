/**
 * Measures rings of 1 to N node processes (`scripts/bench`): tokens against time, throughput,
 * memory a node, bytes on the wire, pipeline efficiency, and launch to first token.
 */
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { arithmetic, whole } from '../services/cli/options.ts'
import { json, table, tellError } from '../services/cli/output.ts'
import { processor } from '../services/io/board/system.ts'
import { randomShapes, writeRandomModel } from '../services/model/synthetic.ts'
import type { Arithmetic } from '../services/ports.ts'
import { csvOf, svgOf } from '../test/harness/chart.ts'
import { llamaRate } from '../test/harness/llama.ts'
import {
  measureRing,
  measureRivals,
  type Rivals,
  type RunFigures,
} from '../test/harness/measure.ts'
import { endInOrder, Place } from '../test/harness/processes.ts'
import { importInto } from '../test/harness/rings.ts'

type Options = {
  shape: keyof typeof randomShapes
  model?: string
  nodes: number[]
  samples?: number
  tokens: number
  prompt: number
  threads: number
  arithmetic: Arithmetic
  context: number
  out?: string
  rivals?: number
  llama?: string
  json?: boolean
}

/**
 * What the paper's own code reaches with one thread a process on a machine of this kind, by
 * shape and nodes, as many samples as nodes: tokens a second, and the largest memory a node.
 */
const paper: Record<string, Record<number, { rate: number; megabytes?: number }>> = {
  '304m': { 1: { rate: 15.0 }, 2: { rate: 25.5 }, 3: { rate: 23.6 } },
  '1.1b': {
    1: { rate: 4.5, megabytes: 5_162 },
    2: { rate: 7.2, megabytes: 2_929 },
    3: { rate: 7.3, megabytes: 2_170 },
  },
}

const prepare = async (place: Place, options: Options): Promise<string> => {
  if (options.model !== undefined) return options.model
  const path = join(place.folder, `random-${options.shape}.gguf`)
  const file = await open(path, 'w')
  await writeRandomModel((bytes) => file.writeFile(bytes), randomShapes[options.shape])
  await file.close()
  return path
}

const say = (options: Options, text: string): void => {
  if (!options.json) process.stderr.write(`${text}\n`)
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0)
const list = (values: readonly (string | number)[]): string => values.join(' ')

const show = (runs: readonly RunFigures[], options: Options): void => {
  table(
    ['NODES', 'SAMPLES', 'tok/s', 'EFFICIENCY', 'FIRST ms', 'LAUNCH ms', 'PAPER ×', 'MEMORY ÷'],
    runs.map((r) => {
      const theirs = options.model ? undefined : paper[options.shape]?.[r.nodes]
      const most = Math.max(...r.perNode.map((n) => n.rss)) / 1e6
      return [
        r.nodes,
        r.samples,
        r.tokensPerSecond.toFixed(1),
        `${(100 * r.efficiency).toFixed(0)} % (of the cores ${(100 * r.coreEfficiency).toFixed(0)} %)`,
        r.firstTokenMs.toFixed(0),
        r.launchMs.toFixed(0),
        theirs ? (r.tokensPerSecond / theirs.rate).toFixed(1) : '',
        theirs?.megabytes ? (theirs.megabytes / most).toFixed(1) : '',
      ]
    }),
  )
  table(
    ['NODES', 'LAYERS', 'STAGE ms/token', 'PSS MB', 'RSS MB', 'PEAK MB', 'WIRE bytes/token'],
    runs.map(({ nodes, perNode }) => [
      nodes,
      list(perNode.map((n) => n.layers)),
      list(perNode.map((n) => n.stageMs.toFixed(1))),
      list(perNode.map((n) => megabytes(n.pss))),
      list(perNode.map((n) => megabytes(n.rss))),
      list(perNode.map((n) => megabytes(n.peak))),
      list(perNode.map((n) => n.wireBytes.toFixed(0))),
    ]),
  )
}

const tellRivals = ({ ring, alone, ratio }: Rivals): void => {
  const rates = (all: readonly number[]) => all.map((r) => r.toFixed(1)).join(', ')
  process.stdout.write(
    `A ring of two: ${rates(ring)} tok/s; two processes with the whole model each: ${rates(alone)}; median ratio ${ratio.toFixed(3)} (wanted: 0.92).\n`,
  )
}

const bench = async (options: Options): Promise<void> => {
  const place = new Place().build()
  try {
    const file = await prepare(place, options)
    const models = join(place.folder, 'models')
    say(options, `Importing ${basename(file)}…`)
    const manifest = await importInto(models, file)
    const common = { ...options, context: Math.min(options.context, manifest.spec.context) }
    const runs: RunFigures[] = []
    for (const nodes of options.nodes) {
      const samples = options.samples ?? nodes
      say(options, `${nodes} nodes, ${samples} samples…`)
      const run = await measureRing(place, models, manifest, { ...common, nodes, samples })
      say(
        options,
        `  ${run.tokensPerSecond.toFixed(1)} tok/s, launch ${run.launchMs.toFixed(0)} ms`,
      )
      runs.push(run)
    }
    let rivals: Rivals | undefined
    if (options.rivals) {
      say(options, 'A ring of two against two processes…')
      const copies = ['b', 'c'].map((c) => join(place.folder, `models-${c}`)) as [string, string]
      for (const copy of copies) cpSync(models, copy, { recursive: true })
      const run = { ...common, nodes: 2, samples: options.samples ?? 2 }
      rivals = await measureRivals(place, [models, ...copies], manifest, run, options.rivals)
    }
    const llama = options.llama ? await llamaRate(place, options.llama, file, options) : undefined
    if (options.out !== undefined) {
      mkdirSync(options.out, { recursive: true })
      const name = options.model ? basename(options.model, '.gguf') : options.shape
      writeFileSync(join(options.out, `${name}.csv`), csvOf(runs))
      writeFileSync(join(options.out, `${name}.svg`), await svgOf(runs, name))
    }
    if (options.json) {
      const figures = runs.map(({ moments: _, ...figures }) => figures)
      json({ processor: processor(), model: manifest.name, runs: figures, rivals, llama })
      return
    }
    show(runs, options)
    if (rivals) tellRivals(rivals)
    if (llama !== undefined)
      process.stdout.write(`llama.cpp, the same file and threads: ${llama.toFixed(1)} tok/s.\n`)
  } finally {
    await place.close()
  }
}

const shape = (text: string): keyof typeof randomShapes => {
  if (Object.hasOwn(randomShapes, text)) return text as keyof typeof randomShapes
  throw new InvalidArgumentError(`It is one of ${Object.keys(randomShapes).join(', ')}.`)
}
const readable = (path: string): string => {
  if (existsSync(path)) return path
  throw new InvalidArgumentError('There is no such file or folder.')
}
const counts = (text: string): number[] => text.split(',').map(whole(1))

const program = new Command('scripts/bench')
  .description('Measures rings of node processes on this machine, one after the other.')
  .option(
    '--shape <name>',
    `random weights: ${Object.keys(randomShapes).join(', ')}`,
    shape,
    '304m',
  )
  .option('--model <file>', 'a GGUF file instead', readable)
  .option('--nodes <list>', 'nodes of each ring', counts, [1, 2, 3])
  .option('--samples <n>', 'sequences at once; otherwise as many as nodes', whole(1))
  .option('--tokens <n>', 'tokens of a sample', whole(2), 100)
  .option('--prompt <n>', 'tokens of its prompt', whole(2), 16)
  .option('--threads <n>', 'threads of a node', whole(1), 1)
  .option('--arithmetic <kind>', 'fast or exact', arithmetic, 'fast')
  .option('--context <n>', 'positions of a sequence at most', whole(16), 2_048)
  .option('--rivals <rounds>', 'a ring of two against two whole processes, in turns', whole(1))
  .option('--llama <folder>', 'a folder in which node-llama-cpp is installed', readable)
  .option('--out <folder>', 'writes tokens against time as CSV and SVG')
  .option('--json', 'one JSON document instead of tables')
  .exitOverride()
  .action(bench)

endInOrder()
try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
  else process.exitCode = tellError(error)
}
