/**
 * Which part a gateway has at the home's broker. One gateway answers there; others wait until
 * it ends. Where the home's broker turns out to be the ring's own, requests are answered by the
 * coordinator already, and a gateway that heard its own forwarded requests would forward them
 * for ever. No comparing of addresses tells that: a message of one's own does. Pure.
 */
import { MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { Bus, BusMessage, Clock } from '../../ports.ts'
import { buildTopic, optionsOf, readMessage, writeMessage } from '../../wire/topics.ts'

/** `unknown`: found out, or not connected; `waits`: another gateway answers. */
export type Role = 'unknown' | 'answers' | 'waits' | 'shared'

export type HomeLeaseOptions = {
  /** The home's broker, with topics under our own names. */
  home: Bus
  ring: Bus
  /** Our topics have the same names at both: at one broker they would be the same topics. */
  sameNames: boolean
  /** Made anew at each start. */
  instance: string
  clock: Clock
  onRole(role: Role): void
}

const stateTopic = buildTopic('bridgeState', {})

export class HomeLease {
  readonly #options: HomeLeaseOptions
  readonly #probe: string
  #role: Role = 'unknown'
  #homeUp = false
  #ringUp = false
  /** The last probe; what is retained has come when it has. */
  #number = 0
  #homeKnown = false
  #ringKnown = false
  /** Another gateway says that it is there. */
  #other = false
  #ended = false
  #stopTimer: () => void = () => {}

  constructor(options: HomeLeaseOptions) {
    this.#options = options
    this.#probe = buildTopic('gateway', { instance: options.instance })
  }

  get role(): Role {
    return this.#role
  }

  start(): void {
    const { home, ring, sameNames } = this.#options
    home.subscribe(stateTopic, (message) => this.#state(message))
    home.subscribe(this.#probe, (message) => this.#atHome(message))
    if (sameNames) ring.subscribe(this.#probe, (message) => this.#atRing(message))
    home.onConnection(({ up }) => this.#homeIs(up))
    ring.onConnection(({ up }) => {
      this.#ringUp = up
      if (up && sameNames && this.#homeUp) this.#ask()
    })
  }

  /** What our last will says, and our end. */
  get offline(): string {
    return writeMessage('bridgeState', { state: 'offline', instance: this.#options.instance })
  }

  /** Gives the claim back. */
  stop(): void {
    this.#ended = true
    this.#stopTimer()
    if (this.#role === 'answers')
      this.#options.home.publish(stateTopic, this.offline, optionsOf('bridgeState'))
  }

  #homeIs(up: boolean): void {
    if (this.#role === 'shared' || this.#ended) return
    this.#homeUp = up
    this.#stopTimer()
    this.#other = false
    this.#be('unknown')
    if (up) this.#ask()
  }

  #ask(): void {
    if (this.#role === 'shared' || this.#ended) return
    this.#number += 1
    this.#homeKnown = false
    this.#ringKnown = !this.#options.sameNames
    this.#publish('home')
  }

  #publish(from: 'home' | 'ring'): void {
    const message = writeMessage('gateway', { from, number: this.#number })
    this.#options[from].publish(this.#probe, message, optionsOf('gateway'))
  }

  #atHome(message: BusMessage): void {
    const probe = read('gateway', message)
    if (probe?.from === 'ring') this.#share()
    if (probe?.from !== 'home' || probe.number !== this.#number) return
    this.#homeKnown = true
    if (this.#ringKnown) this.#decide()
    // One broker tells the ring's connection of this probe before it tells of the next.
    else if (this.#ringUp) this.#publish('ring')
    else
      this.#stopTimer = this.#options.clock.after(limits.claimMs, () => {
        this.#ringKnown = true
        this.#decide()
      })
  }

  #atRing(message: BusMessage): void {
    const probe = read('gateway', message)
    if (probe?.from === 'home') this.#share()
    if (probe?.from !== 'ring' || probe.number !== this.#number) return
    this.#ringKnown = true
    this.#decide()
  }

  #share(): void {
    this.#stopTimer()
    this.#be('shared')
  }

  #decide(): void {
    if (!this.#homeKnown || !this.#ringKnown || this.#role === 'shared' || this.#ended) return
    if (this.#other) this.#be('waits')
    else if (this.#role !== 'answers') this.#claim()
  }

  #claim(): void {
    const { home, instance } = this.#options
    const online = writeMessage('bridgeState', { state: 'online', instance })
    home.publish(stateTopic, online, optionsOf('bridgeState'))
    this.#be('answers')
  }

  /** The last who said that it is there is the one. */
  #state(message: BusMessage): void {
    if (this.#role === 'shared' || this.#ended) return
    const { state, instance } = read('bridgeState', message) ?? { state: 'offline' }
    const own = instance === this.#options.instance
    this.#other = state === 'online' && !own
    if (this.#role === 'answers') {
      if (this.#other) this.#be('waits')
      // The last will of a connection before this one, or of one that waited.
      else if (state === 'offline') this.#claim()
    } else if (this.#role === 'waits' && !this.#other) {
      if (own && state === 'online') this.#be('answers')
      else this.#claim()
    }
  }

  #be(role: Role): void {
    if (role === this.#role) return
    this.#role = role
    this.#options.onRole(role)
  }
}

const read = <T extends 'gateway' | 'bridgeState'>(name: T, { topic, payload }: BusMessage) => {
  try {
    return readMessage(name, topic, payload)
  } catch (error) {
    // A message of somebody else on our topic is ignored.
    if (!(error instanceof MdiError)) throw error
    return undefined
  }
}
