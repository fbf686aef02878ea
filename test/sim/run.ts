/** One seed: a random ring, random requests, random faults, and an end that must be good. */
import { limits } from '../../services/limits.ts'
import type { FaultKind, Mutation } from './mutations.ts'
import { Ring, type RingOptions, type SimNode } from './ring.ts'
import { Violation, World } from './world.ts'

export type RunOptions = {
  mutation?: Mutation
  trace?: (line: string) => void
}

export type RunResult = {
  seed: number
  nodes: number
  requests: number
  tokens: number
  faults: number
  steps: number
  ms: number
  mostHeld: number
  mostQueued: number
}

const pickOptions = (world: World): RingOptions => {
  const nodes = world.integer(1, 8)
  return {
    nodes,
    layers: nodes + world.integer(0, 6),
    context: world.chance(0.2) ? 300 : world.integer(24, 96),
    chunkRows: world.pick([2, 4, 16, 64]),
    wire: world.pick(['fp32', 'fp16']),
    delay: world.pick([
      [0.1, 0.4],
      [1, 12],
      [5, 80],
      [100, 220],
    ]),
    kernelFrames: world.pick([0, 4, 200]),
    speed: { job: world.pick([0.5, 4, 15]), row: world.pick([0.2, 1, 4]) },
    spread: world.pick([1, 3]),
  }
}

/** What may go wrong; those that stand here twice do so twice as often. */
const faultKinds: readonly FaultKind[] = [
  'kill',
  'kill',
  'power',
  'pause',
  'pause',
  'reset',
  'clog',
  'cut',
  'engine',
  'replan',
  'owner',
]

const FAULTS_UNTIL = 20_000

class Run {
  readonly world: World
  readonly ring: Ring
  faults = 0
  #active = 0
  readonly #kinds: readonly FaultKind[]

  constructor(seed: number, options: RunOptions) {
    this.world = new World(seed)
    this.world.trace = options.trace
    this.#kinds = options.mutation?.faults ?? faultKinds
    const chosen = pickOptions(this.world)
    this.world.log('seed', () => JSON.stringify({ seed, ...chosen }))
    this.ring = new Ring(this.world, chosen, options.mutation)
  }

  go(): void {
    const { world, ring } = this
    const calm = world.chance(0.25)
    if (world.chance(0.6)) ring.bootOwner()
    this.#awaitWhole(limits.lossMs, 'the ring is not whole at the start')
    this.#arrivals(world.integer(4, 24))
    if (!calm) this.#plan(world.integer(1, 4))
    world.runUntil(world.now + FAULTS_UNTIL)
    this.#awaitCalm()
    this.#awaitWhole(limits.lossMs, 'the ring is not whole after the last fault')
    this.#last()
  }

  #arrivals(count: number): void {
    const { world, ring } = this
    let at = 0
    for (let i = 0; i < count; i++) {
      at += world.chance(0.6) ? 0 : world.between(0, (2 * FAULTS_UNTIL) / count)
      if (at > FAULTS_UNTIL) break
      world.after(at, () => {
        const request = ring.request()
        if (world.chance(0.15)) world.after(world.between(0, 1_000), () => ring.cancel(request))
      })
    }
  }

  /** New requests after everything: the ring must be as good as new, and end clean. */
  #last(): void {
    const { world, ring } = this
    for (let i = 0; i < 3; i++) ring.request()
    for (;;) {
      const told = this.#told
      if (world.runUntil(world.now + 20_000, () => ring.requests.every((r) => r.ended))) break
      if (this.#told > told) continue
      const open = ring.requests.filter((r) => !r.ended).map((r) => r.open.id)
      throw new Violation('hang', `nothing comes of ${open.join(', ')} any more`)
    }
    world.runUntil(world.now + 3_000)
    ring.checkQuiet()
  }

  get #told(): number {
    return this.ring.requests.reduce((sum, r) => sum + r.told + (r.ended ? 1 : 0), 0)
  }

  #awaitCalm(): void {
    const { world } = this
    if (!world.runUntil(world.now + 60_000, () => this.#active === 0))
      throw new Error('a fault never ends')
  }

  #awaitWhole(ms: number, what: string): void {
    const { world, ring } = this
    if (!world.runUntil(world.now + ms, () => ring.starter.ring.whole))
      throw new Violation('whole', `${what}, for ${ms / 1000} s`)
  }

  #plan(count: number): void {
    const { world } = this
    let at = 0
    for (let i = 0; i < count; i++) {
      at += world.chance(0.3) ? world.between(0, 300) : world.between(500, FAULTS_UNTIL / count)
      world.after(at, () => this.#fault())
    }
  }

  #fault(): void {
    const { world, ring } = this
    this.faults += 1
    const kind = world.pick(this.#kinds)
    const node = world.pick(ring.nodes)
    const neighbour = ring.order[(ring.order.indexOf(node.id) + 1) % ring.order.length] as string
    const ms = world.between(100, world.pick([1_000, 3_000, 7_000]))
    const within = world.pick([800, 4_000])
    world.log('FAULT', () => `${kind} ${node.id} for ${(ms / 1000).toFixed(2)} s`)
    if (node.process.state !== 'up') return
    if (kind === 'kill' || kind === 'power') {
      this.#during(
        ms,
        node,
        () => ring.crash(node, kind),
        () => ring.restart(node),
      )
    } else if (kind === 'pause')
      this.#during(
        ms,
        node,
        () => node.process.pause(),
        () => node.process.resume(),
      )
    else if (kind === 'reset')
      this.#during(
        0,
        node,
        () => ring.network.reset(node.id, neighbour),
        () => {},
      )
    else if (kind === 'clog')
      this.#during(
        0,
        node,
        () => ring.network.clog(node.id, neighbour),
        () => {},
      )
    else if (kind === 'cut' && neighbour !== node.id)
      this.#during(
        ms,
        undefined,
        () => ring.network.cut(node.id, neighbour),
        () => ring.network.mend(node.id, neighbour),
      )
    else if (kind === 'engine')
      this.#during(
        0,
        node,
        () => {
          node.engine.failNext = true
        },
        () => {},
      )
    else if (kind === 'replan')
      this.#during(
        within,
        node,
        () => ring.replan(within),
        () => {},
      )
    else if (kind === 'owner') this.#owner(ms)
  }

  #owner(ms: number): void {
    const { world, ring } = this
    const { owner } = ring
    if (owner?.process.state !== 'up') return
    world.log('FAULT', () => 'owner')
    this.#active += 1
    ring.troubleAt = world.now
    owner.process.kill(world.pick(['kill', 'power']))
    world.after(ms, () => {
      ring.bootOwner()
      ring.troubleAt = world.now
      this.#active -= 1
    })
  }

  /** A fault and its mending, and what must be true some time after each. */
  #during(ms: number, node: SimNode | undefined, begin: () => void, mend: () => void): void {
    const { world, ring } = this
    const alone = this.#active === 0
    this.#active += 1
    ring.troubleAt = world.now
    const running = ring.requests.filter((r) => !r.ended && r.via === 'local')
    begin()
    const isStarter = node?.id === ring.order[0]
    const long = ms > limits.linkSilenceMs + 3 * limits.probeEveryMs
    const number = this.faults
    if (alone && long && !isStarter)
      world.after(limits.lossMs, () => {
        const left = running.filter((r) => !r.ended)
        if (left.length > 0 && number === this.faults)
          throw new Violation('loss', `${left[0]?.open.id} runs ${limits.lossMs} ms after a loss`)
      })
    world.after(ms, () => {
      mend()
      this.#active -= 1
      ring.troubleAt = world.now
      const mended = world.now
      let whole = false
      const look = () => {
        whole ||= ring.starter.ring.whole
        if (whole || this.#active > 0 || ring.troubleAt > mended) return
        if (world.now - mended < limits.lossMs) world.after(100, look)
        else
          throw new Violation(
            'whole',
            `the ring is broken ${limits.lossMs} ms after a node is back`,
          )
      }
      world.after(100, look)
    })
  }
}

/** Runs one seed. @throws Violation, or whatever the code under test throws */
export const runSeed = (seed: number, options: RunOptions = {}): RunResult => {
  const began = performance.now()
  const run = new Run(seed, options)
  run.go()
  const { ring, world, faults } = run
  return {
    seed,
    nodes: ring.order.length,
    requests: ring.requests.length,
    tokens: ring.requests.reduce((sum, r) => sum + r.told, 0),
    faults,
    steps: world.steps,
    ms: performance.now() - began,
    mostHeld: ring.mostHeld,
    mostQueued: ring.network.mostQueued,
  }
}
