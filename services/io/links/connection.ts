/**
 * One TCP connection that speaks frames: reading and writing with bounds, probes each way,
 * and an end with a reason. It knows nothing of handshakes (`handshake.ts`) or of who
 * keeps it (`tcp.ts`).
 */
import type { Socket } from 'node:net'
import { limits } from '../../limits.ts'
import { encodeFrame } from '../../wire/codec.ts'
import type { Frame, FrameKind, PlainDraft, VisitFrame } from '../../wire/frame.ts'
import { FrameError, kinds } from '../../wire/frame.ts'
import { FrameReader } from '../../wire/reader.ts'

/** Times of the data plane in milliseconds, from `limits`; tests may shorten them. */
export type Timing = {
  connectMs: number
  helloMs: number
  dialStaggerMs: number
  redialMs: number
  redialMaxMs: number
  unreachableRounds: number
  probeEveryMs: number
  linkSilenceMs: number
}

/** How a connection ended. */
export type Ending = {
  reason: string
  /** The bytes that arrived were no frames, or no frames of ours. */
  error?: FrameError
}

const PROBES: readonly FrameKind[] = ['probe', 'probe-reply']

const wordsFor: Record<string, string> = {
  ECONNREFUSED: 'the connection is refused there',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to its network',
  ETIMEDOUT: 'it does not answer',
  ENOTFOUND: 'its name is not known',
  EPIPE: 'the connection was reset',
}

/** An error of a socket in words. */
export const socketWords = (error: Error & { code?: string }): string =>
  wordsFor[error.code ?? ''] ?? error.message

/** A connection that speaks frames. */
export class PeerConnection {
  readonly #socket: Socket
  readonly #reader: FrameReader
  readonly #timing: Timing
  #expected: ReadonlySet<FrameKind>
  #onFrame: (frame: Frame) => void = () => {}
  #onUp: (() => void) | undefined
  #onProblem: (error: FrameError) => void = () => {}
  #onEnd: ((ending: Ending) => void) | undefined
  #told = false
  #ending: Ending | undefined
  #probes: NodeJS.Timeout | undefined
  #probe = 0
  #silent = 0
  #up = false
  #paused = false
  #queued = 0
  #waiting: (() => void)[] = []

  /**
   * @param socket connected; owned by this object from now on
   * @param expected the kinds of frames that may come first
   */
  constructor(socket: Socket, timing: Timing, expected: readonly FrameKind[]) {
    this.#socket = socket
    this.#timing = timing
    this.#expected = new Set(expected)
    this.#reader = new FrameReader(
      (kind) => (this.#expected.has(kind) ? kinds[kind].max : undefined),
      (frame) => this.#receive(frame),
    )
    socket.setNoDelay(true)
    socket.on('data', (bytes) => this.#read(bytes))
    socket.on('error', (error) => this.#finish({ reason: socketWords(error) }))
    socket.on('end', () => this.#finish({ reason: 'it closed the connection' }))
    socket.on('close', () => this.#finish({ reason: 'it closed the connection' }))
  }

  /** Where the other end is: address and port. */
  get remote(): string {
    return `${this.#socket.remoteAddress ?? '?'}:${this.#socket.remotePort ?? '?'}`
  }

  get ended(): boolean {
    return this.#ending !== undefined
  }

  /** Whether frames went both ways. */
  get up(): boolean {
    return this.#up
  }

  /** Frames that wait to be sent. */
  get queued(): number {
    return this.#queued
  }

  /** Sets the one receiver of frames other than probes. */
  onFrame(handler: (frame: Frame) => void): void {
    this.#onFrame = handler
  }

  /** Called once, when a probe was answered or a first frame came. */
  onUp(handler: () => void): void {
    this.#onUp = handler
    // A peer may answer in the very slice of its welcome.
    if (this.#up) queueMicrotask(handler)
  }

  /** Called when what came cannot be read, while an answer can still be sent. */
  onProblem(handler: (error: FrameError) => void): void {
    this.#onProblem = handler
  }

  /** Called once, never from within a call of this object's methods. */
  onEnd(handler: ((ending: Ending) => void) | undefined): void {
    this.#onEnd = handler
    queueMicrotask(() => this.#tellEnd())
  }

  /** The handshake is over: expects these kinds and probes, and begins to probe. */
  open(expected: readonly FrameKind[]): void {
    if (this.#ending) return
    this.#expected = new Set([...expected, ...PROBES])
    this.#sendProbe()
    this.#probes = setInterval(() => this.#tick(), this.#timing.probeEveryMs)
  }

  /**
   * Sends a frame; its body must not change afterwards.
   * @returns false when the queue is full or the connection ended: the frame was not taken
   */
  send(frame: VisitFrame | PlainDraft): boolean {
    if (this.#ending) return false
    const full =
      this.#queued >= limits.queueFrames || this.#socket.writableLength > limits.queueBytes
    if (full && !PROBES.includes(frame.kind)) return false
    this.#write(encodeFrame(frame))
    return true
  }

  /** Resolves when at most `frames` wait to be sent, or the connection ended. */
  async drained(frames: number): Promise<void> {
    while (!this.#ending && this.#queued > frames)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** Stops or resumes reading. While it is stopped, silence means nothing. */
  pause(paused: boolean): void {
    this.#paused = paused
    if (this.#ending) return
    if (paused) this.#socket.pause()
    else this.#socket.resume()
  }

  /** Ends the connection; what waits to be sent is still sent, for a moment. */
  close(reason: string): void {
    if (this.#ending) return
    this.#finish({ reason })
  }

  #write(pieces: Uint8Array[]): void {
    this.#queued += 1
    // Corked, the pieces leave in one system call, without being joined.
    this.#socket.cork()
    pieces.forEach((piece, i) => {
      if (i < pieces.length - 1) this.#socket.write(piece)
      else this.#socket.write(piece, () => this.#written())
    })
    this.#socket.uncork()
  }

  #written(): void {
    this.#queued -= 1
    this.#wake()
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }

  #read(bytes: Uint8Array): void {
    this.#silent = 0
    if (this.#ending) return
    try {
      this.#reader.push(bytes)
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      this.#onProblem(error)
      this.#finish({ reason: error.message, error })
    }
  }

  #receive(frame: Frame): void {
    // An earlier frame of the same slice may have ended the connection.
    if (this.#ending) return
    if (frame.kind === 'probe') {
      this.send({ kind: 'probe-reply', epoch: 0, number: frame.number })
      return
    }
    if (frame.kind === 'probe-reply') {
      if (frame.number >= 1 && frame.number <= this.#probe) this.#nowUp()
      return
    }
    // A peer sends other frames only once its probe was answered: both ways work.
    if (this.#probes) this.#nowUp()
    if (!this.#ending) this.#onFrame(frame)
  }

  #nowUp(): void {
    if (this.#up) return
    this.#up = true
    this.#onUp?.()
  }

  #sendProbe(): void {
    this.#probe = (this.#probe + 1) >>> 0
    this.send({ kind: 'probe', epoch: 0, number: this.#probe })
  }

  // Silence is counted in ticks of this process's own timer, not in time: a process that
  // was itself stopped for a while must not take its peers for lost when it goes on.
  #tick(): void {
    if (!this.#paused) this.#silent += 1
    const ms = this.#silent * this.#timing.probeEveryMs
    if (ms > this.#timing.linkSilenceMs)
      this.#finish({ reason: `it has been silent for ${(ms / 1000).toFixed(1)} s` })
    else this.#sendProbe()
  }

  #finish(ending: Ending): void {
    if (this.#ending) return
    this.#ending = ending
    clearInterval(this.#probes)
    this.#wake()
    this.#shut()
    queueMicrotask(() => this.#tellEnd())
  }

  #tellEnd(): void {
    if (!this.#ending || !this.#onEnd || this.#told) return
    this.#told = true
    this.#onEnd(this.#ending)
  }

  #shut(): void {
    const socket = this.#socket
    if (socket.destroyed) return
    // What comes now is thrown away; a paused socket would never see the other's end.
    socket.resume()
    socket.destroySoon()
    const timer = setTimeout(() => socket.destroy(), this.#timing.helloMs)
    socket.once('close', () => clearTimeout(timer))
  }
}
