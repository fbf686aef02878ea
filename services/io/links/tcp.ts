/**
 * The data plane on TCP: one port a node, links that are kept to neighbours, links that
 * neighbours made. Implements `Links`; weight transfer takes its connections from here.
 */
import type { Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import { MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { Link, LinkEvent, Links, Refusal } from '../../ports.ts'
import type { PlainDraft, VisitFrame } from '../../wire/frame.ts'
import type { Hello, Purpose } from '../../wire/hello.ts'
import type { Peer } from '../../wire/values.ts'
import type { PeerConnection, Timing } from './connection.ts'
import { dial } from './dial.ts'
import type { Greeted, OwnEnd, Stranger } from './handshake.ts'
import { answerHello } from './handshake.ts'
import { Keeper } from './keeper.ts'

export type TcpOptions = {
  node: string
  cluster: string
  /** Version of the software. */
  version: string
  /** Takes the connections of peers that want weights; without it they are refused. */
  onWeights?: (connection: PeerConnection, peer: string) => void
  /** Told of troubles that end nothing, as a sentence. */
  onTrouble?: (sentence: string) => void
  /** Shorter times, for tests. */
  timing?: Partial<Timing>
}

type Active = { link: Link; connection: PeerConnection; leave(reason: string): void }

const keyOf = (peer: string, purpose: Purpose, dialed: boolean): string =>
  `${purpose} ${dialed ? 'to' : 'from'} ${peer}`

/** The data plane of one node. */
export class TcpLinks implements Links {
  readonly #options: TcpOptions
  readonly #timing: Timing
  readonly #self: OwnEnd
  readonly #links = new Map<string, Active>()
  readonly #byKey = new Map<number, Active>()
  readonly #keepers = new Map<string, Keeper>()
  readonly #greeting = new Set<PeerConnection>()
  readonly #connections = new Set<PeerConnection>()
  readonly #closing = new AbortController()
  readonly #strangers: Record<Stranger, number> = { greeted: 0, garbage: 0, silent: 0, refused: 0 }
  #handler: (event: LinkEvent) => void = () => {}
  #admit: (hello: Hello) => Refusal | undefined = () => undefined
  #server: Server | undefined
  #epoch = 0
  #nextKey = 1

  constructor(options: TcpOptions) {
    this.#options = options
    this.#timing = { ...limits, ...options.timing }
    const { node, cluster, version } = options
    this.#self = { node, cluster, version, epoch: () => this.#epoch }
  }

  /** How many strangers connected, by what became of them. A port scan only counts here. */
  get strangers(): Readonly<Record<Stranger, number>> {
    return this.#strangers
  }

  /**
   * Opens the data port.
   * @param port 0 takes a free one
   * @returns the port
   * @throws MdiError `bad-value` when the port is taken
   */
  async start(port: number, host = '::'): Promise<number> {
    try {
      return await this.#listen(port, host)
    } catch (error) {
      const { code } = error as { code?: string }
      // A kernel without IPv6.
      if (host === '::' && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'))
        return this.start(port, '0.0.0.0')
      const why = code === 'EADDRINUSE' ? 'another program uses it' : (error as Error).message
      throw new MdiError('bad-value', `The data port ${port} cannot be opened: ${why}.`, {
        cause: error,
      })
    }
  }

  #listen(port: number, host: string): Promise<number> {
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket))
    server.maxConnections = limits.connections
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ port, host }, () => {
        server.off('error', reject)
        server.on('error', (e) => this.#options.onTrouble?.(`The data port: ${e.message}.`))
        this.#server = server
        const address = server.address()
        resolve(typeof address === 'object' && address ? address.port : port)
      })
    })
  }

  onEvent(handler: (event: LinkEvent) => void): void {
    this.#handler = handler
  }

  onHello(admit: (hello: Hello) => Refusal | undefined): void {
    this.#admit = admit
  }

  setEpoch(epoch: number): void {
    this.#epoch = epoch
  }

  keep(peer: Peer, purpose: Purpose): void {
    const key = keyOf(peer.id, purpose, true)
    const known = this.#keepers.get(key)
    if (known) {
      known.update(peer)
      return
    }
    const keeper = new Keeper(
      (at, signal) => this.dial(at, purpose, signal),
      this.#timing,
      peer,
      (connection, down) => this.#adopt(connection, peer.id, purpose, true, down),
      (reason) => this.#handler({ kind: 'unreachable', peer: peer.id, purpose, reason }),
    )
    this.#keepers.set(key, keeper)
    keeper.start()
  }

  drop(peer: string, purpose: Purpose): void {
    const key = keyOf(peer, purpose, true)
    this.#keepers.get(key)?.stop()
    this.#keepers.delete(key)
    for (const dialed of [true, false])
      this.#links.get(keyOf(peer, purpose, dialed))?.connection.close('it is no longer wanted')
  }

  send(link: Link, frame: VisitFrame | PlainDraft): boolean {
    return this.#byKey.get(link.key)?.connection.send(frame) ?? false
  }

  hangUp(link: Link, reason: string): void {
    this.#byKey.get(link.key)?.connection.close(reason)
  }

  pause(link: Link, paused: boolean): void {
    this.#byKey.get(link.key)?.connection.pause(paused)
  }

  /**
   * Dials a peer once (weight transfer does; links are better kept).
   * @throws MdiError `node-lost`, `peer-refused`
   */
  async dial(peer: Peer, purpose: Purpose, signal?: AbortSignal): Promise<PeerConnection> {
    const connection = await dial({
      self: this.#self,
      timing: this.#timing,
      peer,
      purpose,
      signal: AbortSignal.any([this.#closing.signal, ...(signal ? [signal] : [])]),
    })
    this.#track(connection)
    return connection
  }

  /** Closes the port, every link and every dial. The port can be used again at once. */
  async close(): Promise<void> {
    this.#closing.abort()
    for (const keeper of this.#keepers.values()) keeper.stop()
    this.#keepers.clear()
    for (const { connection } of this.#byKey.values()) connection.close('this node stops')
    for (const connection of [...this.#greeting, ...this.#connections])
      connection.close('this node stops')
    const server = this.#server
    this.#server = undefined
    if (server) await new Promise<void>((resolve) => server.close(() => resolve()))
  }

  #accept(socket: Socket): void {
    if (this.#greeting.size >= limits.strangers) {
      // The oldest has had its time; a flood of strangers must not lock out peers.
      const [oldest] = this.#greeting
      oldest?.close('too many strangers at once')
      if (oldest) this.#greeting.delete(oldest)
    }
    const answering = {
      self: this.#self,
      timing: this.#timing,
      admit: (hello: Hello) => this.#decide(hello),
    }
    const connection = answerHello(socket, answering, (what, greeted) => {
      this.#greeting.delete(connection)
      this.#strangers[what] += 1
      if (greeted) this.#welcome(greeted)
    })
    this.#greeting.add(connection)
  }

  #decide(hello: Hello): Refusal | undefined {
    if (hello.purpose !== 'weights') return this.#admit(hello)
    if (this.#options.onWeights) return undefined
    return { code: 'purpose', reason: `Node ${this.#self.node} serves no weights.` }
  }

  #welcome({ connection, hello }: Greeted): void {
    this.#track(connection)
    if (hello.purpose === 'weights') {
      this.#options.onWeights?.(connection, hello.node)
      return
    }
    this.#adopt(connection, hello.node, hello.purpose, false, () => {})
  }

  #track(connection: PeerConnection): void {
    for (const known of this.#connections) if (known.ended) this.#connections.delete(known)
    this.#connections.add(connection)
  }

  /** Makes a connection a link once it is up; a newer one takes the place of an older one. */
  #adopt(
    connection: PeerConnection,
    peer: string,
    purpose: Purpose,
    dialed: boolean,
    down: (wasUp: boolean) => void,
  ): void {
    const key = keyOf(peer, purpose, dialed)
    let active: Active | undefined
    const leave = (reason: string) => {
      if (!active) return
      this.#byKey.delete(active.link.key)
      if (this.#links.get(key) === active) this.#links.delete(key)
      const { link } = active
      active = undefined
      this.#handler({ kind: 'down', link, reason })
    }
    connection.onEnd(({ reason }) => {
      down(active !== undefined)
      leave(reason)
    })
    connection.onUp(() => {
      const older = this.#links.get(key)
      older?.leave('it made a new connection')
      active = { link: { key: this.#nextKey++, peer, purpose, dialed }, connection, leave }
      this.#links.set(key, active)
      this.#byKey.set(active.link.key, active)
      older?.connection.close('it made a new connection')
      this.#handler({ kind: 'up', link: active.link })
    })
    connection.onFrame((frame) => {
      if (active) this.#handler({ kind: 'frame', link: active.link, frame })
    })
  }
}
