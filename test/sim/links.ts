/** The port `Links` over the simulated network: dialing, greeting and keeping, as `io/links/tcp`. */
import { limits } from '../../services/limits.ts'
import type { Link, LinkEvent, Links, Refusal } from '../../services/ports.ts'
import type { PlainDraft, VisitFrame } from '../../services/wire/frame.ts'
import type { Hello, Purpose } from '../../services/wire/hello.ts'
import type { Peer } from '../../services/wire/values.ts'
import { End, type Network } from './net.ts'
import type { Process } from './world.ts'

type Active = { link: Link; end: End; leave(reason: string): void }

const keyOf = (peer: string, purpose: Purpose, dialed: boolean): string =>
  `${purpose} ${dialed ? 'to' : 'from'} ${peer}`

/** The data plane of one process. */
export class SimLinks implements Links {
  readonly network: Network
  readonly id: string
  readonly process: Process
  readonly #links = new Map<string, Active>()
  readonly #byKey = new Map<number, Active>()
  readonly #keepers = new Map<string, SimKeeper>()
  #handler: (event: LinkEvent) => void = () => {}
  #admit: (hello: Hello) => Refusal | undefined = () => undefined
  #epoch = 0
  #nextKey = 1

  constructor(network: Network, id: string, process: Process) {
    this.network = network
    this.id = id
    this.process = process
  }

  onEvent(handler: (event: LinkEvent) => void): void {
    this.#handler = handler
  }

  onHello(admit: (hello: Hello) => Refusal | undefined): void {
    this.#admit = admit
  }

  get epoch(): number {
    return this.#epoch
  }

  setEpoch(epoch: number): void {
    this.#epoch = epoch
  }

  keep(peer: Peer, purpose: Purpose): void {
    const key = keyOf(peer.id, purpose, true)
    if (this.#keepers.has(key)) return
    const keeper = new SimKeeper(this, peer, purpose)
    this.#keepers.set(key, keeper)
    keeper.dial()
  }

  drop(peer: string, purpose: Purpose): void {
    const key = keyOf(peer, purpose, true)
    this.#keepers.get(key)?.stop()
    this.#keepers.delete(key)
    for (const dialed of [true, false])
      this.#links.get(keyOf(peer, purpose, dialed))?.end.close('it is no longer wanted')
  }

  send(link: Link, frame: VisitFrame | PlainDraft): boolean {
    return this.#byKey.get(link.key)?.end.send(frame) ?? false
  }

  hangUp(link: Link, reason: string): void {
    this.#byKey.get(link.key)?.end.close(reason)
  }

  pause(): void {
    throw new Error('not simulated')
  }

  tell(event: LinkEvent): void {
    const { world } = this.process
    world.log(this.id, () => {
      if (event.kind === 'unreachable') return `unreachable ${event.peer}: ${event.reason}`
      const { link } = event
      const where = `${link.purpose} ${link.dialed ? 'to' : 'from'} ${link.peer} #${link.key}`
      return `link ${event.kind} ${where}${event.kind === 'down' ? `: ${event.reason}` : ''}`
    })
    const { mutation } = this.network
    if (event.kind === 'down' && mutation?.tellsDown?.(event.link.peer) === false) return
    this.#handler(event)
  }

  hello(to: string, purpose: Purpose): Hello {
    const [version, cluster] = ['1', 'sim']
    return { version, cluster, node: this.id, to, purpose, epoch: this.#epoch }
  }

  /** A stranger's hello has arrived on a new connection. */
  greet(hello: Hello, end: End): void {
    const altered = this.network.mutation?.hello?.(hello, this.#epoch) ?? hello
    const why =
      hello.to === this.id
        ? this.#admit(altered)
        : { reason: `This is node ${this.id}, not ${hello.to}.` }
    const { world } = this.process
    if (why) {
      world.log(this.id, () => `refuses ${hello.node}: ${why.reason}`)
      end.transmit({ kind: 'plain', run: (dialer) => dialer.finish(why.reason) })
      end.finish(why.reason)
      return
    }
    end.transmit({ kind: 'plain', run: (dialer) => dialer.onWelcome() })
    this.adopt(end, hello.node, hello.purpose, false, () => {})
    end.open()
  }

  /** Makes a connection a link once it is up; a newer one takes the place of an older one. */
  adopt(
    end: End,
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
      this.tell({ kind: 'down', link, reason })
    }
    end.onEnd = (reason) => {
      down(active !== undefined)
      leave(reason)
    }
    end.onUp = () => {
      const older = this.#links.get(key)
      older?.leave('it made a new connection')
      active = { link: { key: this.#nextKey++, peer, purpose, dialed }, end, leave }
      this.#links.set(key, active)
      this.#byKey.set(active.link.key, active)
      older?.end.close('it made a new connection')
      this.tell({ kind: 'up', link: active.link })
    }
    end.onFrame = (frame) => {
      if (active) this.tell({ kind: 'frame', link: active.link, frame })
    }
  }
}

/** Keeps one link: dials until it stands, and again when it is lost. */
class SimKeeper {
  readonly #links: SimLinks
  readonly #at: Peer
  readonly #purpose: Purpose
  #rounds = 0
  #stopped = false
  #told = ''

  constructor(links: SimLinks, peer: Peer, purpose: Purpose) {
    this.#links = links
    this.#at = peer
    this.#purpose = purpose
  }

  get #peer(): string {
    return this.#at.id
  }

  stop(): void {
    this.#stopped = true
  }

  dial(): void {
    if (this.#stopped) return
    const { network, process, id } = this.#links
    let settled = false
    const once = (run: () => void) => {
      if (settled) return
      settled = true
      cancel()
      run()
    }
    let end: End | undefined
    const cancel = process.soon(
      () =>
        once(() => {
          end?.close('it does not answer')
          this.#failed('it does not answer')
        }),
      limits.connectMs,
    )
    // SYN, SYN-ACK; then hello with the first data.
    process.soon(() => {
      const listener = network.find(this.#at)
      if (settled || network.isCut(id, this.#peer) || network.isDark(this.#at)) return
      if (!listener) {
        once(() => this.#failed('the connection is refused there'))
        return
      }
      end = this.#connect(listener, once)
    }, network.delay() + network.delay())
  }

  #connect(listener: SimLinks, once: (run: () => void) => void): End {
    const end = new End(this.#links)
    const far = new End(listener, end)
    end.peer = far
    end.onEnd = (reason) => once(() => this.#failed(reason))
    end.onWelcome = () => once(() => this.#welcomed(end))
    const hello = this.#links.hello(this.#peer, this.#purpose)
    end.transmit({ kind: 'plain', run: (at) => listener.greet(hello, at) })
    return end
  }

  #welcomed(end: End): void {
    if (this.#stopped) {
      end.close('it is no longer wanted')
      return
    }
    this.#links.adopt(end, this.#peer, this.#purpose, true, (wasUp) => {
      if (wasUp) {
        this.#rounds = 0
        this.#told = ''
        this.#again()
      } else this.#failed('it answers no probe')
    })
    end.open()
  }

  #failed(reason: string): void {
    if (this.#stopped) return
    this.#rounds += 1
    if (this.#rounds >= limits.unreachableRounds && reason !== this.#told) {
      this.#told = reason
      const [peer, purpose] = [this.#peer, this.#purpose]
      this.#links.tell({ kind: 'unreachable', peer, purpose, reason })
    }
    this.#again()
  }

  #again(): void {
    const { process } = this.#links
    const most = Math.min(limits.redialMs * 2 ** this.#rounds, limits.redialMaxMs)
    process.soon(() => this.dial(), most * process.world.between(0.5, 1))
  }
}
