/**
 * Kills (SIGKILL) and stops (SIGSTOP) random nodes of a ring of processes under load
 * (`scripts/chaos`). Every request that runs must end in time with a sentence that names the
 * node, no answer may hold a wrong token, and the ring must be whole again in time after the
 * node is back, with no one's help.
 */
import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { whole } from '../services/cli/options.ts'
import { json, table, tellError } from '../services/cli/output.ts'
import { limits } from '../services/limits.ts'
import { defaultSampling } from '../services/model/sampler.ts'
import type { Manifest } from '../services/model/spec.ts'
import { randomShapes, writeRandomModel } from '../services/model/synthetic.ts'
import type { Cluster } from '../test/harness/cluster.ts'
import { Cluster as Processes } from '../test/harness/cluster.ts'
import { type Known, Load } from '../test/harness/load.ts'
import { endInOrder, Place } from '../test/harness/processes.ts'
import { importInto, openRing } from '../test/harness/rings.ts'

type Options = {
  nodes: number
  kills: number
  stops: number
  tokens: number
  seed: number
  model?: string
  json?: boolean
}

/** Numbers from 0 to 1 that a seed gives (Mulberry32). */
const randomOf = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const CONTEXT = 2_048
const PROMPTS = [
  'Once upon a time there was',
  'The capital of France is',
  'In the garden behind the house',
  'Water boils when',
  'A list of animals:',
  'The first rule is',
]

/** What a ring of one says to each prompt, alone. */
const answersOf = async (models: string, model: Manifest, tokens: number): Promise<Known[]> => {
  const ring = await openRing(models, model, { arithmetic: 'exact', threads: 1, context: CONTEXT })
  try {
    const known: Known[] = []
    for (const [i, prompt] of PROMPTS.entries()) {
      const sampling = { ...defaultSampling, temperature: 0.7, seed: i + 1 }
      const text = await new Promise<string>((resolve, error) => {
        const request = { id: `known-${i}`, input: { prompt }, sampling, maxTokens: tokens }
        const listener = { text: () => {}, end: (a: { text: string }) => resolve(a.text), error }
        void ring.generations.submit(ring.model, { ...request, stop: [] }, listener)
      })
      known.push({ ask: { prompt, sampling, maxTokens: tokens }, text })
    }
    return known
  } finally {
    await ring.close()
  }
}

type Round = {
  what: 'kill' | 'stop'
  node: string
  /** From the blow to the end of the last request that ran, and to the ring's next words. */
  endedMs: number
  wholeMs: number
  /** Requests that were ended; those whose sentence does not name the node. */
  ended: number
  unnamed: string[]
  hang: boolean
}

/** A hang is told when nothing has come for so long. */
const HANG_MS = 60_000

/** Resolves with the time, or undefined when it took too long. */
const timed = async (work: Promise<void>, from: number): Promise<number | undefined> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), HANG_MS)
  })
  const first = await Promise.race([work, late])
  clearTimeout(timer)
  return first === 'late' ? undefined : performance.now() - from
}

const blow = async (
  cluster: Cluster,
  load: Load,
  what: Round['what'],
  name: string,
  away: number,
): Promise<Round> => {
  const node = cluster.node(name)
  const known = load.ended.length
  const struck = performance.now()
  const ran = load.running.length
  if (what === 'kill') await node.kill()
  else node.signal('SIGSTOP')
  const ended = await timed(
    load.until(() => load.running.every((since) => since > struck)),
    struck,
  )
  await new Promise((resolve) => setTimeout(resolve, away))
  const back = performance.now()
  const { begun } = load
  if (what === 'kill') node.start()
  else node.signal('SIGCONT')
  const whole = await timed(
    load.until(() => load.begun > begun),
    back,
  )
  const told = load.ended.slice(known)
  return {
    what,
    node: name,
    endedMs: ended ?? HANG_MS,
    wholeMs: whole ?? HANG_MS,
    ended: Math.min(ran, told.length),
    unnamed: told.filter((e) => !e.message.includes(`Node ${name} `)).map((e) => e.message),
    hang: ended === undefined || whole === undefined,
  }
}

const run = async (cluster: Cluster, known: readonly Known[], options: Options) => {
  const random = randomOf(options.seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const blows = [
    ...Array.from({ length: options.kills }, () => 'kill' as const),
    ...Array.from({ length: options.stops }, () => 'stop' as const),
  ].toSorted(() => random() - 0.5)
  // As many as the ring has lanes: each runs as it would alone, bit for bit.
  const load = new Load(cluster, known, options.nodes)
  const rounds: Round[] = []
  for (const what of blows) {
    await load.until(() => load.speaking === options.nodes)
    const name = pick(cluster.nodes).name
    const round = await blow(cluster, load, what, name, random() * 2_000)
    rounds.push(round)
    if (!options.json)
      process.stderr.write(
        `${rounds.length}/${blows.length} ${what} ${name}: ended ${round.endedMs.toFixed(0)} ms, whole ${round.wholeMs.toFixed(0)} ms${round.hang ? ', HANG' : ''}\n`,
      )
    if (round.hang) break
  }
  if (!rounds.some((r) => r.hang)) await load.stop()
  return { rounds, load }
}

const prepare = async (place: Place, model: string | undefined): Promise<string> => {
  if (model !== undefined) return model
  process.stderr.write('No model was given: a small random one is made.\n')
  const path = join(place.folder, 'random.gguf')
  const file = await open(path, 'w')
  await writeRandomModel((bytes) => file.writeFile(bytes), {
    ...randomShapes.tiny,
    layers: 12,
    context: CONTEXT,
  })
  await file.close()
  return path
}

const chaos = async (options: Options): Promise<void> => {
  const place = new Place().build()
  try {
    const models = join(place.folder, 'models')
    const manifest = await importInto(models, await prepare(place, options.model))
    const known = await answersOf(models, manifest, options.tokens)
    const cluster = await Processes.start(place, { nodes: options.nodes, models })
    await cluster.load(manifest.name, { arithmetic: 'exact', context: CONTEXT })
    const { rounds, load } = await run(cluster, known, options)
    await cluster.close()
    tell(rounds, load, options)
  } finally {
    await place.close()
  }
}

const tell = (rounds: readonly Round[], load: Load, options: Options): void => {
  const of = (what: Round['what']) => rounds.filter((r) => r.what === what)
  const worst = (list: readonly Round[], key: 'endedMs' | 'wholeMs') =>
    Math.round(Math.max(0, ...list.map((r) => r[key])))
  const unnamed = rounds.flatMap((r) => r.unnamed.map((m) => `${r.what} ${r.node}: ${m}`))
  const late = rounds.filter((r) => r.endedMs > limits.lossMs || r.wholeMs > limits.lossMs)
  const hangs = rounds.filter((r) => r.hang).length
  const failed = hangs > 0 || load.wrong.length > 0 || unnamed.length > 0 || late.length > 0
  if (failed) process.exitCode = 1
  const { done, tokens, ended, wrong } = load
  if (options.json) {
    json({ rounds, done, tokens, ended: ended.length, wrong, unnamed, hangs })
    return
  }
  table(
    ['', 'ROUNDS', 'REQUESTS ENDED', 'ENDED WITHIN ms', 'WHOLE WITHIN ms'],
    (['kill', 'stop'] as const).map((what) => [
      what,
      of(what).length,
      of(what).reduce((sum, r) => sum + r.ended, 0),
      worst(of(what), 'endedMs'),
      worst(of(what), 'wholeMs'),
    ]),
  )
  process.stdout.write(
    `${done} requests came to their right end (${tokens} tokens), ${ended.length} were ended; ${wrong.length} wrong, ${hangs} hangs, ${late.length} late, ${unnamed.length} without the node's name.\n`,
  )
  for (const sentence of unnamed.slice(0, 5)) process.stdout.write(`UNNAMED: ${sentence}\n`)
  for (const { want, have } of wrong.slice(0, 3))
    process.stdout.write(`WRONG: ${JSON.stringify(have)}\n  WANT ${JSON.stringify(want)}\n`)
}

const readable = (path: string): string => {
  if (existsSync(path)) return path
  throw new CommanderError(2, 'file', `error: there is no file ${path}`)
}

const program = new Command('scripts/chaos')
  .description(
    `Kills and stops random nodes of a ring of processes under load. Fails when a request hangs,
an answer holds a wrong token, a sentence does not name the node, or the ring takes longer
than ${limits.lossMs / 1000} s to tell a loss or to be whole again once the node is back.`,
  )
  .option('--nodes <n>', 'nodes of the ring', whole(2), 3)
  .option('--kills <n>', 'nodes to kill', whole(0), 20)
  .option('--stops <n>', 'nodes to stop and let go on', whole(0), 20)
  .option('--model <file>', 'a GGUF file; without it a small random model is made', readable)
  .option('--tokens <n>', 'tokens of an answer', whole(1), 80)
  .option('--seed <n>', 'the same seed strikes the same nodes', whole(0), 1)
  .option('--json', 'one JSON document instead of a table')
  .exitOverride()
  .action(chaos)

endInOrder()
try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
  else process.exitCode = tellError(error)
}
