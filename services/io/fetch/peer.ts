/** Weight transfer: one peer that chunks are fetched from, dialed when first needed. */
import { errorFrom, MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { Fetch } from '../../wire/fetch.ts'
import { fetchErrorSchema, readChunkBody } from '../../wire/fetch.ts'
import type { Frame } from '../../wire/frame.ts'
import { readJson, writeJson } from '../../wire/json.ts'
import type { Peer } from '../../wire/values.ts'
import type { PeerConnection } from '../links/connection.ts'

export type FetchedChunk = { sha256: string; data: Uint8Array }
type Pending = { resolve: (chunk: FetchedChunk) => void; reject: (error: Error) => void }

/** One peer that has weights. */
export class PeerSource {
  readonly peer: Peer
  readonly #dial: () => Promise<PeerConnection>
  readonly #patience: number
  readonly #pending = new Map<number, Pending>()
  #connection: Promise<PeerConnection> | undefined
  #timer: NodeJS.Timeout | undefined
  #number = 0

  constructor(peer: Peer, dial: () => Promise<PeerConnection>, patience: number = limits.fetchMs) {
    this.peer = peer
    this.#dial = dial
    this.#patience = patience
  }

  /**
   * Fetches one chunk.
   * @throws MdiError `node-lost`, `peer-refused`, or what the peer answers (`not-found`)
   */
  async fetch(what: Fetch): Promise<FetchedChunk> {
    const connection = await this.#connected()
    this.#number = (this.#number + 1) >>> 0
    const number = this.#number
    return new Promise((resolve, reject) => {
      this.#pending.set(number, { resolve, reject })
      this.#watch()
      const taken = connection.send({ kind: 'fetch', epoch: 0, number, body: writeJson(what) })
      if (taken) return
      this.#pending.delete(number)
      this.#watch()
      reject(new MdiError('node-lost', `The link to node ${this.peer.id} is lost.`))
    })
  }

  /** Ends the link; what is on its way is rejected. */
  close(): void {
    const connection = this.#connection
    this.#lost(undefined, 'it is no longer needed')
    connection?.then(
      (c) => c.close('the fetch ended'),
      () => {},
    )
  }

  /** The link, made if there is none; those who ask meanwhile wait for the same. */
  #connected(): Promise<PeerConnection> {
    if (this.#connection) return this.#connection
    const dialing: Promise<PeerConnection> = this.#dial().then(
      (connection) => {
        connection.onFrame((frame) => this.#receive(frame))
        connection.onEnd(({ reason }) => this.#lost(dialing, reason))
        return connection
      },
      (error) => {
        if (this.#connection === dialing) this.#connection = undefined
        throw error
      },
    )
    this.#connection = dialing
    return dialing
  }

  #lost(which: Promise<PeerConnection> | undefined, reason: string): void {
    if (which && this.#connection !== which) return
    this.#connection = undefined
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    this.#watch()
    for (const { reject } of pending)
      reject(
        new MdiError('node-lost', `Node ${this.peer.id} was lost while weights came: ${reason}.`),
      )
  }

  #receive(frame: Frame): void {
    const pending = this.#pending.get(frame.number)
    if (!pending) return
    this.#pending.delete(frame.number)
    this.#watch()
    if (frame.kind === 'chunk') {
      const chunk = readChunkBody(frame.body)
      if (chunk) pending.resolve(chunk)
      else pending.reject(new MdiError('bad-file', `Node ${this.peer.id} sent a chunk cut short.`))
      return
    }
    try {
      pending.reject(errorFrom(readJson(frame.body, fetchErrorSchema, 'a fetch-error')))
    } catch (error) {
      pending.reject(error as Error)
    }
  }

  /** Gives the peer up when it answers nothing for a long time, though the link stands. */
  #watch(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#pending.size === 0) return
    this.#timer = setTimeout(() => {
      const connection = this.#connection
      this.#lost(undefined, 'it answered no chunk in time')
      connection?.then(
        (c) => c.close('it answered no chunk in time'),
        () => {},
      )
    }, this.#patience)
  }
}
