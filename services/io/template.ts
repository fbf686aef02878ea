/**
 * Chat templates in a worker: they come with model files, so they are strangers' programs.
 * The worker has no environment and little memory, and is ended when a template takes too
 * long; the next one gets a new worker.
 */
import { parentPort, Worker } from 'node:worker_threads'
import { errorFrom, MdiError } from '../errors.ts'
import { TemplateSyntaxError } from '../jinja/errors.ts'
import type { WallTime } from '../jinja/strftime.ts'
import { Template } from '../jinja/template.ts'
import { Text } from '../jinja/text.ts'
import { Dict, fromJson, type Value } from '../jinja/values.ts'
import { limits } from '../limits.ts'
import type { Rendered, TemplateRunner, TemplateVariables } from '../model/chat.ts'

/** What `workerData.mode` is in the template's thread. */
export const templateMode = 'template'

type Request = { template: string; variables: TemplateVariables }
type Answer = { ready: true } | Rendered | { code: string; message: string }

/** The wall clock, in its zone. */
const wallTime = (): WallTime => {
  const now = new Date()
  return {
    year: now.getFullYear(),
    month: now.getMonth() + 1,
    day: now.getDate(),
    hour: now.getHours(),
    minute: now.getMinutes(),
    second: now.getSeconds(),
    microsecond: now.getMilliseconds() * 1000,
  }
}

/** A message; its role, one of a few known words, may be part of a control token. */
const messageValue = (message: Record<string, unknown>): Value => {
  const value = fromJson(message)
  const { role } = message
  if (value instanceof Dict && typeof role === 'string') value.set(new Text('role'), new Text(role))
  return value
}

/**
 * A template's text, and which of its characters the template did not write itself.
 * @throws TemplateSyntaxError where it cannot be read, TemplateError where it fails
 */
export const renderTemplate = (template: Template, variables: TemplateVariables): Rendered => {
  const { messages, foreign, own } = variables
  const values = new Map(Object.entries(foreign).map(([k, v]) => [k, fromJson(v)]))
  values.set('messages', messages.map(messageValue))
  for (const [name, value] of Object.entries(own)) values.set(name, fromJson(value, true))
  const text = template.render(values, wallTime)
  return { text: text.value, foreign: [...text.foreign] }
}

const reasonOf = (error: unknown): string => {
  const reason = error instanceof Error ? error.message : String(error)
  return reason.length > 300 ? `${reason.slice(0, 300)}…` : reason
}

/** The template's thread: renders one after the other. */
export const runTemplateWorker = (): void => {
  const port = parentPort
  if (!port) throw new Error('templates run in a worker thread')
  let last: { source: string; template: Template } | undefined
  const render = ({ template, variables }: Request): Answer => {
    try {
      if (last?.source !== template) last = { source: template, template: new Template(template) }
    } catch (error) {
      const message = `The model's chat template cannot be read: ${reasonOf(error)}`
      return { code: 'unsupported', message }
    }
    try {
      const rendered = renderTemplate(last.template, variables)
      if (Buffer.byteLength(rendered.text) <= limits.templateOutputBytes) return rendered
      return { code: 'too-long', message: "The model's chat template writes too long a prompt." }
    } catch (error) {
      if (error instanceof TemplateSyntaxError) {
        const message = `The model's chat template cannot be read: ${reasonOf(error)}`
        return { code: 'unsupported', message }
      }
      const message = `The model's chat template refuses this conversation: ${reasonOf(error)}`
      return { code: 'bad-value', message }
    }
  }
  port.on('message', (request: Request) => port.postMessage(render(request)))
  port.postMessage({ ready: true } satisfies Answer)
}

/** Renders in a worker of its own; one template at a time. */
export class TemplateWorker implements TemplateRunner {
  readonly #entry: URL | string
  readonly #limitMs: number
  #worker: Worker | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #closed = false

  /**
   * @param entry the file that a worker starts with; it calls `runTemplateWorker` where
   *   `workerData.mode` is `templateMode`
   */
  constructor(entry: URL | string, limitMs: number = limits.templateMs) {
    this.#entry = entry
    this.#limitMs = limitMs
  }

  render(template: string, variables: TemplateVariables): Promise<Rendered> {
    const rendered = this.#turn.then(() => this.#render({ template, variables }))
    this.#turn = rendered.catch(() => {})
    return rendered
  }

  async #render(request: Request): Promise<Rendered> {
    if (this.#closed) throw stopped()
    // Starting a worker takes long on a small board: that time is not the template's.
    this.#worker ??= await this.#started()
    const worker = this.#worker
    if (this.#closed) {
      await this.#drop()
      throw stopped()
    }
    worker.ref()
    const answered = this.#answer(worker)
    worker.postMessage(request)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), this.#limitMs)
    })
    try {
      const answer = await Promise.race([answered, late])
      if (answer === undefined) {
        answered.catch(() => {})
        await this.#drop()
        throw new MdiError(
          'timeout',
          `The model's chat template was stopped: it took more than ${this.#limitMs / 1000} s.`,
        )
      }
      if ('text' in answer) return answer
      throw errorFrom('code' in answer ? answer : { message: 'no answer' })
    } finally {
      clearTimeout(timer)
      worker.unref()
    }
  }

  async #started(): Promise<Worker> {
    const worker = new Worker(this.#entry, {
      workerData: { mode: templateMode },
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: limits.templateHeapMiB },
    })
    // It may also end between two requests.
    worker.on('error', () => {})
    worker.once('exit', () => {
      if (this.#worker === worker) this.#worker = undefined
    })
    await this.#answer(worker)
    return worker
  }

  /** The worker's next message; it fails when the worker does. */
  #answer(worker: Worker): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const failed = (error: unknown) => {
        settle()
        if (this.#worker === worker) this.#worker = undefined
        reject(workerError(error))
      }
      const answered = (answer: Answer) => {
        settle()
        resolve(answer)
      }
      const settle = () => worker.off('message', answered).off('error', failed).off('exit', failed)
      worker.on('message', answered).on('error', failed).on('exit', failed)
    })
  }

  async #drop(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    await worker?.terminate()
  }

  /** Whether a thread is there. */
  get running(): boolean {
    return this.#worker !== undefined
  }

  /** Ends the worker; a template that is being rendered fails, and so do those that wait. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#drop()
  }
}

const stopped = (): MdiError => new MdiError('cancelled', "The model's chat template was stopped.")

const workerError = (error: unknown): Error => {
  const code = (error as { code?: unknown } | null)?.code
  if (code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new MdiError('bad-value', "The model's chat template needs too much memory.")
  if (error instanceof Error) return error
  return stopped()
}
