/** Keeps one link: dials until it stands, and again when it is lost. */
import { isDeepStrictEqual } from 'node:util'
import { MdiError } from '../../errors.ts'
import type { Peer } from '../../wire/values.ts'
import type { PeerConnection, Timing } from './connection.ts'

type Dial = (peer: Peer, signal: AbortSignal) => Promise<PeerConnection>

/** Keeps one link to one peer. */
export class Keeper {
  readonly #dial: Dial
  readonly #timing: Timing
  readonly #adopt: (connection: PeerConnection, down: (wasUp: boolean) => void) => void
  readonly #onUnreachable: (reason: string) => void
  readonly #stopping = new AbortController()
  #peer: Peer
  #rounds = 0
  #wake: () => void = () => {}

  /**
   * @param dial tries every address once
   * @param adopt takes an open connection; it calls `down` when that ended
   * @param onUnreachable told when dialing keeps failing, and when the reason changes
   */
  constructor(
    dial: Dial,
    timing: Timing,
    peer: Peer,
    adopt: (connection: PeerConnection, down: (wasUp: boolean) => void) => void,
    onUnreachable: (reason: string) => void,
  ) {
    this.#dial = dial
    this.#timing = timing
    this.#peer = peer
    this.#adopt = adopt
    this.#onUnreachable = onUnreachable
  }

  /** Begins to dial. */
  start(): void {
    void this.#run()
  }

  /** The peer announced itself anew: dials at once if its addresses changed. */
  update(peer: Peer): void {
    if (isDeepStrictEqual(peer, this.#peer)) return
    this.#peer = peer
    this.#rounds = 0
    this.#wake()
  }

  /** Dials no more. A link that stands is left to its owner. */
  stop(): void {
    this.#stopping.abort()
    this.#wake()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    let told = ''
    while (!signal.aborted) {
      const reason = await this.#once(signal)
      if (signal.aborted) return
      if (reason === undefined) {
        told = ''
        this.#rounds = 0
      } else {
        this.#rounds += 1
        if (this.#rounds >= this.#timing.unreachableRounds && reason !== told) {
          told = reason
          this.#onUnreachable(reason)
        }
      }
      await this.#pause()
    }
  }

  /** One dial, and the life of its link. @returns why it never stood, or undefined if it did */
  async #once(signal: AbortSignal): Promise<string | undefined> {
    const peer = this.#peer
    try {
      const connection = await this.#dial(peer, signal)
      if (signal.aborted) connection.close('it is no longer wanted')
      const stood = await new Promise<boolean>((resolve) => this.#adopt(connection, resolve))
      return stood ? undefined : `Node ${peer.id} at ${connection.remote} answers no probe.`
    } catch (error) {
      if (error instanceof MdiError) return error.message
      throw error
    }
  }

  /** Waits before dialing again: longer each time, and never the same for two nodes. */
  #pause(): Promise<void> {
    const { redialMs, redialMaxMs } = this.#timing
    const ms = Math.min(redialMs * 2 ** this.#rounds, redialMaxMs) * (0.5 + Math.random() / 2)
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
