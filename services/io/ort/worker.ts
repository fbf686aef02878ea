/** The engine's thread: computes blockingly, so that the main thread never does. */
import type { MessagePort } from 'node:worker_threads'
import type { Arithmetic, EngineAssignment, Job } from '../../ports.ts'
import { HandedOver, movable, serve } from '../rpc.ts'
import { RecordReader } from '../store/reader.ts'
import type { EngineWorkerOptions } from './client.ts'
import { OrtEngine } from './engine.ts'

/** Runs in the worker until a call of `close`. */
export const runEngineWorker = (port: MessagePort, options: EngineWorkerOptions): void => {
  const source = new RecordReader({ folder: options.store })
  const engine = new OrtEngine({ source, folder: options.folder, threads: options.threads })
  serve(port, {
    measure: ([arithmetic]) => engine.measure(arithmetic as Arithmetic),
    load: ([assignment], tell) => engine.load(assignment as EngineAssignment, tell),
    run: async ([job], tell) => {
      const output = await engine.run(job as Job, tell)
      // Activations move instead of being copied.
      return 'x' in output ? new HandedOver(output, movable(output.x)) : output
    },
    unload: () => engine.unload(),
    close: async () => {
      await engine.close()
      source.release()
    },
  })
}
