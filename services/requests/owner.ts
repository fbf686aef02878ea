/**
 * The owner's end of the link to the starter. When a lost link comes back, the owner attaches to its
 * requests from the next step on. When it stays away, they end with a sentence that names the
 * starter.
 */
import type { Clock, Link, LinkEvent, Links } from '../ports.ts'
import { FrameQueue } from '../ring/framequeue.ts'
import type { TokenListener } from '../ring/ledger.ts'
import type { PlainDraft } from '../wire/frame.ts'
import { readJson, writeJson } from '../wire/json.ts'
import { endSchema, type Open, tokenSchema } from '../wire/requests.ts'
import type { Peer } from '../wire/values.ts'
import type { TokenSource } from './tokensource.ts'

/** How long a request waits for a lost starter: with the link's own bound under 5 s. */
const PATIENCE_MS = 1_500

type Request = {
  open: Open
  listener: TokenListener
  sent: boolean
  nextStep: number
  /** The starter was told; a link that breaks may have lost the word. */
  cancelled: boolean
  /** It may have been opened before. It is opened where the starter does not know it. */
  again: boolean
}

export class Owner implements TokenSource {
  readonly #links: Links
  readonly #clock: Clock
  readonly #requests = new Map<string, Request>()
  #closed = false
  #starter: Peer | undefined
  #link: Link | undefined
  #stopWaiting: (() => void) | undefined
  /** What the link has not taken yet, and whose it is. */
  readonly #unsent: FrameQueue<Request | undefined>
  /**
   * Requests that ended here as cancelled, and from which step on. The ring may run them until it
   * tells their end.
   */
  readonly #cancelled = new Map<string, number>()

  /** @param links whose events of purpose `owner` are handed to `handle` */
  constructor(links: Links, clock: Clock) {
    this.#links = links
    this.#clock = clock
    this.#unsent = new FrameQueue(links, clock)
  }

  /** Requests that have not ended. */
  get size(): number {
    return this.#requests.size
  }

  /** Whether the starter can be spoken to. */
  get up(): boolean {
    return this.#link !== undefined
  }

  /** From now on this node starts the ring; undefined: there is none. */
  setStarter(starter: Peer | undefined): void {
    if (JSON.stringify(starter) === JSON.stringify(this.#starter)) return
    if (this.#starter) this.#links.drop(this.#starter.id, 'owner')
    const another = starter?.id !== this.#starter?.id
    if (this.#starter && another)
      this.#endAll('node-lost', 'The ring was given up; the request was ended.')
    this.#starter = starter
    this.#down()
    if (another) this.#cancelled.clear()
    if (!starter) return
    this.#links.keep(starter, 'owner')
    this.#wait()
  }

  /** @param nextStep tokens are told from this step on */
  open(open: Open, listener: TokenListener, again = false, nextStep = open.generated): void {
    if (this.#closed) return
    const request = { open, listener, sent: again, nextStep, cancelled: false, again }
    this.#requests.set(open.id, request)
    if (!this.#starter) {
      this.#end(open.id, 'no-model', 'No model is loaded; load one first.')
      return
    }
    if (this.#link) this.#send(request)
    else this.#wait()
  }

  /** Forgets every request: this process ends, and the one after it may ask for them again. */
  close(): void {
    this.#closed = true
    this.#requests.clear()
    this.#unsent.clear()
    this.#stopWaiting?.()
  }

  /** Forgets a request and does not end it: the starter runs on with it. */
  release(id: string): void {
    const request = this.#requests.get(id)
    this.#requests.delete(id)
    if (request) this.#unsent.forget((whose) => whose === request)
  }

  cancel(id: string): void {
    const request = this.#requests.get(id)
    if (!request) return
    request.cancelled = true
    if (this.#link && request.sent) this.#frame('cancel', { id })
    else this.#endCancelled(request)
  }

  #endCancelled({ open: { id }, sent, nextStep, listener }: Request): void {
    this.#requests.delete(id)
    if (sent) this.#cancelled.set(id, nextStep)
    listener.end({ id, reason: 'cancelled' })
  }

  handle(event: LinkEvent): void {
    if (event.kind === 'unreachable') return
    const { link } = event
    if (event.kind === 'up') {
      this.#link = link
      this.#unsent.use(link)
      this.#stopWaiting?.()
      this.#stopWaiting = undefined
      for (const [id, fromStep] of this.#cancelled) {
        this.#frame('attach', { id, fromStep })
        this.#frame('cancel', { id })
      }
      for (const request of this.#requests.values()) this.#send(request)
      return
    }
    if (link.key !== this.#link?.key) return
    if (event.kind === 'down') {
      this.#down()
      this.#wait()
    } else if (event.frame.kind === 'token') {
      const token = readJson(event.frame.body, tokenSchema, 'a token')
      const request = this.#requests.get(token.id)
      // After attaching, a token may be told twice.
      if (!request || token.step < request.nextStep) return
      request.nextStep = token.step + 1
      request.listener.token(token)
    } else if (event.frame.kind === 'end') {
      const end = readJson(event.frame.body, endSchema, 'an end')
      const request = this.#requests.get(end.id)
      if (this.#cancelled.delete(end.id)) {
        if (request) this.#send(request)
      } else if (request && end.error?.code === 'not-found') this.#unknown(request)
      else {
        this.#requests.delete(end.id)
        request?.listener.end(end)
      }
    }
  }

  #send(request: Request): void {
    const { open, sent, nextStep } = request
    // The request before it of this name must end first.
    if (this.#cancelled.has(open.id)) return
    if (sent) this.#frame('attach', { id: open.id, fromStep: nextStep })
    else this.#frame('open', open, request)
    request.sent = true
  }

  #frame(kind: 'open' | 'cancel' | 'attach', value: unknown, request?: Request): void {
    const frame: PlainDraft = { kind, epoch: 0, number: 0, body: writeJson(value) }
    this.#unsent.push(frame, request)
  }

  /** Whoever is still there attaches, or opens, over the next link. */
  #down(): void {
    this.#link = undefined
    for (const request of this.#unsent.clear()) if (request) request.sent = false
    for (const request of [...this.#requests.values()])
      if (request.cancelled) this.#endCancelled(request)
  }

  #wait(): void {
    if (this.#stopWaiting || this.#requests.size === 0) return
    this.#stopWaiting = this.#clock.after(PATIENCE_MS, () => {
      this.#stopWaiting = undefined
      if (this.#link) return
      for (const request of [...this.#requests.values()]) {
        this.#requests.delete(request.open.id)
        this.#lost(request)
      }
    })
  }

  /** The starter does not know it. */
  #unknown(request: Request): void {
    const { id } = request.open
    if (request.again && !request.cancelled) {
      request.again = false
      request.sent = false
      this.#send(request)
    } else if (request.cancelled) {
      this.#requests.delete(id)
      request.listener.end({ id, reason: 'cancelled' })
    } else {
      const starter = this.#starter?.id ?? 'that started the ring'
      const what = `Node ${starter} knows nothing of the request any more (it was started anew, or the connection broke while it was asked)`
      this.#end(id, 'node-lost', `${what}; ask again.`)
    }
  }

  #lost(request: Request): void {
    const message = `Node ${this.#starter?.id ?? 'that started the ring'} was lost; the request was ended.`
    const error = { code: 'node-lost', message }
    request.listener.end({ id: request.open.id, reason: 'error', error })
  }

  #end(id: string, code: string, message: string): void {
    const request = this.#requests.get(id)
    this.#requests.delete(id)
    request?.listener.end({ id, reason: 'error', error: { code, message } })
  }

  #endAll(code: string, message: string): void {
    for (const id of [...this.#requests.keys()]) this.#end(id, code, message)
  }
}
