/**
 * A node's agent, pure: takes the desired assignment, carries it out (fetches what is missing,
 * loads, joins the ring), and reports the actual state. The `keep` effect stores what must
 * survive a reboot, so a board that starts knows its part without being told.
 */
import type { MdiError } from '../errors.ts'
import type { Progress } from '../ports.ts'
import type { Actual, Assignment, Desired, LinkState, Online } from '../wire/control.ts'
import { isOlder, nextEpoch } from './epoch.ts'
import { type TwinAnswer, TwinCheck, type TwinWord } from './twin.ts'

/** What a node is: its state without what it is doing. */
export type Identity = Omit<Online, 'state' | 'epoch' | 'assignment' | 'links' | 'ring'>

export type AgentEvent =
  /** At start: what was kept before. */
  | { kind: 'start'; kept: Desired | undefined }
  | { kind: 'desired'; desired: Desired }
  /** Another node's state on our own topic. */
  | ({ kind: 'twin' } & TwinWord)
  | { kind: 'progress'; work: number; progress: Progress }
  | { kind: 'fetched'; work: number }
  | { kind: 'loaded'; work: number }
  | { kind: 'failed'; work: number; error: MdiError }
  | { kind: 'link'; link: LinkState }
  | { kind: 'ring'; whole: boolean; reason: string | undefined }
  | { kind: 'identity'; identity: Identity }
  /** Where this node can be reached now. */
  | { kind: 'addresses'; addresses: string[] }
  /** The broker is there (again), and may have forgotten what it retained. */
  | { kind: 'bus' }
  | { kind: 'tick' }

export type AgentEffect =
  | { kind: 'fetch'; work: number; assignment: Assignment }
  | { kind: 'load'; work: number; assignment: Assignment }
  | { kind: 'join'; epoch: number; assignment: Assignment }
  /** Leave the ring. The engine keeps its layers until something else is loaded. */
  | { kind: 'leave'; reason: string }
  | { kind: 'unload' }
  | { kind: 'keep'; desired: Desired }
  | { kind: 'publish'; state: Online }
  | { kind: 'log'; level: 'info' | 'warning'; message: string }
  /** Another node has our id. This one stops and says so. */
  | { kind: 'give-up'; message: string }

/** Least time between two reports of progress. */
const PROGRESS_MS = 500
/** A failed fetch or load is tried again after this time, which doubles with each failure. */
const RETRY_MS = 2_000
const RETRY_MOST_MS = 60_000
/** An error that may pass by itself is told to whoever waits after so many failures. */
const TRIES = 3

export class Agent {
  #identity: Identity
  #epoch = 0
  #desired: Desired | undefined
  #actual: Actual = { phase: 'idle' }
  #links = new Map<string, LinkState>()
  #ring: Online['ring']
  #work = 0
  #toldAt = Number.NEGATIVE_INFINITY
  #retry: { at: number; wait: number } | undefined
  /** How often this assignment has failed. */
  #tries = 0
  #joined = false
  /** Loaded, but it is not yet known that no other node plays this part. */
  #held = false
  readonly #twins: TwinCheck

  constructor(identity: Identity) {
    this.#identity = identity
    this.#twins = new TwinCheck(identity.instance)
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
        this.#twins.start(now)
        return event.kept ? this.#adopt(event.kept, now, false) : [this.#tell(now)]
      case 'desired':
        return this.#wanted(event.desired, now)
      case 'twin':
        return this.#answer(this.#twins.hear(event, now), now)
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
        this.#twins.bus()
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
    if (JSON.stringify(desired) === JSON.stringify(this.#desired)) return []
    if (isOlder(desired.epoch, this.#epoch)) {
      const message = `A plan of epoch ${desired.epoch} is older than ${this.#epoch}: refused.`
      return [{ kind: 'log', level: 'warning', message }]
    }
    if (desired.epoch === this.#desired?.epoch) {
      if (sameButSources(desired, this.#desired)) return this.#moved(desired, now)
      return this.#conflict(desired.epoch, now)
    }
    return this.#adopt(desired, now, true)
  }

  /**
   * Two plans of one epoch: only one is the coordinator's, and which is not known here. The
   * second is refused, and a higher epoch told, so that the coordinator makes a plan after both.
   */
  #conflict(epoch: number, now: number): AgentEffect[] {
    this.#epoch = nextEpoch(epoch)
    const message = `Another plan of the same epoch ${epoch} is refused.`
    return [{ kind: 'log', level: 'warning', message }, this.#tell(now)]
  }

  /** The same plan. Only the places to fetch from have changed. */
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
    if (!this.#twins.quiet(now)) return this.#join(assignment, now)
    this.#held = true
    return []
  }

  #join(assignment: Assignment, now: number): AgentEffect[] {
    this.#phase('ready', assignment)
    this.#held = false
    this.#joined = true
    const epoch = this.#desired?.epoch ?? this.#epoch
    return [{ kind: 'join', epoch, assignment }, this.#tell(now)]
  }

  #failed(work: number, error: MdiError, now: number): AgentEffect[] {
    const assignment = this.#desired?.assignment
    if (work !== this.#work || !assignment) return []
    this.#phase('failed', assignment)
    this.#tries += 1
    const { again, elsewhere, person } = error.row
    const lasts = person || this.#tries >= TRIES
    this.#actual = { ...this.#actual, error: error.message, lasting: lasts }
    const hopeless = again === 'never' && !elsewhere
    const wait = hopeless
      ? RETRY_MOST_MS
      : Math.min(RETRY_MOST_MS, (this.#retry?.wait ?? RETRY_MS / 2) * 2)
    this.#retry = { at: now + wait, wait }
    return [{ kind: 'log', level: 'warning', message: error.message }, this.#tell(now)]
  }

  #tick(now: number): AgentEffect[] {
    return [...this.#answer(this.#twins.tick(now), now), ...this.#proceed(now)]
  }

  #proceed(now: number): AgentEffect[] {
    const assignment = this.#desired?.assignment
    if (assignment && this.#held && !this.#twins.quiet(now)) return this.#join(assignment, now)
    if (!assignment || this.#actual.phase !== 'failed') return []
    if (!this.#retry || now < this.#retry.at) return []
    return this.#begin(assignment, now)
  }

  #answer(answer: TwinAnswer, now: number): AgentEffect[] {
    if (answer.kind === 'nothing') return []
    if (answer.kind === 'tell') return [this.#tell(now)]
    const { id } = this.#identity
    const message = `Another node calls itself ${id} (at ${answer.address}); give one of them another name in its settings.`
    return [{ kind: 'give-up', message }]
  }
}

const sameButSources = (a: Desired, b: Desired | undefined): boolean => {
  const bare = (d: Desired | undefined) =>
    JSON.stringify({ ...d, assignment: d?.assignment && { ...d.assignment, sources: [] } })
  return bare(a) === bare(b)
}
