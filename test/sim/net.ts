/**
 * A simulated network with the semantics of `io/links/tcp`: links that are kept, greeted, probed
 * and told about, over connections that deliver in order or break. Frames go through the
 * real codec.
 */
import { limits } from '../../services/limits.ts'
import { type Accept, encodeFrame, readContent, readHeader } from '../../services/wire/codec.ts'
import type { Frame, PlainDraft, VisitFrame } from '../../services/wire/frame.ts'
import { HEADER_BYTES, kinds } from '../../services/wire/frame.ts'
import type { Peer } from '../../services/wire/values.ts'
import { SimLinks } from './links.ts'
import type { Mutation } from './mutations.ts'
import type { Exit, Process, World } from './world.ts'

/** How a seed's network behaves; times in milliseconds. */
export type NetOptions = {
  delay: readonly [number, number]
  /** Frames that fit into the kernel's buffers of one connection, one way. */
  kernelFrames: number
}

export type Message =
  | { kind: 'frame'; bytes: Uint8Array; lost?: boolean }
  | { kind: 'plain'; run: (end: End) => void; lost?: boolean }
  | { kind: 'eof'; lost?: boolean }

const acceptAll: Accept = (kind) => kinds[kind].max

const decode = (bytes: Uint8Array): Frame => {
  const declared = readHeader(bytes, acceptAll)
  const tables = bytes.slice(HEADER_BYTES, HEADER_BYTES + declared.tables)
  return readContent(declared, tables, bytes.slice(HEADER_BYTES + declared.tables))
}

const joined = (pieces: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(pieces))

const addressOf = (peer: Peer): string => peer.addresses[0] ?? peer.id

export class Network {
  readonly world: World
  readonly options: NetOptions
  readonly mutation: Mutation | undefined
  /** The process that listens at each address now. */
  readonly listeners = new Map<string, SimLinks>()
  /** Addresses whose power is cut: nothing answers there. */
  readonly dark = new Set<string>()
  /** Pairs between which nothing passes. */
  readonly #cut = new Set<string>()
  readonly ends = new Set<End>()
  /** Told when a link took no frame. */
  onRefusal: () => void = () => {}
  /** Most frames that ever waited in a link's own queue. */
  mostQueued = 0

  constructor(world: World, options: NetOptions, mutation?: Mutation) {
    this.world = world
    this.options = options
    this.mutation = mutation
  }

  /** Opens a node's port. */
  join(id: string, process: Process, host = id): SimLinks {
    const links = new SimLinks(this, id, process)
    this.listeners.set(host, links)
    this.dark.delete(host)
    process.onExit((how) => this.#exit(host, links, how))
    return links
  }

  /** The process that listens where a peer says that it is. */
  find(peer: Peer): SimLinks | undefined {
    return this.listeners.get(addressOf(peer))
  }

  /** Whether the power is cut there. */
  isDark(peer: Peer): boolean {
    return this.dark.has(addressOf(peer))
  }

  #exit(id: string, links: SimLinks, how: Exit): void {
    if (this.listeners.get(id) === links) this.listeners.delete(id)
    if (how === 'power') this.dark.add(id)
    for (const end of this.ends) {
      if (end.links !== links) continue
      if (how === 'kill') end.killed()
      this.ends.delete(end)
    }
  }

  isCut(a: string, b: string): boolean {
    return this.#cut.has([a, b].sort().join(' '))
  }

  /** Nothing passes between two nodes any more, and no one is told. */
  cut(a: string, b: string): void {
    this.#cut.add([a, b].sort().join(' '))
    for (const end of this.ends)
      if (end.links.id === a && end.peer.links.id === b) {
        end.lost = true
        end.peer.lost = true
      }
  }

  mend(a: string, b: string): void {
    this.#cut.delete([a, b].sort().join(' '))
  }

  /** Breaks the connections between two nodes; both are told. */
  reset(a: string, b: string): void {
    for (const end of [...this.ends])
      if (end.links.id === a && end.peer.links.id === b) {
        end.dropTail()
        end.peer.dropTail()
        end.finish('the connection was reset')
        end.peer.finish('the connection was reset')
      }
  }

  /** The connections from one node to another take no frame any more. */
  clog(a: string, b: string): void {
    for (const end of this.ends)
      if (end.links.id === a && end.peer.links.id === b) end.refuses = true
  }

  delay(): number {
    return this.world.between(...this.options.delay)
  }
}

/** One end of a connection; after its handshake it behaves as `io/links/connection` does. */
export class End {
  readonly links: SimLinks
  readonly network: Network
  peer: End
  /** It takes no frame. */
  refuses = false
  /** What this end sends vanishes. */
  lost = false
  ended = false
  up = false
  onUp: () => void = () => {}
  onEnd: (reason: string) => void = () => {}
  onFrame: (frame: Frame) => void = () => {}
  /** A dialer was welcomed. */
  onWelcome: () => void = () => {}
  #arrival = 0
  #onTheWay: Message[] = []
  #silent = 0
  #stopTick: (() => void) | undefined

  constructor(links: SimLinks, peer?: End) {
    this.links = links
    this.network = links.network
    this.peer = peer ?? this
    this.network.ends.add(this)
  }

  /** The handshake is over. */
  open(): void {
    if (this.ended || this.#stopTick) return
    this.#probe()
    this.#tick()
  }

  send(frame: VisitFrame | PlainDraft): boolean {
    if (this.ended) return false
    const waiting = this.#onTheWay.length - this.network.options.kernelFrames
    const isProbe = frame.kind === 'probe' || frame.kind === 'probe-reply'
    if ((waiting >= limits.queueFrames || this.refuses) && !isProbe) {
      this.network.onRefusal()
      return false
    }
    this.network.mostQueued = Math.max(this.network.mostQueued, waiting)
    this.transmit({ kind: 'frame', bytes: joined(encodeFrame(frame)) })
    return true
  }

  transmit(message: Message): void {
    if (this.lost) return
    const { world } = this.network
    const peer = this.peer
    this.#arrival = Math.max(this.#arrival, world.now + this.network.delay())
    this.#onTheWay.push(message)
    const arrive = () => {
      this.#onTheWay.splice(this.#onTheWay.indexOf(message), 1)
      if (!message.lost && !this.lost) peer.#arrive(message)
    }
    world.after(this.#arrival - world.now, arrive, peer.links.process)
  }

  /** Some of what was sent last never arrives. */
  dropTail(): void {
    const { world } = this.network
    const count = world.integer(0, this.#onTheWay.length)
    for (const message of this.#onTheWay.slice(this.#onTheWay.length - count)) message.lost = true
  }

  /** The process is gone: the kernel tells the peer. */
  killed(): void {
    if (this.ended) return
    this.ended = true
    this.dropTail()
    this.transmit({ kind: 'eof' })
  }

  close(reason: string): void {
    if (this.ended) return
    this.transmit({ kind: 'eof' })
    this.finish(reason)
  }

  finish(reason: string): void {
    if (this.ended) return
    this.ended = true
    this.#stopTick?.()
    this.network.ends.delete(this)
    this.links.process.soon(() => this.onEnd(reason))
  }

  #arrive(message: Message): void {
    if (this.ended) return
    this.#silent = 0
    if (message.kind === 'eof') this.finish('it closed the connection')
    else if (message.kind === 'plain') message.run(this)
    else this.#receive(message.bytes)
  }

  #receive(bytes: Uint8Array): void {
    const frame = decode(bytes)
    if (frame.kind === 'probe') {
      this.send({ kind: 'probe-reply', epoch: 0, number: frame.number })
      return
    }
    this.#nowUp()
    if (frame.kind === 'probe-reply' || this.ended) return
    const from = this.peer.links.id
    const to = this.links.id
    const frames = this.network.mutation?.frame?.(frame, from, to, this.links.epoch) ?? [frame]
    for (const f of frames) {
      this.network.world.log(to, () => `← ${from} ${describe(f)}`)
      this.onFrame(f)
    }
  }

  #nowUp(): void {
    if (this.up || !this.#stopTick) return
    this.up = true
    this.onUp()
  }

  #probe(): void {
    this.send({ kind: 'probe', epoch: 0, number: 1 })
  }

  #tick(): void {
    this.#stopTick = this.links.process.soon(() => {
      this.#silent += 1
      const ms = this.#silent * limits.probeEveryMs
      if (ms > limits.linkSilenceMs) this.close(`it has been silent for ${ms / 1000} s`)
      else {
        this.#probe()
        this.#tick()
      }
    }, limits.probeEveryMs)
  }
}

/** A frame in a line, for a trace. */
export const describe = (frame: Frame): string => {
  if (frame.kind !== 'visit') {
    const text = new TextDecoder().decode(frame.body).slice(0, 120)
    return `${frame.kind} epoch ${frame.epoch} ${text}`
  }
  const ops = frame.operations.map((o) => `${o.kind} ${o.sequence}`).join(', ')
  const rows = frame.segments.map((s) => `${s.sequence}@${s.position}+${s.rows}`).join(' ')
  return `visit ${frame.number} epoch ${frame.epoch} [${ops}] ${rows} (${frame.rows} rows)`
}
