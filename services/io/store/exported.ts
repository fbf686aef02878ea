/** Writes a model of the store into a folder, for carrying it elsewhere, and reads it back. */
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { checkRecord, EXPORT_FILE, readExport, writeExport } from '../../model/exported.ts'
import { readText } from '../../model/folder.ts'
import { manifestReference } from '../../model/manifest.ts'
import { readRecordHeader, recordHeaderLength } from '../../model/record.ts'
import type { ByteSource } from '../../model/source.ts'
import type { Manifest, RecordRef } from '../../model/spec.ts'
import { checkText } from '../../model/textcheck.ts'
import { anotherModel } from '../../model/writer.ts'
import type { OnProgress, Store } from '../../ports.ts'
import { chunkCount, chunkLength } from '../../wire/chunks.ts'
import { requireRoom, writeError } from '../board/disk.ts'
import { cancelled } from '../fetch/http.ts'
import { openFolder } from '../file.ts'

const RECORDS = 'records'

export type CarryOptions = { onProgress?: OnProgress | undefined; signal?: AbortSignal | undefined }

/** Each record once, though two layers may share it. */
const distinct = (records: readonly RecordRef[]): RecordRef[] => [
  ...new Map(records.map((r) => [r.sha256, r])).values(),
]

const sum = (records: readonly RecordRef[]): number => records.reduce((n, r) => n + r.bytes, 0)

const there = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

/** Writes a file and has it on the disk, not in a cache: a stick is pulled out soon. */
const writeSynced = async (
  path: string,
  fill: (handle: FileHandle) => Promise<void>,
): Promise<void> => {
  const handle = await open(path, 'w')
  try {
    await fill(handle)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Writes a model to `folder/NAME`, whole or not at all. @returns that path
 * Errors: `not-found` (the store holds a part of it only), `bad-value` (it is there
 * already), `disk-full`.
 */
export const exportModel = async (
  store: Pick<Store, 'hasRecords' | 'getChunk'>,
  manifest: Manifest,
  folder: string,
  { onProgress, signal }: CarryOptions = {},
): Promise<string> => {
  const records = distinct(manifest.records)
  const here = await store.hasRecords(records.map((r) => r.sha256))
  if (here.size < records.length)
    throw new MdiError(
      'not-found',
      `This store holds ${here.size} of the ${records.length} parts of ${manifest.name}; export it where it was imported.`,
    )
  const target = join(folder, manifest.name)
  if (await there(target)) throw new MdiError('bad-value', `${target} is there already.`)
  // Not its parents: where a stick is not mounted, the model would land beside it.
  await mkdir(folder).catch((error) => {
    if (codeOf(error) !== 'EEXIST') throw writeError(error, folder)
  })
  const total = sum(records)
  await requireRoom(folder, total, manifest.name)
  const partial = `${target}.part`
  try {
    await rm(partial, { recursive: true, force: true })
    await mkdir(partial)
    await mkdir(join(partial, RECORDS))
    let done = 0
    for (const { sha256, bytes } of records)
      await writeSynced(join(partial, RECORDS, sha256), async (handle) => {
        for (let i = 0; i < chunkCount(bytes); i++) {
          if (signal?.aborted) throw cancelled()
          await handle.writeFile((await store.getChunk(sha256, i)).data)
          done += chunkLength(bytes, i)
          onProgress?.({ step: 'exporting', done, total, unit: 'bytes' })
        }
      })
    await writeSynced(join(partial, EXPORT_FILE), (handle) =>
      handle.writeFile(writeExport(manifest)),
    )
    await rename(partial, target)
    return target
  } catch (error) {
    await rm(partial, { recursive: true, force: true }).catch(() => undefined)
    throw writeError(error, folder)
  }
}

/** Whether a folder is an exported model. */
export const isExport = (folder: string): Promise<boolean> => there(join(folder, EXPORT_FILE))

type Target = Pick<Store, 'hasRecords' | 'createRecord' | 'putModel' | 'getModel'>

/** Bytes of a record that are read at a time. */
const STEP = 1 << 20

/**
 * Takes an exported model into the store; broken off, it goes on where it was.
 * Errors: `bad-file` (damaged: nothing of it can be used), `bad-value` where another model
 * has the name, those of the store.
 */
export const importExport = async (
  path: string,
  store: Target,
  { name, onProgress, signal }: CarryOptions & { name?: string | undefined } = {},
): Promise<Manifest> => {
  const folder = openFolder(path)
  const recordFolder = openFolder(join(path, RECORDS))
  try {
    const text = await readText(folder, EXPORT_FILE, limits.manifestBytes)
    const read = readExport(folder.name, text ?? '')
    const manifest = name === undefined ? read : { ...read, name }
    checkText(folder.name, manifest.text, manifest.spec.vocab)
    const records = distinct(manifest.records)
    const here = await store.hasRecords(records.map((r) => r.sha256))
    const total = sum(records)
    let done = 0
    const tell = (bytes: number) => {
      done += bytes
      onProgress?.({ step: 'importing', done, total, unit: 'bytes' })
    }
    const sources = new Map<string, ByteSource>()
    // Every place in the model, also where two have the same record.
    for (const ref of manifest.records) {
      const source = sources.get(ref.sha256) ?? (await recordFolder.open(ref.sha256))
      if (!source || source.size !== ref.bytes)
        throw new MdiError(
          'bad-file',
          `${folder.name} lacks ${RECORDS}/${ref.sha256}, or it is cut short: export the model again.`,
        )
      sources.set(ref.sha256, source)
      await checkHeader(folder.name, manifest, ref, source)
    }
    const there = await store.getModel(manifest.name)
    // With other text beside the same weights it is another model, too.
    if (there && manifestReference(there).manifest !== manifestReference(manifest).manifest)
      throw anotherModel(manifest.name)

    let before: Promise<unknown> = Promise.resolve()
    for (const ref of records) {
      if (here.has(ref.sha256)) {
        tell(ref.bytes)
        continue
      }
      const source = sources.get(ref.sha256) as ByteSource
      const { sealed } = await copyRecord(folder.name, source, ref, store, { tell, signal })
      await before
      before = sealed
    }
    await before
    await store.putModel(manifest)
    return manifest
  } finally {
    await folder.close()
    await recordFolder.close()
  }
}

const checkHeader = async (
  name: string,
  manifest: Manifest,
  ref: RecordRef,
  source: ByteSource,
): Promise<void> => {
  const length = recordHeaderLength(await source.read(0, Math.min(8, source.size)))
  const head = await source.read(0, Math.min(length, source.size))
  checkRecord(name, manifest, ref, readRecordHeader(head, source.size))
}

/**
 * Reads and sends one record; the next bytes are read while these are written.
 * @returns resolves once it is sealed, which the next record need not wait for
 */
const copyRecord = async (
  name: string,
  source: ByteSource,
  { sha256, bytes }: RecordRef,
  store: Target,
  { tell, signal }: { tell(bytes: number): void; signal?: AbortSignal | undefined },
): Promise<{ sealed: Promise<unknown> }> => {
  const writer = await store.createRecord()
  const drop = async (error: unknown): Promise<never> => {
    await writer.abort().catch(() => undefined)
    throw error
  }
  const rooms = [new Uint8Array(STEP), new Uint8Array(STEP)]
  const read = (at: number): Promise<Uint8Array> => {
    const piece = source.read(at, Math.min(STEP, bytes - at), rooms[(at / STEP) % 2])
    // It is awaited below; until then a failure must not count as unhandled.
    piece.catch(() => undefined)
    return piece
  }
  try {
    let next = read(0)
    for (let at = 0; at < bytes; at += STEP) {
      if (signal?.aborted) throw cancelled()
      const piece = await next
      next = read(Math.min(at + STEP, bytes))
      await writer.write(piece)
      tell(piece.length)
    }
    await next
  } catch (error) {
    return drop(error)
  }
  const sealed = writer
    .finish(sha256)
    .catch((error) =>
      drop(
        error instanceof MdiError && error.code === 'bad-file'
          ? new MdiError(
              'bad-file',
              `${name}: ${RECORDS}/${sha256} does not match its hash: export the model again.`,
              { cause: error },
            )
          : error,
      ),
    )
  sealed.catch(() => undefined)
  return { sealed }
}
