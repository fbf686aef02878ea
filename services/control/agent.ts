/**
 * A node's agent, pure: takes the desired assignment, makes it so (fetch what lacks, load,
 * join the ring), and reports the actual state. Whatever it knows that must survive a
 * reboot is kept by the `keep` effect, so that a board needs no one to tell it what to do.
 */
import type { MdiError } from '../errors.ts'
import type { Progress } from '../ports.ts'
import type { Actual, Assignment, Desired, LinkState, Online } from '../wire/control.ts'

/** What a node is; everything of its state but how it stands. */
export type Identity = Omit<Online, 'state' | 'epoch' | 'assignment' | 'links' | 'ring'>

export type AgentEvent =
  /** At start: what was kept before. */
  | { kind: 'start'; kept: Desired | undefined }
  | { kind: 'desired'; desired: Desired }
  /** Another node's state on our own topic. `retained`: from before we were there. */
  | { kind: 'twin'; instance: string; address: string; retained: boolean }
  | { kind: 'progress'; work: number; progress: Progress }
  | { kind: 'fetched'; work: number }
  | { kind: 'loaded'; work: number }
  | { kind: 'failed'; work: number; error: MdiError }
  | { kind: 'link'; link: LinkState }
  | { kind: 'ring'; whole: boolean; reason: string | undefined }
  | { kind: 'identity'; identity: Identity }
  /** Where this node can be reached now; told where that has changed. */
  | { kind: 'addresses'; addresses: string[] }
  /** The broker is there (again): what is retained is told again. */
  | { kind: 'bus' }
  | { kind: 'tick' }

export type AgentEffect =
  | { kind: 'fetch'; work: number; assignment: Assignment }
  | { kind: 'load'; work: number; assignment: Assignment }
  | { kind: 'join'; epoch: number; assignment: Assignment }
  /** Leave the ring; the engine keeps its layers until something else is loaded. */
  | { kind: 'leave'; reason: string }
  | { kind: 'unload' }
  | { kind: 'keep'; desired: Desired }
  | { kind: 'publish'; state: Online }
  | { kind: 'log'; level: 'info' | 'warning'; message: string }
  /** Another node has our id: this one stops and says so. */
  | { kind: 'give-up'; message: string }

/** Progress is told no more often than this. */
const PROGRESS_MS = 500
/** A failed fetch or load is tried again after this time, doubled each time. */
const RETRY_MS = 2_000
const RETRY_MOST_MS = 60_000
/** A node that meets its own id alive within this time after its start is the newcomer. */
const NEWCOMER_MS = 15_000
/** Where the broker remembers another of our id, it is given this time to say that it lives. */
const QUIET_MS = 1_500
/**
 * A newcomer gives up where the broker remembered the other when it came, once it has heard
 * so often that the other lives. Where neither was first, each is asked again after a while
 * whether it still lives, and the one with the smaller instance gives up sooner.
 */
const HEARD = 2
const SMALLER_MS = 1_000
const LARGER_MS = 4_000
/** A newcomer answers another so often, and then asks only now and then. */
const REPLIES = 4
/** One that is no newcomer says so often that it is here, and then leaves it at that. */
const ANSWERS = 16
/** Whoever waits is told at once of an error that lasts; of others, when so many tries failed. */
const TRIES = 3

/** Another node of our id: how often it was heard, since when and last, and when it was asked. */
type Twin = { heard: number; since: number; last: number; asked: number; address?: string }

export class Agent {
  #identity: Identity
  #epoch = 0
  #desired: Desired | undefined
  #actual: Actual = { phase: 'idle' }
  #links = new Map<string, LinkState>()
  #ring: Online['ring']
  #work = 0
  #startedAt = 0
  #toldAt = Number.NEGATIVE_INFINITY
  #retry: { at: number; wait: number } | undefined
  /** How often the assignment has failed since it came. */
  #tries = 0
  #joined = false
  /** Loaded, and waiting until it is known that no other node plays this part. */
  #held = false
  #quietUntil = Number.NEGATIVE_INFINITY
  /** Living nodes of our id, by their instance. */
  readonly #twins = new Map<string, Twin>()
  /** Whose state the broker remembered when this one came. */
  #first: string | undefined
  /** How often the broker was there. */
  #buses = 0

  constructor(identity: Identity) {
    this.#identity = identity
  }

  get state(): Online {
    return {
      ...this.#identity,
      state: 'online',
      epoch: this.#epoch,
      assignment: this.#actual,
      links: [...this.#links.values()],
      ...(this.#ring && { ring: this.#ring }),
    }
  }

  /** @param now milliseconds of a clock that never jumps */
  handle(event: AgentEvent, now: number): AgentEffect[] {
    switch (event.kind) {
      case 'start':
        this.#startedAt = now
        return event.kept ? this.#adopt(event.kept, now, false) : [this.#tell(now)]
      case 'desired':
        return this.#wanted(event.desired, now)
      case 'twin':
        return this.#twin(event, now)
      case 'progress':
        return this.#progress(event.work, event.progress, now)
      case 'fetched':
        return this.#fetched(event.work, now)
      case 'loaded':
        return this.#loaded(event.work, now)
      case 'failed':
        return this.#failed(event.work, event.error, now)
      case 'link':
        this.#links.set(`${event.link.direction}/${event.link.peer}`, event.link)
        return [this.#tell(now)]
      case 'ring':
        this.#ring = { whole: event.whole, ...(event.reason && { reason: event.reason }) }
        return [this.#tell(now)]
      case 'identity':
        this.#identity = event.identity
        return [this.#tell(now)]
      case 'addresses':
        return this.#at(event.addresses, now)
      case 'bus':
        this.#buses += 1
        return [this.#tell(now)]
      case 'tick':
        return this.#tick(now)
    }
  }

  #at(addresses: string[], now: number): AgentEffect[] {
    if (JSON.stringify(addresses) === JSON.stringify(this.#identity.addresses)) return []
    this.#identity = { ...this.#identity, addresses }
    return [this.#tell(now)]
  }

  #tell(now: number): AgentEffect {
    this.#toldAt = now
    return { kind: 'publish', state: this.state }
  }

  #wanted(desired: Desired, now: number): AgentEffect[] {
    if (desired.cluster !== this.#identity.cluster) {
      const message = `An assignment for the cluster ${desired.cluster} is not for this node.`
      return [{ kind: 'log', level: 'warning', message }]
    }
    if (desired.epoch < this.#epoch) {
      const message = `A plan of epoch ${desired.epoch} is older than ${this.#epoch}: refused.`
      return [{ kind: 'log', level: 'warning', message }]
    }
    if (JSON.stringify(desired) === JSON.stringify(this.#desired)) return []
    if (desired.epoch === this.#epoch && sameButSources(desired, this.#desired))
      return this.#moved(desired, now)
    if (desired.epoch === this.#epoch && this.#desired !== undefined) {
      const message = `Another plan of the same epoch ${desired.epoch} is refused.`
      return [{ kind: 'log', level: 'warning', message }]
    }
    return this.#adopt(desired, now, true)
  }

  /** The same plan, of which only the places to fetch from have changed. */
  #moved(desired: Desired, now: number): AgentEffect[] {
    this.#desired = desired
    const effects: AgentEffect[] = [{ kind: 'keep', desired }]
    const { assignment } = desired
    const waits = this.#actual.phase === 'failed' || this.#actual.phase === 'fetching'
    return assignment && waits ? [...effects, ...this.#begin(assignment, now)] : effects
  }

  #adopt(desired: Desired, now: number, keep: boolean): AgentEffect[] {
    this.#desired = desired
    this.#epoch = desired.epoch
    this.#retry = undefined
    this.#tries = 0
    this.#links.clear()
    this.#ring = undefined
    const effects: AgentEffect[] = []
    if (keep) effects.push({ kind: 'keep', desired })
    if (this.#joined) effects.push({ kind: 'leave', reason: 'the plan has changed' })
    this.#joined = false
    this.#held = false
    const { assignment } = desired
    if (!assignment) {
      this.#work += 1
      this.#actual = { phase: 'idle' }
      return [...effects, { kind: 'unload' }, this.#tell(now)]
    }
    return [...effects, ...this.#begin(assignment, now)]
  }

  #begin(assignment: Assignment, now: number): AgentEffect[] {
    const work = ++this.#work
    this.#phase('fetching', assignment)
    return [{ kind: 'fetch', work, assignment }, this.#tell(now)]
  }

  #phase(phase: Actual['phase'], assignment: Assignment): void {
    const { model, first, end } = assignment
    this.#actual = { phase, model, first, end }
  }

  #progress(work: number, progress: Progress, now: number): AgentEffect[] {
    if (work !== this.#work) return []
    this.#actual = { ...this.#actual, progress }
    return now - this.#toldAt < PROGRESS_MS ? [] : [this.#tell(now)]
  }

  #fetched(work: number, now: number): AgentEffect[] {
    const assignment = this.#desired?.assignment
    if (work !== this.#work || !assignment) return []
    this.#phase('loading', assignment)
    return [{ kind: 'load', work, assignment }, this.#tell(now)]
  }

  #loaded(work: number, now: number): AgentEffect[] {
    const assignment = this.#desired?.assignment
    if (work !== this.#work || !assignment) return []
    this.#retry = undefined
    this.#tries = 0
    if (now >= this.#quietUntil) return this.#join(assignment, now)
    this.#held = true
    return []
  }

  #join(assignment: Assignment, now: number): AgentEffect[] {
    this.#phase('ready', assignment)
    this.#held = false
    this.#joined = true
    return [{ kind: 'join', epoch: this.#epoch, assignment }, this.#tell(now)]
  }

  #failed(work: number, error: MdiError, now: number): AgentEffect[] {
    const assignment = this.#desired?.assignment
    if (work !== this.#work || !assignment) return []
    this.#phase('failed', assignment)
    this.#tries += 1
    const { again } = error.row
    const lasts = again !== 'now' || this.#tries >= TRIES
    this.#actual = { ...this.#actual, error: error.message, lasting: lasts }
    const doubled = Math.min(RETRY_MOST_MS, (this.#retry?.wait ?? RETRY_MS / 2) * 2)
    const wait = again === 'never' ? RETRY_MOST_MS : doubled
    this.#retry = { at: now + wait, wait }
    return [{ kind: 'log', level: 'warning', message: error.message }, this.#tell(now)]
  }

  #tick(now: number): AgentEffect[] {
    return [...this.#ask(now), ...this.#proceed(now)]
  }

  #proceed(now: number): AgentEffect[] {
    const assignment = this.#desired?.assignment
    if (assignment && this.#held && now >= this.#quietUntil) return this.#join(assignment, now)
    if (!assignment || this.#actual.phase !== 'failed') return []
    if (!this.#retry || now < this.#retry.at) return []
    return this.#begin(assignment, now)
  }

  #twin(event: Extract<AgentEvent, { kind: 'twin' }>, now: number): AgentEffect[] {
    if (event.instance === this.#identity.instance) return []
    // Left by a process that was killed, or by a broker's memory; or it lives and will say so.
    if (event.retained) {
      if (this.#buses <= 1) this.#first = event.instance
      this.#quietUntil = now + QUIET_MS
      return [this.#tell(now)]
    }
    const twin = this.#twins.get(event.instance) ?? { heard: 0, since: now, last: now, asked: now }
    this.#twins.set(event.instance, twin)
    twin.heard += 1
    twin.last = now
    twin.address = event.address
    if (event.instance === this.#first && twin.heard >= HEARD) return [this.#giveUp(twin)]
    const old = now - this.#startedAt > NEWCOMER_MS
    return twin.heard > (old ? ANSWERS : REPLIES) ? [] : [this.#tell(now)]
  }

  /** Where two came together: asks whether the other still lives, and gives up where it does. */
  #ask(now: number): AgentEffect[] {
    const { instance } = this.#identity
    for (const [other, twin] of this.#twins) {
      const ms = instance < other ? SMALLER_MS : LARGER_MS
      if (twin.since - this.#startedAt > NEWCOMER_MS || now - twin.since < ms) continue
      if (twin.last > twin.asked && twin.asked > twin.since) return [this.#giveUp(twin)]
      if (twin.asked > twin.since || twin.heard < HEARD) continue
      twin.asked = now
      return [this.#tell(now)]
    }
    return []
  }

  #giveUp({ address }: Twin): AgentEffect {
    const { id } = this.#identity
    const message = `Another node calls itself ${id} (at ${address}); give one of them another name in its settings.`
    return { kind: 'give-up', message }
  }
}

const sameButSources = (a: Desired, b: Desired | undefined): boolean => {
  const bare = (d: Desired | undefined) =>
    JSON.stringify({ ...d, assignment: d?.assignment && { ...d.assignment, sources: [] } })
  return bare(a) === bare(b)
}
