/** A model in a data folder of its own and a ring that runs it, for the scripts. */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { openFile } from '../../services/io/file.ts'
import { type LocalRing, openLocal, openStore } from '../../services/lifecycle/local.ts'
import { importGguf } from '../../services/model/import.ts'
import type { Manifest } from '../../services/model/spec.ts'
import { textSpecFromGguf } from '../../services/model/text.ts'
import { CHUNK_ROWS } from '../../services/plan/room.ts'
import type { Arithmetic } from '../../services/ports.ts'
import { Cluster } from './cluster.ts'
import { ownRequests, type Ring } from './owner.ts'
import { Place } from './processes.ts'

const entry = new URL('../../services/main.ts', import.meta.url)

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

/** A ring of one in this process. */
export const openRing = (
  folder: string,
  manifest: Manifest,
  { arithmetic, threads, chunkRows = CHUNK_ROWS, context }: RingOptions,
): Promise<LocalRing> =>
  openLocal(entry, manifest, {
    folder,
    arithmetic,
    threads: threads ?? Math.min(4, availableParallelism()),
    chunkRows,
    context,
  })

/**
 * A ring of processes, each with its own store into which the weights are fetched.
 * @param folder the store in which the model is; the coordinator has it as long as this runs
 */
export const openProcesses = async (
  folder: string,
  manifest: Manifest,
  { arithmetic, nodes = 1, threads = 1, context }: RingOptions,
): Promise<Ring> => {
  const place = new Place().build()
  try {
    const cluster = await Cluster.start(place, { nodes, threads, models: folder })
    await cluster.load(manifest.name, { arithmetic, context })
    const ring = ownRequests(cluster, manifest, context)
    return {
      ...ring,
      close: async () => {
        await ring.close()
        await cluster.close()
        await place.close()
      },
    }
  } catch (error) {
    await place.close()
    throw error
  }
}
