/**
 * Simulated time, randomness and processes. Everything that happens is an entry of one
 * queue, ordered by time and then by the order of asking, so a seed replays a run.
 */
import type { Clock, Random } from '../../services/ports.ts'
import { random } from '../fakes/random.ts'

type Entry = {
  at: number
  order: number
  process: Process | undefined
  run: (() => void) | undefined
}

const before = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/**
 * Steps that one run may take. A control run without a planted bug takes 16,000 at most (200
 * seeds); members that answer each other without end take more, and then all the memory.
 */
const MAX_STEPS = 200_000

/** What the checker throws: an invariant that did not hold. */
export class Violation extends Error {
  readonly kind: string
  constructor(kind: string, message: string) {
    super(`${kind}: ${message}`)
    this.name = 'Violation'
    this.kind = kind
  }
}

export class World {
  readonly #heap: Entry[] = []
  #order = 0
  #next: () => number
  /** What a member threw where nobody waits for it: it ends the run. */
  failure: unknown
  now = 0
  steps = 0
  readonly seed: number
  /** Told what happens, when a run is traced. */
  trace: ((line: string) => void) | undefined
  /** Called after each step. */
  check: () => void = () => {}

  constructor(seed: number) {
    this.seed = seed
    this.#next = random(seed)
  }

  /** From 0 up to, not including, 1. */
  random(): number {
    return this.#next()
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.#next()
  }

  /** An integer from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return Math.floor(this.between(low, high + 1))
  }

  chance(probability: number): boolean {
    return this.#next() < probability
  }

  pick<T>(values: readonly T[]): T {
    const value = values[Math.floor(this.#next() * values.length)]
    if (value === undefined) throw new Error('nothing to pick from')
    return value
  }

  log(who: string, what: () => string): void {
    this.trace?.(`${(this.now / 1000).toFixed(4).padStart(9)} ${who.padEnd(7)} ${what()}`)
  }

  /** @returns cancels it */
  after(ms: number, run: () => void, process?: Process): () => void {
    const entry: Entry = { at: this.now + ms, order: this.#order++, process, run }
    this.#push(entry)
    return () => {
      entry.run = undefined
    }
  }

  /** As `runUntil`, with members that await: their promises are settled between the steps. */
  async runSettled(at: number, done: () => boolean = () => false): Promise<boolean> {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve))
      if (this.failure) throw this.failure
      if (done()) return true
      const first = this.#heap[0]
      if (!first || first.at > at) break
      this.#pop()
      this.now = Math.max(this.now, first.at)
      this.#do(first)
    }
    this.now = Math.max(this.now, at)
    return done()
  }

  /** Runs until a moment, or until a condition holds. @returns whether it held */
  runUntil(at: number, done: () => boolean = () => false): boolean {
    for (;;) {
      if (done()) return true
      const first = this.#heap[0]
      if (!first || first.at > at) break
      this.#pop()
      this.now = Math.max(this.now, first.at)
      this.#do(first)
    }
    this.now = Math.max(this.now, at)
    return done()
  }

  #do(entry: Entry): void {
    const { run, process } = entry
    if (!run || process?.state === 'dead') return
    if (process?.state === 'paused') {
      process.backlog.push(entry)
      return
    }
    this.steps += 1
    if (this.steps > MAX_STEPS)
      throw new Violation('storm', `${this.steps} steps at ${this.now} ms`)
    run()
    this.check()
  }

  /** Puts what a paused process missed into the queue again, in its order. */
  replay(process: Process): void {
    for (const entry of process.backlog.splice(0))
      this.#push(Object.assign(entry, { at: this.now, order: this.#order++ }))
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let i = heap.push(entry) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!before(entry, heap[parent] as Entry)) break
      heap[i] = heap[parent] as Entry
      i = parent
    }
    heap[i] = entry
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop() as Entry
    if (heap.length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Entry, heap[child] as Entry)) child++
      if (!before(heap[child] as Entry, last)) break
      heap[i] = heap[child] as Entry
      i = child
    }
    heap[i] = last
  }
}

/** One run of a program: stopped and continued by signals, ended for good. */
export class Process {
  readonly world: World
  readonly name: string
  state: 'up' | 'paused' | 'dead' = 'up'
  readonly backlog: Entry[] = []
  readonly clock: Clock
  readonly randomness: Random
  readonly #onExit: ((how: Exit) => void)[] = []

  constructor(world: World, name: string) {
    this.world = world
    this.name = name
    this.clock = {
      now: () => world.now,
      after: (ms, callback) => world.after(ms, callback, this),
    }
    this.randomness = { uint32: () => Math.floor(world.random() * 0x1_0000_0000) }
  }

  onExit(handler: (how: Exit) => void): void {
    this.#onExit.push(handler)
  }

  /** SIGSTOP. */
  pause(): void {
    if (this.state === 'up') this.state = 'paused'
  }

  /** SIGCONT. */
  resume(): void {
    if (this.state !== 'paused') return
    this.state = 'up'
    this.world.replay(this)
  }

  /** SIGKILL, of which the kernel tells the peers; or the power is cut, and nobody does. */
  kill(how: Exit): void {
    if (this.state === 'dead') return
    this.state = 'dead'
    this.backlog.length = 0
    for (const handler of this.#onExit) handler(how)
  }

  /** Later, unless this process ends before. */
  soon(run: () => void, ms = 0): () => void {
    return this.world.after(ms, run, this)
  }
}

export type Exit = 'kill' | 'power'
