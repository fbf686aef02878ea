/** A TCP port at which callers are taken, so many at once, for services of another's protocol. */
import { createServer, type Server, type Socket } from 'node:net'
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Caller, Doorway, Visit } from '../ports.ts'

export type ListenerOptions = {
  /** What it is, for sentences: "The voice service". */
  what: string
  visit(caller: Caller): Visit
  /** Said to one who cannot be taken. */
  crowded?: () => Uint8Array
  /** Callers at once. */
  most: number
}

/** One who hung up is waited for so long to read the rest. */
const LINGER_MS = 5_000

export class Listener implements Doorway {
  readonly #options: ListenerOptions
  /** In the order in which they were last heard. */
  readonly #callers = new Map<Socket, Visit>()
  #server: Server | undefined

  constructor(options: ListenerOptions) {
    this.#options = options
  }

  /** Callers that are connected. */
  get size(): number {
    return this.#callers.size
  }

  async start(port: number, host: string): Promise<number> {
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) =>
      this.#accept(socket),
    )
    this.#server = server
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen({ port, host, backlog: 511 }, () => resolve())
      })
    } catch (error) {
      const taken = (error as { code?: string }).code === 'EADDRINUSE'
      throw new MdiError(
        'bad-value',
        `${this.#options.what} cannot open port ${port}: ${taken ? 'another program uses it' : (error as Error).message}.`,
        { cause: error },
      )
    }
    // Out of file descriptors, say: those who call now are lost, later ones are not.
    server.on('error', () => {})
    const address = server.address()
    return typeof address === 'object' && address ? address.port : port
  }

  async close(): Promise<void> {
    const server = this.#server
    for (const socket of this.#callers.keys()) socket.destroy()
    if (!server?.listening) return
    await new Promise<void>((resolve) => server.close(() => resolve()))
  }

  /** Makes room by dropping the caller that has been idle for longest. */
  #makeRoom(): boolean {
    if (this.#callers.size < this.#options.most) return true
    for (const [socket, visit] of this.#callers) {
      if (!visit.idle) continue
      this.#callers.delete(socket)
      socket.destroy()
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
    this.#callers.set(socket, visit)
    socket.on('data', (bytes) => {
      this.#callers.delete(socket)
      this.#callers.set(socket, visit)
      visit.data(bytes)
    })
    socket.on('end', () => visit.halfClosed())
    socket.on('close', () => {
      this.#callers.delete(socket)
      visit.closed()
    })
  }
}
