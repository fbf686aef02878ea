/**
 * Measures an import (`scripts/bench-import`): a file of random weights is copied to the disk
 * and imported, in turns, so that both meet the same disk.
 */
import { execFileSync, spawn } from 'node:child_process'
import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Command, CommanderError } from 'commander'
import { whole } from '../services/cli/options.ts'
import { json, table, tellError } from '../services/cli/output.ts'
import { MdiError } from '../services/errors.ts'
import { randomShapes, writeRandomModel } from '../services/model/synthetic.ts'
import { withFolder } from '../test/harness/rings.ts'

/** Bounds: memory in bytes, and the import's share of the disk's speed. */
const MEMORY_BOUND = 300e6
const SPEED_BOUND = 0.5
const BUFFER = 1 << 20
const POLL_MS = 20

type Options = { type: string; rounds: number; cached?: boolean; json?: boolean }
type Round = { diskSeconds: number; importSeconds: number; peakBytes: number }

const main = fileURLToPath(new URL('../services/main.ts', import.meta.url))

/** Takes a file out of the kernel's cache, so that who reads it next reads the disk. */
const evict = (file: string): void => {
  execFileSync('dd', [`of=${file}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], {
    stdio: 'ignore',
  })
}

/** Seconds that reading the file and writing it down for good takes. */
const copy = (from: string, to: string): number => {
  const started = performance.now()
  const [source, target] = [openSync(from, 'r'), openSync(to, 'w')]
  const buffer = Buffer.alloc(BUFFER)
  for (let n = readSync(source, buffer); n > 0; n = readSync(source, buffer))
    writeSync(target, buffer, 0, n)
  fsyncSync(target)
  closeSync(target)
  closeSync(source)
  return (performance.now() - started) / 1000
}

/** The peak so far of a running process, in bytes; undefined once it has gone. */
const peakOf = (pid: number): number | undefined => {
  try {
    const found = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return found ? Number(found[1]) * 1024 : undefined
  } catch {
    return undefined
  }
}

/** One `mdi import`, as a user starts it. */
const importOnce = async (
  file: string,
  data: string,
): Promise<{ seconds: number; peak: number }> => {
  const started = performance.now()
  const words = ['--disable-warning=ExperimentalWarning', main, '--data', data, 'import', file]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'] })
  let ended = false
  const end = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => {
      ended = true
      resolve(code)
    })
  })
  let peak = 0
  while (!ended) {
    // The peak never falls, so what is seen last is what it was, but for the last moment.
    peak = Math.max(peak, peakOf(child.pid ?? 0) ?? 0)
    await Promise.race([end, pause(POLL_MS)])
  }
  if ((await end) !== 0) throw new MdiError('bad-value', 'The import failed; see above.')
  return { seconds: (performance.now() - started) / 1000, peak }
}

const measure = (options: Options): Promise<{ bytes: number; rounds: Round[] }> =>
  withFolder(async (folder) => {
    const file = join(folder, 'random.gguf')
    const fd = openSync(file, 'w')
    const write = async (data: Uint8Array): Promise<void> => {
      writeSync(fd, data)
    }
    await writeRandomModel(write, randomShapes['1.1b'], { type: options.type })
    fsyncSync(fd)
    closeSync(fd)
    const rounds: Round[] = []
    for (let round = 0; round < options.rounds; round++) {
      const target = join(folder, 'copy')
      if (!options.cached) evict(file)
      const diskSeconds = copy(file, target)
      rmSync(target)
      const data = join(folder, 'data')
      if (!options.cached) evict(file)
      const { seconds, peak } = await importOnce(file, data)
      rmSync(data, { recursive: true })
      rounds.push({ diskSeconds, importSeconds: seconds, peakBytes: peak })
    }
    return { bytes: statSync(file).size, rounds }
  })

const bench = async (options: Options): Promise<void> => {
  const { bytes, rounds } = await measure(options)
  const share = rounds.map((r) => r.diskSeconds / r.importSeconds).sort((a, b) => a - b)
  const median = share[share.length >> 1] ?? 0
  const peak = Math.max(...rounds.map((r) => r.peakBytes))
  const within = median >= SPEED_BOUND && peak <= MEMORY_BOUND
  if (options.json) json({ bytes, rounds, share: median, peakBytes: peak, within })
  else {
    const rate = (seconds: number) => `${(bytes / 1e6 / seconds).toFixed(0)} MB/s`
    table(
      ['DISK', 'IMPORT', 'SHARE', 'PEAK'],
      rounds.map((r) => [
        rate(r.diskSeconds),
        rate(r.importSeconds),
        `${((100 * r.diskSeconds) / r.importSeconds).toFixed(0)} %`,
        `${(r.peakBytes / 1e6).toFixed(0)} MB`,
      ]),
    )
    process.stdout.write(
      `${(bytes / 1e6).toFixed(0)} MB of ${options.type}: ${(100 * median).toFixed(0)} % of the disk's speed in the median (wanted: 50 %), ${(peak / 1e6).toFixed(0)} MB at most (wanted: 300 MB).\n`,
    )
  }
  if (!within) process.exitCode = 1
}

const program = new Command('scripts/bench-import')
  .description(
    'Imports random weights in 1.1B shapes and copies the same file, in turns. Fails where the import\nneeds more than 300 MB of memory or is less than half as quick as the copy.',
  )
  .option('--type <type>', 'tensor type of the matrices', 'Q6_K')
  .option('--rounds <n>', 'times that both are done', whole(1), 3)
  .option('--cached', "the file is in the kernel's cache, as one is that has just been written")
  .option('--json', 'one JSON document instead of a table')
  .exitOverride()
  .action(bench)

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
  else process.exitCode = tellError(error)
}
