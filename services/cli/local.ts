/** Opens the store and a ring of one for a command, and closes both after it. */
import type { Command } from 'commander'
import {
  findModel,
  type LocalRing,
  openLocal,
  openStore,
  type WorkerEntry,
} from '../lifecycle/local.ts'
import { dataFolder, type EngineOptions } from './options.ts'
import { ProgressBar } from './output.ts'

/** Runs `use` with a loaded model. */
export const withLocalRing = async <T>(
  entry: WorkerEntry,
  command: Command,
  name: string | undefined,
  options: EngineOptions,
  use: (ring: LocalRing) => Promise<T>,
): Promise<T> => {
  const folder = dataFolder(command)
  const store = await openStore(entry, folder)
  const bar = new ProgressBar()
  try {
    const { memory: memoryBytes, ...rest } = options
    const load = { folder, memoryBytes, ...rest }
    // Nothing here keeps the manifest: its vocabulary is not needed once it is read.
    const ring = await findModel(store, name).then((m) => openLocal(entry, m, load, bar.show))
    bar.stop()
    try {
      return await use(ring)
    } finally {
      await ring.close()
    }
  } finally {
    bar.stop()
    await store.close()
  }
}
