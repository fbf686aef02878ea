/**
 * Calls into a worker thread: a request with a number, an answer with the same. Inside the
 * worker calls run one after the other, in the order in which they came.
 */
import { type MessagePort, type Transferable, Worker } from 'node:worker_threads'
import { errorFrom, MdiError } from '../errors.ts'

type Request = { id: number; method: string; args: unknown[] }
type Reply =
  | { id: number; told: unknown }
  | { id: number; result: unknown }
  | { id: number; error: { code: unknown; message: string } }
  /** A broken invariant: the process must end. */
  | { id: number; fatal: string }

/** What a call says before its answer: progress, or a part of the answer. */
type Tell = (value: unknown) => void

/** A worker's functions by name; the last argument says something before the answer. */
export type Handlers = Record<string, (args: unknown[], tell: Tell) => unknown>

/**
 * The buffer of a typed array, if it can move to the other thread whole. Empty ones stay:
 * they may be shared, and a buffer that has moved is of no use to anyone else.
 */
export const movable = (value: unknown): Transferable[] => {
  if (!ArrayBuffer.isView(value) || !(value.buffer instanceof ArrayBuffer)) return []
  const whole = value.byteOffset === 0 && value.byteLength === value.buffer.byteLength
  return whole && value.byteLength > 0 ? [value.buffer] : []
}

/** Serves calls that come through the port, until a call of `close` has been answered. */
export const serve = (port: MessagePort, handlers: Handlers): void => {
  let chain = Promise.resolve()
  const answer = async ({ id, method, args }: Request): Promise<void> => {
    const handler = handlers[method]
    try {
      if (!handler) throw new Error(`no such call: ${method}`)
      const result = await handler(args, (told) => port.postMessage({ id, told }))
      // Activations, where there are any, move instead of being copied.
      port.postMessage({ id, result }, movable((result as { x?: unknown } | undefined)?.x))
    } catch (error) {
      if (error instanceof MdiError) port.postMessage({ id, error: error.toJSON() })
      else port.postMessage({ id, fatal: (error as Error).stack ?? String(error) })
    }
    if (method === 'close') port.close()
  }
  port.on('message', (request: Request) => {
    chain = chain.then(() => answer(request))
  })
}

type Waiting = {
  resolve: (value: unknown) => void
  reject: (error: Error) => void
  onTold: Tell | undefined
}

/** The calling side: starts the worker and awaits its answers. */
export class RemoteWorker {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #next = 1
  #ended: Error | undefined

  /** @param entry the main file, which dispatches on `workerData.mode` */
  constructor(entry: string | URL, workerData: { mode: string } & Record<string, unknown>) {
    this.#worker = new Worker(entry, { workerData })
    this.#worker.on('message', (reply: Reply) => this.#reply(reply))
    this.#worker.on('error', (error) => this.#end(error as Error))
    this.#worker.on('exit', () => this.#end(new Error(`the ${workerData.mode} thread has ended`)))
  }

  /** Calls a function of the worker. An operating error comes back as `MdiError`. */
  call(
    method: string,
    args: unknown[],
    options: { transfer?: Transferable[]; onTold?: Tell | undefined } = {},
  ): Promise<unknown> {
    if (this.#ended) return Promise.reject(this.#ended)
    const id = this.#next++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, onTold: options.onTold })
      this.#worker.postMessage({ id, method, args }, options.transfer ?? [])
    })
  }

  /** Waits for the thread's end after a call of `close`. */
  async closed(): Promise<void> {
    if (this.#ended) return
    await new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()))
  }

  #reply(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id)
    if (!waiting) return
    if ('told' in reply) {
      waiting.onTold?.(reply.told)
      return
    }
    this.#waiting.delete(reply.id)
    if ('error' in reply) waiting.reject(errorFrom(reply.error))
    else if ('fatal' in reply) waiting.reject(new Error(reply.fatal))
    else waiting.resolve(reply.result)
  }

  #end(error: Error): void {
    this.#ended ??= error
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended)
    this.#waiting.clear()
  }
}
