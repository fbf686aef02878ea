/** A model in a data folder of its own and a ring that runs it, for the scripts. */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { MdiError } from '../services/errors.ts'
import { openFile } from '../services/io/file.ts'
import { type LocalRing, openLocal, openStore } from '../services/lifecycle/local.ts'
import { importGguf } from '../services/model/import.ts'
import type { Manifest } from '../services/model/spec.ts'
import { textSpecFromGguf } from '../services/model/text.ts'
import type { Arithmetic } from '../services/ports.ts'

const entry = new URL('../services/main.ts', import.meta.url)

export type RingOptions = {
  arithmetic: Arithmetic
  nodes?: number
  threads?: number
  chunkRows?: number
  context?: number
}

/** A folder for models and weights that is gone when the work is done. */
export const withFolder = async <T>(work: (folder: string) => Promise<T>): Promise<T> => {
  const folder = mkdtempSync(join(tmpdir(), 'mdi-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const interrupted = () => {
    remove()
    process.exit(130)
  }
  process.once('SIGINT', interrupted)
  process.once('SIGTERM', interrupted)
  try {
    return await work(folder)
  } finally {
    process.off('SIGINT', interrupted)
    process.off('SIGTERM', interrupted)
    remove()
  }
}

/** Imports a GGUF file into a data folder. */
export const importInto = async (folder: string, file: string): Promise<Manifest> => {
  const source = await openFile(file)
  try {
    const store = await openStore(entry, folder)
    try {
      const { manifest } = await importGguf(source, store, { textSpec: textSpecFromGguf })
      return manifest
    } finally {
      await store.close()
    }
  } finally {
    await source.close()
  }
}

/** A ring that has the model loaded. @throws MdiError `unsupported` for more nodes than one */
export const openRing = (
  folder: string,
  manifest: Manifest,
  { arithmetic, nodes = 1, threads, chunkRows = 64, context }: RingOptions,
): Promise<LocalRing> => {
  if (nodes !== 1) throw new MdiError('unsupported', 'Only a ring of one node can be made yet.')
  return openLocal(entry, manifest, {
    folder,
    arithmetic,
    threads: threads ?? Math.min(4, availableParallelism()),
    chunkRows,
    context,
  })
}
