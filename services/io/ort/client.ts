/** The engine as the other threads see it: every call goes to its worker. */
import { withoutVocabulary } from '../../model/manifest.ts'
import type {
  Arithmetic,
  Engine,
  EngineAssignment,
  EngineReport,
  HeadResult,
  Job,
  JobOutput,
  OnProgress,
} from '../../ports.ts'
import { movable, RemoteWorker } from '../rpc.ts'
import { quietRuntime } from './quiet.ts'

export type EngineWorkerOptions = {
  /** Folder of the store whose records are read. */
  store: string
  /** Folder of the runtime files. */
  folder: string
  threads: number
}

export class WorkerEngine implements Engine {
  readonly #worker: RemoteWorker

  /** @param entry the main file, which runs `runEngineWorker` in mode `engine` */
  constructor(entry: string | URL, options: EngineWorkerOptions) {
    quietRuntime()
    this.#worker = new RemoteWorker(entry, { mode: 'engine', ...options })
  }

  measure(arithmetic: Arithmetic): Promise<Record<string, number>> {
    return this.#worker.call('measure', [arithmetic]) as Promise<Record<string, number>>
  }

  load(assignment: EngineAssignment, onProgress?: OnProgress): Promise<EngineReport> {
    const manifest = withoutVocabulary(assignment.manifest)
    return this.#worker.call('load', [{ ...assignment, manifest }], {
      onTold: onProgress as ((progress: unknown) => void) | undefined,
    }) as Promise<EngineReport>
  }

  run(job: Job, onResults?: (results: HeadResult[]) => void): Promise<JobOutput> {
    return this.#worker.call('run', [job], {
      transfer: movable(job.input),
      onTold: onResults as ((results: unknown) => void) | undefined,
    }) as Promise<JobOutput>
  }

  async unload(): Promise<void> {
    await this.#worker.call('unload', [])
  }

  async close(): Promise<void> {
    await this.#worker.call('close', [])
    await this.#worker.closed()
  }
}
