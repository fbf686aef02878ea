/** A TCP port at which callers are taken, so many at once, for services of another's protocol. */
import { createServer, type Server, type Socket } from 'node:net'
import { MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { CallerSession, Doorway, DoorwayOptions } from '../../ports.ts'

/** @property now milliseconds; for tests */
export type TcpDoorwayOptions = DoorwayOptions & { now?: () => number }

/** One who hung up is waited for so long to read the rest. */
const LINGER_MS = 5_000
/** The same when the door closes. */
const CLOSE_MS = 500

export class TcpDoorway implements Doorway {
  readonly #options: TcpDoorwayOptions
  /** In the order in which they were last heard. */
  readonly #callers = new Map<Socket, { visit: CallerSession; since: number }>()
  #server: Server | undefined

  constructor(options: TcpDoorwayOptions) {
    this.#options = options
  }

  /** Callers that are connected. */
  get size(): number {
    return this.#callers.size
  }

  async start(port: number, host: string): Promise<number> {
    try {
      return await this.#listen(port, host)
    } catch (error) {
      const { code } = error as { code?: string }
      // A kernel without IPv6.
      if (host === '::' && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'))
        return this.start(port, '0.0.0.0')
      const why = code === 'EADDRINUSE' ? 'another program uses it' : (error as Error).message
      const message = `${this.#options.what} cannot open port ${port}: ${why}.`
      throw new MdiError('bad-value', message, { cause: error })
    }
  }

  async #listen(port: number, host: string): Promise<number> {
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) =>
      this.#accept(socket),
    )
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ port, host, backlog: 511 }, () => resolve())
    })
    // Out of file descriptors, say: those who call now are lost, later ones are not.
    server.on('error', () => {})
    const address = server.address()
    return typeof address === 'object' && address ? address.port : port
  }

  async close(): Promise<void> {
    const server = this.#server
    const closed = new Promise<void>((resolve) => {
      if (server?.listening) server.close(() => resolve())
      else resolve()
    })
    for (const { visit } of this.#callers.values()) visit.leave()
    const timer = setTimeout(() => {
      for (const socket of this.#callers.keys()) socket.destroy()
    }, CLOSE_MS)
    await closed
    clearTimeout(timer)
  }

  #now(): number {
    return this.#options.now?.() ?? performance.now()
  }

  /**
   * Makes room by dropping the caller that has been idle for longest; not one who has only
   * just called, whose words are on their way.
   */
  #makeRoom(): boolean {
    if (this.#callers.size < this.#options.most) return true
    const before = this.#now() - limits.voiceGraceMs
    for (const [socket, { visit, since }] of this.#callers) {
      if (!visit.idle || since > before) continue
      this.#callers.delete(socket)
      visit.leave()
      return true
    }
    return false
  }

  #accept(socket: Socket): void {
    socket.on('error', () => socket.destroy())
    if (!this.#makeRoom()) {
      const last = this.#options.crowded?.()
      if (last) socket.end(last)
      else socket.end()
      socket.resume()
      socket.setTimeout(LINGER_MS, () => socket.destroy())
      return
    }
    const visit = this.#options.visit({
      address: socket.remoteAddress ?? 'unknown',
      send: (bytes) => {
        if (socket.writable) socket.write(bytes)
        if (socket.writableLength > limits.voiceSendBytes) socket.destroy()
      },
      finish: () => {
        socket.end()
        socket.setTimeout(LINGER_MS, () => socket.destroy())
      },
      drop: () => socket.destroy(),
    })
    const caller = { visit, since: this.#now() }
    this.#callers.set(socket, caller)
    socket.on('data', (bytes) => {
      // One that was hung up on is read to its end, and not counted.
      if (this.#callers.delete(socket)) this.#callers.set(socket, caller)
      visit.data(bytes)
    })
    socket.on('end', () => visit.halfClosed())
    socket.on('close', () => {
      this.#callers.delete(socket)
      visit.closed()
    })
  }
}
