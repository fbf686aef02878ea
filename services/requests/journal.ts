/**
 * Requests that are not answered yet, kept for the process after this one: those that run in the ring
 * and those that wait in the queue.
 */

import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { WallClock } from '../ports.ts'
import type { CoreListener, CoreRequest } from './core.ts'

/** Where a request came from, and when it was asked (ms since 1970), where that is known. */
export type Asked = {
  /** The interface's own words for it: JSON, which this room does not look into. */
  origin: unknown
  at?: number
}

export type KeptRequest = Asked & {
  id: string
  /** It had a place in the ring; the others waited. */
  runs: boolean
  /** Absent: it was too long to be kept. */
  request?: CoreRequest
}

type Entry = { kept: KeptRequest; bytes: number }

export class RequestJournal {
  readonly #save: (text: string) => Promise<void>
  readonly #wallClock: WallClock
  readonly #entries = new Map<string, Entry>()
  /** Bytes of the requests that are kept whole. */
  #bytes = 0
  #saving = false
  #written: Promise<void> = Promise.resolve()
  #changed = false

  /** @param save keeps a text in the place of the last one; called again only when it is done */
  constructor(save: (text: string) => Promise<void>, wallClock: WallClock) {
    this.#save = save
    this.#wallClock = wallClock
  }

  /** Requests that are kept now. */
  get size(): number {
    return this.#entries.size
  }

  /** Names of the requests that are kept now. */
  get ids(): string[] {
    return [...this.#entries.keys()]
  }

  /** Keeps a request from its start to its end. The listener hears of both. */
  follow(request: CoreRequest, asked: Asked, listener: CoreListener): CoreListener {
    // A refused request is never kept, since another one may have its name.
    let kept: KeptRequest | undefined
    const forget = () => {
      if (kept) this.#remove(kept.id)
      kept = undefined
    }
    return {
      text: (text) => listener.text(text),
      token: (token) => listener.token?.(token),
      queued: (place) => {
        kept ??= this.#add(request, asked)
        listener.queued?.(place)
      },
      started: () => {
        kept ??= this.#add(request, asked)
        kept.runs = true
        this.write()
        listener.started?.()
      },
      end: (answer) => {
        listener.end(answer)
        forget()
      },
      error: (error) => {
        listener.error(error)
        forget()
      },
    }
  }

  #add(request: CoreRequest, asked: Asked): KeptRequest {
    const at = asked.at ?? this.#wallClock.now()?.getTime()
    const bytes = Buffer.byteLength(JSON.stringify(request))
    const whole = this.#bytes + bytes <= limits.keptRequestBytes
    const kept: KeptRequest = {
      ...{ id: request.text.id, runs: false, origin: asked.origin },
      ...(whole && { request }),
      ...(at !== undefined && { at }),
    }
    this.#entries.set(kept.id, { kept, bytes: whole ? bytes : 0 })
    if (whole) this.#bytes += bytes
    this.write()
    return kept
  }

  #remove(id: string): void {
    this.#bytes -= this.#entries.get(id)?.bytes ?? 0
    this.#entries.delete(id)
    this.write()
  }

  /** Has what is kept now saved. */
  write(): void {
    this.#changed = true
    if (!this.#saving) this.#written = this.#writeAll()
  }

  /** Resolves when all is saved. */
  written(): Promise<void> {
    return this.#written
  }

  async #writeAll(): Promise<void> {
    this.#saving = true
    // What changes at once is written at once.
    await Promise.resolve()
    while (this.#changed) {
      this.#changed = false
      await this.#save(JSON.stringify([...this.#entries.values()].map(({ kept }) => kept)))
    }
    this.#saving = false
  }
}

const isKept = (value: unknown): value is KeptRequest => {
  const { id, origin } = Object(value) as Partial<KeptRequest>
  return typeof id === 'string' && typeof origin === 'object' && origin !== null
}

/**
 * What was kept, those that ran first. What another version kept in another form is left out.
 * @throws MdiError `bad-file` where it is damaged
 */
export const readKept = (text: string): KeptRequest[] => {
  let all: unknown
  try {
    all = JSON.parse(text)
  } catch (cause) {
    const lost = 'The requests that were asked before cannot be read; they must be asked again.'
    throw new MdiError('bad-file', lost, { cause })
  }
  const kept = Array.isArray(all) ? all.filter(isKept) : []
  return [...kept.filter((k) => k.runs), ...kept.filter((k) => !k.runs)]
}

/** Why a kept request is not taken up; undefined: it is. */
export const staleness = (
  { request, at }: KeptRequest,
  now: Date | undefined,
): string | undefined => {
  if (!request) return 'The coordinator was started anew meanwhile; ask again.'
  if (at !== undefined && now && now.getTime() - at > limits.keptRequestMs)
    return 'The coordinator was away for too long meanwhile; ask again.'
  return undefined
}
