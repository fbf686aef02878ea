/**
 * A starter at the other end of an owner's link, whose tokens and ends are called by hand. Its
 * book of requests is the real one.
 */

import type { Link, LinkEvent, Links } from '../../services/ports.ts'
import type { GenerationModel } from '../../services/requests/generation.ts'
import { Ledger, type TokenListener } from '../../services/ring/ledger.ts'
import type { PlainDraft, VisitFrame } from '../../services/wire/frame.ts'
import { writeJson } from '../../services/wire/json.ts'
import type { End, Open } from '../../services/wire/requests.ts'
import type { FakeClock } from './clock.ts'

/** Tokens are characters, and each prompt is one token. */
export const fakeModel = (name = 'toy', prompt?: () => Promise<void>): GenerationModel =>
  ({
    manifest: { name, text: { endIds: [] } },
    tokenizer: {
      spacePrefix: false,
      encode: () => [1],
      bytes: (id: number) => Uint8Array.of(id),
      isAdded: () => false,
      isControl: () => false,
    },
    chat: {
      prompt: async () => {
        await prompt?.()
        return { text: '', ids: [1], stops: [], lost: 0 }
      },
    },
    context: 4_096,
  }) as unknown as GenerationModel

/** Lets what was promised go on until nothing is left to do. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

type Running = { open: Open; told: number }

export class FakeStarter implements Links {
  readonly #clock: FakeClock
  readonly running = new Map<string, Running>()
  /** What reached the starter: `open a`, `cancel a`, `attach a`. */
  readonly heard: string[] = []
  ledger = new Ledger()
  #handler: (event: LinkEvent) => void = () => {}
  #wanted: string | undefined
  #link: Link | undefined
  #listener: TokenListener | undefined
  #inbox: (VisitFrame | PlainDraft)[] = []
  #keys = 0

  constructor(clock: FakeClock) {
    this.#clock = clock
  }

  onEvent(handler: (event: LinkEvent) => void): void {
    this.#handler = handler
  }
  onHello(): void {}
  setEpoch(): void {}
  hangUp(): void {}

  pause(): void {}

  keep(peer: { id: string }): void {
    this.#wanted = peer.id
  }

  drop(): void {
    this.#wanted = undefined
    this.down()
  }

  send(link: Link, frame: VisitFrame | PlainDraft): boolean {
    if (link.key !== this.#link?.key) return false
    this.#inbox.push(frame)
    return true
  }

  /** The link stands, where one is wanted. */
  up(): void {
    if (this.#link || this.#wanted === undefined) return
    const link: Link = { key: ++this.#keys, peer: this.#wanted, purpose: 'owner', dialed: true }
    const tell = (kind: 'token' | 'end') => (value: unknown) => {
      const frame = { kind, epoch: 0, number: 0, body: writeJson(value) }
      this.#handler({ kind: 'frame', link, frame })
    }
    this.#link = link
    this.#listener = { token: tell('token'), end: tell('end') }
    this.#handler({ kind: 'up', link })
  }

  /** The link breaks; what had not arrived is lost. */
  down(): void {
    const link = this.#link
    if (!link) return
    this.#link = undefined
    this.#inbox = []
    if (this.#listener) this.ledger.detach(this.#listener, this.#clock.now())
    this.#listener = undefined
    this.#handler({ kind: 'down', link, reason: 'it closed the connection' })
  }

  /** What was sent arrives. */
  deliver(): void {
    for (const frame of this.#inbox.splice(0)) {
      const body = JSON.parse(Buffer.from(frame.body as Uint8Array).toString()) as Open
      this.heard.push(`${frame.kind} ${body.id}`)
      if (frame.kind === 'open') this.#open(body)
      else if (frame.kind === 'cancel') this.finish(body.id, 'cancelled')
      else this.#attach(body.id)
    }
  }

  #open(open: Open): void {
    const listener = this.#listener as TokenListener
    if (this.ledger.isOrphan(open.id)) this.finish(open.id, 'cancelled')
    if (this.ledger.open(open.id, listener, this.#clock.now()))
      this.running.set(open.id, { open, told: 0 })
    else listener.end(errorEnd(open.id, 'bad-value', `A request ${open.id} is running already.`))
  }

  #attach(id: string): void {
    const listener = this.#listener as TokenListener
    if (!this.ledger.attach(id, 0, listener))
      listener.end(errorEnd(id, 'not-found', `Request ${id} is not known any more.`))
  }

  /** The next token of a request: the letters, one after the other. */
  token(id: string): void {
    const running = this.running.get(id)
    if (!running) return
    const step = running.told++
    this.ledger.token({ id, step, token: 97 + (step % 26) })
  }

  finish(id: string, reason: End['reason'] = 'length'): void {
    if (this.running.delete(id)) this.ledger.end({ id, reason }, this.#clock.now())
  }

  /** The process is started anew: it knows nothing. */
  restart(): void {
    this.down()
    this.running.clear()
    this.ledger = new Ledger()
  }
}

const errorEnd = (id: string, code: string, message: string): End => ({
  id,
  reason: 'error',
  error: { code, message },
})
