/** The store's own thread: it carries out the calls that `client.ts` sends, in their order. */
import { parentPort } from 'node:worker_threads'
import { HandedOver, serve } from '../rpc.ts'
import { LocalStore, type StoreOptions } from './operations.ts'

type Methods = {
  [K in keyof LocalStore]: LocalStore[K] extends (...args: never[]) => unknown ? K : never
}
/** What a store does: every method of `LocalStore`. */
export type Operation = Methods[keyof LocalStore]

/** Large results are handed over instead of copied. */
const handedOver = (value: unknown): unknown => {
  const data = value instanceof Uint8Array ? value : (value as { data?: unknown } | null)?.data
  const buffer = data instanceof Uint8Array ? data.buffer : undefined
  return buffer instanceof ArrayBuffer ? new HandedOver(value, [buffer]) : value
}

/** The store's thread: `open` says which store, then calls are answered in order. */
export const runStoreWorker = (): void => {
  const port = parentPort
  if (!port) throw new Error('the store runs in a worker thread')
  let store: LocalStore | undefined
  const operation = (name: string): ((args: unknown[]) => unknown) | undefined => {
    const run = (store as unknown as Record<string, unknown> | undefined)?.[name]
    if (typeof run !== 'function') return undefined
    return (args) => {
      const result: unknown = run.apply(store, args)
      // The bytes of a write go back to be used again: as garbage they would pile up.
      return handedOver(name === 'writeImport' ? args[1] : result)
    }
  }
  const open = ([options]: unknown[]): void => {
    store = new LocalStore(options as StoreOptions)
  }
  const close = () => store?.close()
  const own: Record<string, (args: unknown[]) => unknown> = { open, close }
  serve(port, (name) => own[name] ?? operation(name), { overlap: true })
}
