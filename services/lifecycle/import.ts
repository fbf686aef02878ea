/** Takes a model into the store from wherever it lies on this machine. */
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { MdiError } from '../errors.ts'
import { requireRoom } from '../io/board/disk.ts'
import { type FileSource, openFile, openFolder } from '../io/file.ts'
import type { SqliteStore } from '../io/store/client.ts'
import { importExport, isExport } from '../io/store/exported.ts'
import type { TemplateRunner } from '../model/chat.ts'
import type { GgufMetadata } from '../model/gguf.ts'
import { importGguf, importSafetensors } from '../model/import.ts'
import { shardNames } from '../model/sources.ts'
import type { Manifest, TextSpec } from '../model/spec.ts'
import { tryTemplate } from '../model/templatecheck.ts'
import { textSpecFromGguf } from '../model/text.ts'
import { checkText, notesOnText } from '../model/textcheck.ts'
import type { WriteOptions } from '../model/writer.ts'
import type { OnProgress } from '../ports.ts'
import { mb } from '../units.ts'

export type ImportPathOptions = {
  /** The model's name in the store; otherwise its file's. */
  name?: string | undefined
  rounding?: WriteOptions['rounding']
  /** Tries chat templates; absent: they are not tried. */
  templates?: TemplateRunner | undefined
  /** Uses a plain form in place of the model's chat template. */
  plainChat?: boolean | undefined
  /** The file's SHA-256, where it was computed; for the manifest. */
  sha256?: string | undefined
  onProgress?: OnProgress | undefined
  signal?: AbortSignal | undefined
}

/** What an import came to. `notes`: sentences on what may disappoint of the model. */
export type Imported = { manifest: Manifest; resumed: number; loss?: number; notes?: string[] }

/** What stands at a path. */
type Found =
  | { kind: 'gguf'; files: string[] }
  | { kind: 'safetensors'; folder: string }
  | { kind: 'export'; folder: string }

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** A folder's model, or the one model in the folders of a stick. @throws MdiError `not-found` */
const lookInto = async (folder: string, deeper: boolean): Promise<Found[]> => {
  if (await isExport(folder)) return [{ kind: 'export', folder }]
  if (await exists(join(folder, 'config.json'))) return [{ kind: 'safetensors', folder }]
  const entries = await readdir(folder, { withFileTypes: true })
  const files = entries
    // A hub's cache has links to its files.
    .filter(
      (e) =>
        (e.isFile() || e.isSymbolicLink()) &&
        /\.gguf$/i.test(e.name) &&
        shardNames(e.name)[0] === e.name,
    )
    .map((e): Found => {
      return { kind: 'gguf', files: shardNames(e.name).map((name) => join(folder, name)) }
    })
  if (!deeper) return files
  const folders = entries.filter((e) => e.isDirectory() && !e.name.startsWith('.'))
  const inner = await Promise.all(
    folders.map((e) => lookInto(join(folder, e.name), false).catch((): Found[] => [])),
  )
  return [...files, ...inner.flat()]
}

const placeOf = (found: Found): string =>
  found.kind === 'gguf' ? (found.files[0] as string) : found.folder

const find = async (path: string): Promise<Found> => {
  const kind = await stat(path).catch(() => undefined)
  if (!kind?.isDirectory()) {
    const files = shardNames(basename(path)).map((name) => join(dirname(path), name))
    return { kind: 'gguf', files: files.length > 1 ? files : [path] }
  }
  const all = await lookInto(path, true).catch((error) => {
    const code = String((error as { code?: unknown }).code)
    throw new MdiError('not-found', `Cannot read ${path}: ${code}.`, { cause: error })
  })
  const [only] = all
  if (only && all.length === 1) return only
  if (!only && (await exists(join(path, 'adapter_config.json'))))
    throw new MdiError(
      'unsupported',
      `${path} holds a LoRA adapter, which changes another model: merge it into that one first.`,
    )
  throw new MdiError(
    'not-found',
    only
      ? `${path} has several models; name one: ${all.map(placeOf).join(', ')}.`
      : `${path} has no model: neither a GGUF file, nor config.json with safetensors, nor an exported model.`,
  )
}

/**
 * Imports a GGUF file (with the others of its model where it is split), a folder in
 * safetensors, an exported model, or the one model that a folder has.
 * Errors: `not-found`, `bad-file`, `unsupported`, those of the store, `cancelled`.
 */
export const importPath = async (
  path: string,
  store: SqliteStore,
  options: ImportPathOptions = {},
): Promise<Imported> => {
  const found = await find(path)
  const { name, onProgress, signal } = options
  if (found.kind === 'export') {
    const manifest = await importExport(found.folder, store, { name, onProgress, signal })
    const notes: string[] = []
    // It is here already; whether it can chat is told all the same.
    await tried(manifest.name, manifest.text, options).catch((error: unknown) => {
      if (!(error instanceof MdiError)) throw error
      notes.push(error.message)
    })
    return { manifest, resumed: 0, notes }
  }
  return importFiles(found, store, options)
}

/** The text side with a template that can be used. @throws MdiError `bad-value` */
const tried = async (
  name: string,
  text: TextSpec,
  { templates, plainChat }: ImportPathOptions,
): Promise<TextSpec> => {
  if (plainChat) {
    const { chatTemplate: _, ...plain } = text
    return { ...plain, plainChat: true }
  }
  return templates ? tryTemplate(name, text, templates) : text
}

/** Of the import's own; what else is on the disk has its own reserves. */
const SPARE_BYTES = 1 << 20

/** @throws MdiError `disk-full`, which says what would give room */
const roomFor = async (store: SqliteStore, bytes: number): Promise<void> => {
  try {
    await requireRoom(store.folder, bytes, 'The model', SPARE_BYTES)
  } catch (error) {
    const left = await store.unusedBytes()
    if (!(error instanceof MdiError) || left === 0) throw error
    const gives = `Dropping what broken-off imports left gives ${mb(left)}: mdi remove --unfinished.`
    throw new MdiError(error.code, `${error.message} ${gives}`, { cause: error })
  }
}

const importFiles = async (
  found: Exclude<Found, { kind: 'export' }>,
  store: SqliteStore,
  options: ImportPathOptions,
): Promise<Imported> => {
  const { name, rounding, sha256, onProgress, signal } = options
  const notes: string[] = []
  const shared = {
    textSpec: textSpecFromGguf,
    prepareText: async (file: string, text: TextSpec, vocab: number, keys?: GgufMetadata) => {
      checkText(file, text, vocab)
      notes.push(...notesOnText(file, text, keys))
      return tried(file, text, options)
    },
    ...(name !== undefined && { name }),
    ...(rounding !== undefined && { rounding }),
    ...(sha256 !== undefined && { sha256 }),
    ...(onProgress && { onProgress }),
    ...(signal && { signal }),
    room: (bytes: number) => roomFor(store, bytes),
  }
  if (found.kind === 'safetensors') {
    const folder = openFolder(found.folder)
    try {
      return { ...(await importSafetensors(folder, store, shared)), notes }
    } finally {
      await folder.close()
    }
  }
  const files: FileSource[] = []
  try {
    for (const file of found.files) files.push(await openFile(file))
    return { ...(await importGguf(files, store, shared)), notes }
  } finally {
    for (const file of files) await file.close()
  }
}
