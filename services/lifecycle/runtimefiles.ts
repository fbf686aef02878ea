/**
 * The files that the engine makes of records (`io/ort/materialize`). They are kept, so that a model
 * loads quickly the next time. They are removed with their records, or when the disk is full and
 * another model needs the room, since they can be made again.
 */
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { MdiError } from '../errors.ts'
import type { Manifest } from '../model/spec.ts'

/** The folder of a data folder's runtime files. */
export const runtimeFolder = (data: string): string => join(data, 'runtime')

/**
 * Removes the runtime files of records.
 * @param kept which of these records' files stay
 * @returns bytes freed
 */
export const dropRuntimeFiles = async (
  data: string,
  kept: (sha256: readonly string[]) => Promise<Set<string>> | Set<string>,
): Promise<number> => {
  const folder = runtimeFolder(data)
  const files = (await readdir(folder).catch(() => [])).flatMap((file) => {
    const sha256 = /^([0-9a-f]{64})-\w+\.bin(?:\.seal)?$/.exec(file)?.[1]
    return sha256 === undefined ? [] : [{ path: join(folder, file), sha256 }]
  })
  const keep = await kept(files.map((f) => f.sha256))
  let freed = 0
  for (const { path, sha256 } of files) {
    if (keep.has(sha256)) continue
    const { size } = await stat(path)
    await rm(path, { force: true })
    freed += size
  }
  return freed
}

/**
 * Work that needs room on the disk for a model: where there is none, other models' runtime
 * files are given up, and it is done once more.
 * @param wanted the model, asked when the disk is full
 * @param onFreed is told the bytes that were given up
 */
export const withRoom = async <T>(
  data: string,
  wanted: () => Manifest | undefined,
  onFreed: (bytes: number) => void,
  work: () => Promise<T>,
): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof MdiError) || error.code !== 'disk-full') throw error
    const own = new Set(wanted()?.records.map((r) => r.sha256))
    const freed = await dropRuntimeFiles(data, () => own)
    if (freed === 0) throw error
    onFreed(freed)
    return work()
  }
}
