/** The files that the engine makes of records (`io/ort/materialize`): they go when the records do. */
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Store } from '../ports.ts'

/** The folder of a data folder's runtime files. */
export const runtimeFolder = (data: string): string => join(data, 'runtime')

/** Removes the runtime files of records that are not here any more. @returns bytes freed */
export const dropRuntimeFiles = async (
  data: string,
  store: Pick<Store, 'hasRecords'>,
): Promise<number> => {
  const folder = runtimeFolder(data)
  const files = (await readdir(folder).catch(() => [])).flatMap((file) => {
    const sha256 = /^([0-9a-f]{64})-\w+\.bin$/.exec(file)?.[1]
    return sha256 === undefined ? [] : [{ path: join(folder, file), sha256 }]
  })
  const here = await store.hasRecords(files.map((f) => f.sha256))
  let freed = 0
  for (const { path, sha256 } of files) {
    if (here.has(sha256)) continue
    const { size } = await stat(path)
    await rm(path, { force: true })
    freed += size
  }
  return freed
}
