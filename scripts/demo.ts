/**
 * The demonstration (`scripts/demo`): builds the bundle, and from it starts a ring of nodes
 * with a broker of its own, spreads a model over them and answers several prompts at once;
 * all in a folder that is gone afterwards.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, CommanderError } from 'commander'
import { several, whole } from '../services/cli/options.ts'
import { bytes, table, tellError } from '../services/cli/output.ts'
import { ExitStatus, MdiError } from '../services/errors.ts'
import { randomShapes, writeRandomModel } from '../services/model/synthetic.ts'
import type { VerbData } from '../services/wire/verbs.ts'
import { Cluster } from '../test/harness/cluster.ts'
import { Place } from '../test/harness/processes.ts'

type Options = {
  model?: string
  nodes: number
  prompt?: string[]
  maxTokens: number
  greedy?: boolean
  json?: boolean
}

const root = fileURLToPath(new URL('..', import.meta.url))
const houseModel = join(root, 'firmware', 'model', 'house.gguf')

const prompts = [
  'What is the capital of France? Answer in one sentence.',
  'List three fruits.',
  'Why is the sky blue?',
]
const housePrompts = [
  'Turn on the light in the kitchen.',
  'It is too cold in the bedroom.',
  'Is the garage door open?',
]

/** What a process may take to end by itself after a Ctrl-C. */
const PATIENCE_MS = 3_000

/** The folder of this run, its processes, and their end, whatever happens. */
class Stage {
  readonly place = new Place()
  readonly folder = this.place.folder
  readonly #children = new Set<ChildProcess>()
  #interrupts = 0
  #onInterrupt: () => void = () => {}
  /** Rejects at the first interrupt: what waits for something else waits no longer. */
  readonly #ended = new Promise<never>((_, reject) => {
    this.#onInterrupt = () => reject(new MdiError('cancelled', 'Stopped.'))
  })

  constructor() {
    this.#ended.catch(() => {})
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => this.#interrupt())
    process.on('exit', () => this.#endChildren())
  }

  get interrupted(): boolean {
    return this.#interrupts > 0
  }

  /** The first time processes end what they do, the second time they are ended. */
  #interrupt(): void {
    this.#interrupts += 1
    this.#onInterrupt()
    setTimeout(() => this.#endChildren(), PATIENCE_MS).unref()
    for (const child of this.#children) child.kill(this.#interrupts > 1 ? 'SIGKILL' : 'SIGINT')
  }

  /** What a promise gives, unless an interrupt comes first. */
  orInterrupted<T>(promise: Promise<T>): Promise<T> {
    // Nobody may be left to hear how it ends.
    promise.catch(() => {})
    return Promise.race([promise, this.#ended])
  }

  /** Runs Node on a file. @returns what it said, where it was not shown */
  async run(words: readonly string[], shown: boolean): Promise<string> {
    if (this.interrupted) throw new MdiError('cancelled', 'Stopped.')
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...words], {
      stdio: ['ignore', shown ? 'inherit' : 'pipe', 'inherit'],
      env: { ...process.env, MDI_DATA: join(this.folder, 'data') },
      // A Ctrl-C at the terminal comes to them from here, once.
      detached: true,
    })
    this.#children.add(child)
    let out = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    const [code] = (await once(child, 'close')) as [number | null]
    this.#children.delete(child)
    if (this.interrupted) throw new MdiError('cancelled', 'Stopped.')
    if (code !== 0) throw new Failed(code ?? 1)
    return out
  }

  #endChildren(): void {
    for (const child of this.#children) child.kill('SIGKILL')
  }

  /** Ends whatever runs, and removes the folder. */
  async clear(): Promise<void> {
    this.#endChildren()
    await this.place.close()
  }
}

/** A process failed and has said why. */
class Failed extends Error {
  readonly code: number
  constructor(code: number) {
    super('a process failed')
    this.code = code
  }
}

type Member = { node: string; layers: number; residentBytes: number }

/** A ring that has the model loaded. */
type Ring = {
  speak(words: readonly string[], shown: boolean): Promise<string>
  members(): Member[]
}

const residentBytes = (pid: number): number => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
}

/** Starts a broker, a coordinator and the nodes, and spreads the model over them. */
const openRing = async (stage: Stage, mdi: string, count: number, model: string): Promise<Ring> => {
  const models = join(stage.folder, 'data')
  const cluster = await Cluster.start(stage.place, { nodes: count, models, name: 'demo' })
  let stages: VerbData<'load'>['stages']
  try {
    stages = (await cluster.load(model)).stages
  } finally {
    // From here on the questions are a client's of its own, like any other's.
    await cluster.close()
  }
  return {
    speak: (words, shown) => stage.run([mdi, 'generate', '--broker', cluster.url, ...words], shown),
    members: () =>
      stages.map(({ node, first, end }) => ({
        node,
        layers: end - first,
        residentBytes: residentBytes(cluster.node(node).pid),
      })),
  }
}

const randomModel = async (file: string): Promise<void> => {
  const fd = openSync(file, 'w')
  const sink = async (data: Uint8Array) => {
    writeSync(fd, data)
  }
  await writeRandomModel(sink, randomShapes.tiny, { name: 'random' })
  closeSync(fd)
}

const chooseModel = async (stage: Stage, options: Options, say: (line: string) => void) => {
  if (options.model !== undefined) {
    // A file, or what `mdi pull` knows: a name, or a source.
    return { file: options.model, verb: 'pull', random: false, texts: prompts }
  }
  if (existsSync(houseModel))
    return { file: houseModel, verb: 'import', random: false, texts: housePrompts }
  const file = join(stage.folder, 'random.gguf')
  await randomModel(file)
  say('No model at hand: a small random one is made. It speaks nonsense, at real speed;')
  say('give a real one with --model smollm2-135m, or --model FILE.gguf.')
  return { file, verb: 'import', random: true, texts: prompts }
}

const demo = async (options: Options): Promise<void> => {
  const stage = new Stage()
  const say = (line: string): void => {
    if (!options.json) process.stdout.write(`${line}\n`)
  }
  try {
    const { file, verb, random, texts } = await chooseModel(stage, options, say)
    say('Building…')
    stage.place.build()
    const mdi = join(stage.folder, 'dist', 'mdi.cjs')
    const imported = await stage.run([mdi, verb, file, '--name', 'demo'], false)
    say(imported.trimEnd())
    say(`Starting ${options.nodes} ${options.nodes === 1 ? 'node' : 'nodes'} and loading…`)
    const ring = await stage.orInterrupted(openRing(stage, mdi, options.nodes, 'demo'))
    const asked = options.prompt ?? texts
    for (const [i, text] of asked.entries()) say(`  [${i + 1}] ${text}`)
    say(asked.length > 1 ? `\n${asked.length} answers at once, as they come:` : '')
    const words = [
      '--max-tokens',
      String(options.maxTokens),
      ...(options.greedy ? ['--greedy'] : []),
    ]
    if (options.json) {
      const document = JSON.parse(await ring.speak([...words, '--json', '--', ...asked], false))
      const whole = { file: basename(file), random, nodes: ring.members(), ...document }
      process.stdout.write(`${JSON.stringify(whole, undefined, 2)}\n`)
      return
    }
    await ring.speak([...words, '--', ...asked], true)
    say('')
    table(
      ['NODE', 'LAYERS', 'MEMORY'],
      ring.members().map((m) => [m.node, m.layers, bytes(m.residentBytes)]),
    )
  } finally {
    await stage.clear()
    if (stage.interrupted) process.exit(ExitStatus.interrupted)
  }
}

const program = new Command('scripts/demo')
  .description(
    `Installs, builds, starts a ring of nodes on this machine and answers several prompts at
once; everything it makes is gone afterwards.`,
  )
  .option(
    '--model <file>',
    'a name or source as of `mdi pull`, or a file; otherwise the one in firmware/model, or a random one',
  )
  .option('--nodes <n>', 'nodes of the ring', whole(1), 3)
  .option('--prompt <text>', 'what to answer; can be given again', several)
  .option('--max-tokens <n>', 'tokens of an answer at most', whole(1), 64)
  .option('--greedy', 'always the likeliest token')
  .option('--json', 'one JSON document instead of text')
  .exitOverride()
  .action(demo)

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
  else if (error instanceof Failed) process.exitCode = error.code
  else process.exitCode = tellError(error)
}
