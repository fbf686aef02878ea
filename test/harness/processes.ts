/**
 * Real processes of the service for the scripts and the system tests: started, read line by
 * line, and ended whatever happens, with the folders in which they worked.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A port of 127.0.0.1 that is free now. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })

export type Exit = { code: number | null; signal: NodeJS.Signals | null }

/** A program that can be started, killed and started again, with what it wrote. */
export class Service {
  readonly name: string
  /** Lines of standard output and standard error, of all its lives. */
  readonly lines: string[] = []
  readonly #command: readonly string[]
  readonly #environment: Readonly<Record<string, string>>
  readonly #input: string | undefined
  #child: ChildProcess | undefined
  #exited: Promise<Exit> = Promise.resolve({ code: null, signal: null })
  #onLine = new Set<(line: string) => void>()

  constructor(
    name: string,
    command: readonly string[],
    environment: Readonly<Record<string, string>>,
    input?: string,
  ) {
    this.#input = input
    this.name = name
    this.#command = command
    this.#environment = environment
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error(`${this.name} does not run`)
    return pid
  }

  get running(): boolean {
    return this.#child !== undefined
  }

  /** How its present or last life ends. */
  get exited(): Promise<Exit> {
    return this.#exited
  }

  start(): this {
    const [program = '', ...words] = this.#command
    const child = spawn(program, words, {
      env: this.#environment,
      stdio: [this.#input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      // A Ctrl-C at the terminal is for this process, which ends them in order.
      detached: true,
    })
    child.stdin?.end(this.#input)
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) if (stream) this.#read(stream)
    this.#exited = new Promise((resolve, reject) => {
      child.once('error', reject)
      // Not `exit`: its last lines are to be here.
      child.once('close', (code, signal) => {
        this.#child = undefined
        resolve({ code, signal })
      })
    })
    return this
  }

  #read(stream: NodeJS.ReadableStream): void {
    let rest = ''
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        this.lines.push(line)
        for (const listener of this.#onLine) listener(line)
      }
    })
  }

  /**
   * The first line that fits, of those after the first `since` or yet to come.
   * @throws Error when the process ends without one
   */
  async line(fits: RegExp, since = 0): Promise<string> {
    const known = this.lines.slice(since).find((l) => fits.test(l))
    if (known !== undefined) return known
    let listener: (line: string) => void = () => {}
    const come = new Promise<string>((resolve) => {
      listener = (line) => {
        if (fits.test(line)) resolve(line)
      }
      this.#onLine.add(listener)
    })
    try {
      const line = await Promise.race([come, this.#exited.then(() => undefined)])
      if (line !== undefined) return line
      throw new Error(`${this.name} ended without ${fits}:\n${this.lines.join('\n')}`)
    } finally {
      this.#onLine.delete(listener)
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Ends it at once. */
  async kill(): Promise<Exit> {
    this.signal('SIGKILL')
    return this.#exited
  }

  /** Asks it to end, and waits. */
  async stop(): Promise<Exit> {
    this.signal('SIGTERM')
    this.signal('SIGCONT')
    return this.#exited
  }
}

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A folder and the processes that work in it; none of them outlives this process. */
export class Place {
  readonly folder: string
  readonly #services = new Set<Service>()
  readonly #environment: Readonly<Record<string, string>>
  readonly #leave: () => void
  #program: readonly string[] = []

  /** @param environment of every process, beside what the system needs */
  constructor(environment: Readonly<Record<string, string>> = {}) {
    this.folder = mkdtempSync(join(tmpdir(), 'mdi-'))
    this.#environment = environment
    this.#leave = () => {
      for (const service of this.#services) service.signal('SIGKILL')
      rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 })
    }
    process.once('exit', this.#leave)
  }

  /** Uses a bundle that is made here: it starts in a third of the time of the sources. */
  build(): this {
    const out = join(this.folder, 'dist')
    execFileSync(process.execPath, [join(root, 'scripts/bundle.ts'), '--out', out], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    this.#program = [process.execPath, '--max-semi-space-size=2', join(out, 'mdi.cjs')]
    return this
  }

  /** A process `mdi …`, not yet started. */
  mdi(
    name: string,
    words: readonly string[],
    environment: Readonly<Record<string, string>> = {},
    input?: string,
  ): Service {
    const program =
      this.#program.length > 0
        ? this.#program
        : [
            process.execPath,
            '--disable-warning=ExperimentalWarning',
            join(root, 'services/main.ts'),
          ]
    return this.command(name, [...program, ...words], environment, input)
  }

  /** Runs `mdi …` to its end. @returns its lines and its exit status */
  async run(
    words: readonly string[],
    input?: string,
  ): Promise<{ lines: readonly string[]; code: number | null }> {
    const service = this.mdi(`mdi ${words.join(' ')}`, words, {}, input).start()
    const { code } = await service.exited
    this.#services.delete(service)
    return { lines: service.lines, code }
  }

  /** Any program, not yet started. */
  command(
    name: string,
    command: readonly string[],
    environment: Readonly<Record<string, string>> = {},
    input?: string,
  ): Service {
    const { PATH = '', HOME = '', TMPDIR, NODE_COMPILE_CACHE } = process.env
    const everything = {
      PATH,
      HOME,
      ...(TMPDIR !== undefined && { TMPDIR }),
      ...(NODE_COMPILE_CACHE !== undefined && { NODE_COMPILE_CACHE }),
      // The processes' own settings are their words: none of a person's may reach them.
      MDI_CONFIG: '',
      XDG_CONFIG_HOME: this.folder,
      MALLOC_MMAP_THRESHOLD_: '65536',
      ...this.#environment,
      ...environment,
    }
    const service = new Service(name, command, everything, input)
    this.#services.add(service)
    return service
  }

  /** Ends every process and removes the folder. */
  async close(): Promise<void> {
    process.off('exit', this.#leave)
    await Promise.all([...this.#services].map((s) => (s.running ? s.kill() : undefined)))
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** Ends this process in order at Ctrl-C and the like, so that what it started ends too. */
export const endInOrder = (): void => {
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
}
