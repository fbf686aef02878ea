/** The command line as a real process. */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../services/main.ts', import.meta.url))
const script = fileURLToPath(new URL('../../scripts/bundle.ts', import.meta.url))

/** Bundles into a folder: the bundle starts in a quarter of the sources' time. */
export const buildBundle = (folder: string): { entry: string; said: string } => {
  const words = ['--disable-warning=ExperimentalWarning', script, '--out', folder]
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`the build failed: ${stderr}`)
  return { entry: join(folder, 'mdi.cjs'), said: stdout }
}

export type Ran = { code: number | null; signal: string | null; stdout: string; stderr: string }

export type Mdi = {
  /** The bundle, or the sources where absent. */
  entry?: string
  /** The data folder. */
  data: string
  env?: Record<string, string>
  cwd?: string
  input?: string
}

/** What the process starts with: nothing of this machine's settings. */
const environment = ({ data, env = {} }: Mdi): Record<string, string> => ({
  PATH: process.env.PATH ?? '',
  HOME: data,
  MDI_DATA: data,
  // Set already, so that the process need not start itself anew for it.
  MALLOC_MMAP_THRESHOLD_: '65536',
  ...env,
})

const command = (mdi: Mdi, words: readonly string[]): string[] => [
  '--disable-warning=ExperimentalWarning',
  mdi.entry ?? main,
  ...words,
]

/** Starts `mdi WORDS…`. */
export const startMdi = (mdi: Mdi, words: readonly string[], options: SpawnOptions = {}) =>
  spawn(process.execPath, command(mdi, words), {
    env: environment(mdi),
    cwd: mdi.cwd ?? mdi.data,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...options,
  })

/** Waits for a process and all it says. */
export const finished = async (child: ChildProcess): Promise<Ran> => {
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  return { code, signal, stdout, stderr }
}

/** Runs `mdi WORDS…` to its end. */
export const runMdi = (mdi: Mdi, ...words: string[]): Promise<Ran> => {
  const child = startMdi(mdi, words)
  child.stdin?.end(mdi.input ?? '')
  return finished(child)
}

/** Runs `mdi WORDS…` after a shell's `setup`, e.g. a mount of its own. */
export const runMdiIn = (mdi: Mdi, before: string[], ...words: string[]): Promise<Ran> => {
  const [file, ...more] = before
  const child = spawn(file as string, [...more, process.execPath, ...command(mdi, words)], {
    env: environment(mdi),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return finished(child)
}
