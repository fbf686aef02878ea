#!/usr/bin/env node
/**
 * The one file of the service. It starts its own workers: the same file, told by
 * `workerData.mode` what it is. Each imports only its own part: the engine's library
 * alone takes a tenth of a second and some 50 MB.
 */
import { isMainThread, type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { EngineWorkerOptions } from './io/ort/client.ts'

const startWorker = async (data: { mode?: unknown }): Promise<void> => {
  if (data.mode === 'engine') {
    const { runEngineWorker } = await import('./io/ort/worker.ts')
    runEngineWorker(parentPort as MessagePort, data as unknown as EngineWorkerOptions)
  } else if (data.mode === 'store') {
    const { runStoreWorker } = await import('./io/store/worker.ts')
    runStoreWorker()
  } else if (data.mode === 'template') {
    const { runTemplateWorker } = await import('./io/template.ts')
    runTemplateWorker()
  } else throw new Error(`no such worker: ${String(data.mode)}`)
}

/** New objects get 2 MB a thread instead of 16: nothing here is quicker by more. */
const YOUNG = '--max-semi-space-size=2'

/**
 * Blocks of this size and more are mapped alone, so that dropped layers return to the system.
 * A command that writes weights does not keep any, and mapping each chunk anew took a third
 * of its time.
 */
const mallocSettings = (argv: readonly string[]): Record<string, string> =>
  argv.includes('import') || argv.includes('pull')
    ? { MALLOC_MMAP_THRESHOLD_: '33554432', MALLOC_TRIM_THRESHOLD_: '67108864' }
    : { MALLOC_MMAP_THRESHOLD_: '65536' }

/**
 * Starts the process anew with what only its start can set (see scripts/MEASUREMENTS.md): the
 * C library's threshold, with which the memory of layers that are dropped returns to the
 * system, and V8's room for new objects.
 */
const withMemorySettings = (): void => {
  const { env, execPath, execArgv, argv } = process
  if (process.platform !== 'linux' || env.MALLOC_MMAP_THRESHOLD_ || !process.execve) return
  process.execve(execPath, [execPath, YOUNG, ...execArgv, ...argv.slice(1)], {
    ...env,
    ...mallocSettings(argv),
  })
}

const start = async (): Promise<void> => {
  withMemorySettings()
  const { run } = await import('./cli/program.ts')
  await run(new URL(import.meta.url), process.argv)
}

void (isMainThread ? start() : startWorker(workerData as { mode?: unknown }))
