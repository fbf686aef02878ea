/**
 * Calls into a worker thread: a request with a number, an answer with the same. Operating errors
 * come back as `MdiError`; anything else is a broken invariant and comes back with its stack.
 */
import { type MessagePort, type Transferable, Worker } from 'node:worker_threads'
import { errorFrom, MdiError } from '../errors.ts'

type Request = { id: number; method: string; args: unknown[] }
type Failure = { operating: boolean; code?: string; message: string; stack?: string }
type Reply = { id: number } & ({ told: unknown } | { result: unknown } | { failure: Failure })

/** What a call says before its answer: progress, or a part of the answer. */
type Tell = (value: unknown) => void

/** A worker's function; the last argument says something before the answer. */
export type Handler = (args: unknown[], tell: Tell) => unknown
/** A worker's functions by name. */
export type Handlers = Record<string, Handler> | ((method: string) => Handler | undefined)

/** An answer whose memory goes to the caller instead of being copied. */
export class HandedOver {
  readonly value: unknown
  readonly memory: readonly Transferable[]

  constructor(value: unknown, memory: readonly Transferable[]) {
    this.value = value
    this.memory = memory
  }
}

/**
 * The buffer of a typed array, if it can move to the other thread whole. Empty ones stay: they
 * may be shared, and a buffer that has moved is of no use to anyone else.
 */
export const movable = (value: unknown): Transferable[] => {
  if (!ArrayBuffer.isView(value) || !(value.buffer instanceof ArrayBuffer)) return []
  const whole = value.byteOffset === 0 && value.byteLength === value.buffer.byteLength
  return whole && value.byteLength > 0 ? [value.buffer] : []
}

export type ServeOptions = {
  /**
   * Whether a call that awaits something lets those after it begin. Otherwise calls run one
   * after the other. They begin in the order in which they came in either case.
   */
  overlap?: boolean
}

const failureOf = (error: unknown): Failure => {
  if (error instanceof MdiError) return { operating: true, ...error.toJSON() }
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  return { operating: false, message, ...(stack !== undefined && { stack }) }
}

const errorOf = (failure: Failure): Error => {
  if (failure.operating) return errorFrom(failure)
  const error = new Error(failure.message)
  if (failure.stack !== undefined) error.stack = failure.stack
  return error
}

/** Serves calls that come through the port, until a call of `close` has been answered. */
export const serve = (
  port: MessagePort,
  handlers: Handlers,
  { overlap = false }: ServeOptions = {},
): void => {
  const reply = (message: Reply, memory: readonly Transferable[] = []) =>
    port.postMessage(message, memory)
  const settle = (id: number, result: unknown): void => {
    if (result instanceof HandedOver) reply({ id, result: result.value }, result.memory)
    else reply({ id, result })
  }
  const answer = ({ id, method, args }: Request): Promise<void> | undefined => {
    try {
      const handler = typeof handlers === 'function' ? handlers(method) : handlers[method]
      if (!handler) throw new Error(`no such call: ${method}`)
      const result = handler(args, (told) => reply({ id, told }))
      if (!(result instanceof Promise)) {
        settle(id, result)
        return undefined
      }
      return result.then(
        (value) => settle(id, value),
        (error: unknown) => reply({ id, failure: failureOf(error) }),
      )
    } catch (error) {
      reply({ id, failure: failureOf(error) })
      return undefined
    }
  }
  /** Calls that are not answered yet. */
  const pending = new Set<Promise<void>>()
  let chain: Promise<void> | undefined
  const begin = (request: Request): Promise<void> | undefined => {
    const answered = answer(request)?.finally(() => pending.delete(answered as Promise<void>))
    if (answered) pending.add(answered)
    return answered
  }
  const close = async (request: Request): Promise<void> => {
    await chain
    await Promise.all(pending)
    await begin(request)
    port.close()
  }
  port.on('message', (request: Request) => {
    if (request.method === 'close') void close(request)
    else if (overlap) begin(request)
    // Without a call before it, one begins at once.
    else if (chain) chain = chain.then(() => begin(request))
    else chain = begin(request)
  })
}

type Waiting = {
  resolve: (value: unknown) => void
  reject: (error: Error) => void
  onTold: Tell | undefined
}

export type RemoteWorkerOptions = {
  /** Whether an idle worker lets the process end. */
  unrefIdle?: boolean
  /** What is said of calls when the thread has ended. */
  ended?: () => Error
}

/** The calling side: starts the worker and awaits its answers. */
export class RemoteWorker {
  readonly #worker: Worker
  readonly #unrefIdle: boolean
  readonly #waiting = new Map<number, Waiting>()
  #next = 1
  #ended: Error | undefined

  /** @param entry the main file, which dispatches on `workerData.mode` */
  constructor(
    entry: string | URL,
    workerData: { mode: string } & Record<string, unknown>,
    { unrefIdle = false, ended }: RemoteWorkerOptions = {},
  ) {
    this.#unrefIdle = unrefIdle
    this.#worker = new Worker(entry, { workerData })
    this.#worker.on('message', (reply: Reply) => this.#reply(reply))
    this.#worker.on('error', (error) => this.#end(error as Error))
    const gone = ended ?? (() => new Error(`the ${workerData.mode} thread has ended`))
    this.#worker.on('exit', () => this.#end(gone()))
  }

  /** Whether the thread has ended, or failed. */
  get over(): boolean {
    return this.#ended !== undefined
  }

  /** Calls a function of the worker. */
  call(
    method: string,
    args: readonly unknown[],
    options: { transfer?: readonly Transferable[]; onTold?: Tell | undefined } = {},
  ): Promise<unknown> {
    if (this.#ended) return Promise.reject(this.#ended)
    const id = this.#next++
    if (this.#unrefIdle) this.#worker.ref()
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, onTold: options.onTold })
      this.#worker.postMessage({ id, method, args }, options.transfer ?? [])
    })
  }

  /** Waits for the thread's end after a call of `close`. */
  async closed(): Promise<void> {
    if (this.#ended) return
    this.#worker.ref()
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
    if (this.#unrefIdle && this.#waiting.size === 0) this.#worker.unref()
    if ('failure' in reply) waiting.reject(errorOf(reply.failure))
    else waiting.resolve(reply.result)
  }

  #end(error: Error): void {
    this.#ended ??= error
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended)
    this.#waiting.clear()
  }
}
