#!/usr/bin/env node
/**
 * The one file of the service. It starts its own workers: the same file, told by
 * `workerData.mode` what it is.
 */
import { isMainThread, type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { run } from './cli/program.ts'
import type { EngineWorkerOptions } from './io/ort/client.ts'
import { runEngineWorker } from './io/ort/worker.ts'
import { runStoreWorker, storeMode } from './io/sqlite.ts'
import { runTemplateWorker, templateMode } from './io/template.ts'

const startWorker = (data: { mode?: unknown }): void => {
  if (data.mode === 'engine')
    runEngineWorker(parentPort as MessagePort, data as unknown as EngineWorkerOptions)
  else if (data.mode === storeMode) runStoreWorker()
  else if (data.mode === templateMode) runTemplateWorker()
  else throw new Error(`no such worker: ${String(data.mode)}`)
}

if (isMainThread) void run(new URL(import.meta.url), process.argv)
else startWorker(workerData as { mode?: unknown })
