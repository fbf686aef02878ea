/** A request core whose answers are scripted, for services in front of it. */
import type { CoreListener, CoreRequest } from '../../services/requests/core.ts'
import type { Answer } from '../../services/requests/generation.ts'
import { Events } from './events.ts'

/** What a scripted model says to an utterance; undefined: nothing comes, ever. */
export type Script = (said: string, request: CoreRequest) => string | Error | undefined

export const answerOf = (request: CoreRequest, text: string): Answer => ({
  id: request.text.id,
  model: 'scripted',
  text,
  reason: 'end',
  promptTokens: 1,
  tokens: 1,
  dropped: 0,
})

export const lastSaid = ({ text: { input } }: CoreRequest): string =>
  'messages' in input ? String(input.messages.at(-1)?.content) : input.prompt

export class ScriptedCore {
  readonly requests = new Events<CoreRequest>()
  readonly cancelled = new Events<string>()
  /** Listeners of requests to which nothing was said yet. */
  readonly open = new Map<string, CoreListener>()
  readonly #script: Script
  /** Log-probability of each answer's first line. */
  lineLogprob: number | undefined

  constructor(script: Script) {
    this.#script = script
  }

  submit(request: CoreRequest, listener: CoreListener): void {
    const text = this.#script(lastSaid(request), request)
    this.open.set(request.text.id, listener)
    this.requests.add(request)
    if (text === undefined) return
    queueMicrotask(() => {
      if (!this.open.delete(request.text.id)) return
      if (text instanceof Error) listener.error(text as never)
      else {
        for (const piece of text.match(/[\s\S]{1,3}/g) ?? []) listener.text(piece)
        const { lineLogprob } = this
        const told = request.text.lineLogprob !== undefined && lineLogprob !== undefined
        listener.end({ ...answerOf(request, text), ...(told && { lineLogprob }) })
      }
    })
  }

  cancel(id: string): void {
    this.open.delete(id)
    this.cancelled.add(id)
  }
}
