/** The store's own thread: it carries out the calls that `sqlite.ts` sends, in their order. */
import { parentPort, workerData } from 'node:worker_threads'
import { MdiError } from '../../errors.ts'
import { LocalStore, type StoreOptions } from './operations.ts'

/** The operations of `LocalStore` that are called from outside. */
const operations = [
  'beginImport',
  'writeImport',
  'finishImport',
  'abortImport',
  'openRecord',
  'putChunk',
  'sealRecord',
  'getChunk',
  'readRecord',
  'hasRecords',
  'putModel',
  'modelBytes',
  'modelNames',
  'removeModel',
  'unusedBytes',
  'removeUnused',
  'getConfig',
  'setConfig',
  'close',
] as const
export type Operation = (typeof operations)[number]

/** What the thread is told. */
export type Call = { id: number; operation: Operation; values: unknown[] }
export type Failure = { operating: boolean; code?: string; message: string; stack?: string }
/** `id` 0 is the answer to opening the store. */
export type StoreAnswer = { id: number; value?: unknown; failure?: Failure }

const failureOf = (error: unknown): Failure => {
  if (error instanceof MdiError) return { operating: true, ...error.toJSON() }
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  return { operating: false, message, ...(stack === undefined ? {} : { stack }) }
}

/** Large results are handed over instead of copied. */
const handedOver = (value: unknown): ArrayBuffer[] => {
  const data = value instanceof Uint8Array ? value : (value as { data?: unknown } | null)?.data
  const buffer = data instanceof Uint8Array ? data.buffer : undefined
  return buffer instanceof ArrayBuffer ? [buffer] : []
}

/** The store's thread: opens what `workerData.options` says and answers calls in order. */
export const runStoreWorker = (): void => {
  const port = parentPort
  if (!port) throw new Error('the store runs in a worker thread')
  const reply = (answer: StoreAnswer): void => port.postMessage(answer, handedOver(answer.value))
  const attempt = <T>(id: number, work: () => T): T | undefined => {
    try {
      return work()
    } catch (error) {
      reply({ id, failure: failureOf(error) })
      return undefined
    }
  }
  const store = attempt(0, () => new LocalStore((workerData as { options: StoreOptions }).options))
  if (!store) return
  reply({ id: 0 })
  /** Answers that wait for the disk while the next calls are carried out. */
  const waiting = new Set<Promise<void>>()
  const call = ({ id, operation, values }: Call): void => {
    const run = store[operation] as (...values: unknown[]) => unknown
    attempt(id, () => {
      const result = run.apply(store, values)
      if (!(result instanceof Promise))
        // The bytes of a write go back to be used again: as garbage they would pile up.
        return reply({ id, value: operation === 'writeImport' ? values[1] : result })
      const answered = result
        .then(
          (value) => reply({ id, value }),
          (error) => reply({ id, failure: failureOf(error) }),
        )
        .finally(() => waiting.delete(answered))
      waiting.add(answered)
    })
  }
  port.on('message', async (message: Call) => {
    if (message.operation !== 'close') return call(message)
    await Promise.all(waiting)
    call(message)
    port.close()
  })
}
