/**
 * A whole ring in simulated time: the production `RingNode`s with engines, links, owners,
 * faults by the seed, and a checker that looks after each step.
 */

import { limits } from '../../services/limits.ts'
import { sequencesFor } from '../../services/plan/places.ts'
import { Owner } from '../../services/requests/owner.ts'
import { RingNode } from '../../services/ring/node.ts'
import type { Part } from '../../services/ring/part.ts'
import { FakeEngine, type Speed } from './engine.ts'
import type { SimLinks } from './links.ts'
import { HIDDEN, VOCAB } from './model.ts'
import type { Mutation } from './mutations.ts'
import { Network } from './net.ts'
import { Request, randomOpen } from './requests.ts'
import { type Exit, Process, Violation, type World } from './world.ts'

export type RingOptions = {
  nodes: number
  layers: number
  context: number
  chunkRows: number
  wire: 'fp32' | 'fp16'
  delay: readonly [number, number]
  kernelFrames: number
  speed: Speed
  /** Speeds of the nodes differ by up to this factor. */
  spread: number
  /** The same number of layers on every node. */
  even?: boolean
}

/** One computer of the ring; its process may end and another take its place. */
export type SimNode = {
  id: string
  speed: Speed
  process: Process
  engine: FakeEngine
  links: SimLinks
  ring: RingNode
}

export type SimOwner = { id: string; process: Process; owner: Owner }

export class Ring {
  readonly world: World
  readonly options: RingOptions
  readonly network: Network
  readonly nodes: SimNode[] = []
  owner: SimOwner | undefined
  readonly requests: Request[] = []
  readonly #mutation: Mutation | undefined
  readonly #speeds = new Map<string, Speed>()
  /** The plan: ids in the ring's order, and first layers. */
  order: string[] = []
  #bounds: number[] = []
  epoch = 1
  /** When something last went wrong, or was mended; errors later than this need a reason. */
  troubleAt = Number.NEGATIVE_INFINITY
  #nextRequest = 1
  #replanning = 0
  mostHeld = 0

  constructor(world: World, options: RingOptions, mutation?: Mutation) {
    this.world = world
    this.options = options
    this.#mutation = mutation
    this.network = new Network(world, options, mutation)
    this.network.onRefusal = () => {
      this.troubleAt = world.now
    }
    this.order = Array.from({ length: options.nodes }, (_, i) => `n${i}`)
    this.#split()
    for (const id of this.order) this.nodes.push(this.#boot(id))
    for (const node of this.nodes) this.play(node)
    world.check = () => this.#check()
  }

  /** Random first layers of the stages. */
  #split(): void {
    const { nodes, layers, even } = this.options
    if (even) {
      this.#bounds = Array.from({ length: nodes + 1 }, (_, i) => Math.round((i * layers) / nodes))
      return
    }
    const cuts = new Set<number>()
    while (cuts.size < nodes - 1) cuts.add(this.world.integer(1, layers - 1))
    this.#bounds = [0, ...[...cuts].sort((a, b) => a - b), layers]
  }

  #boot(id: string): SimNode {
    const { world, options } = this
    const process = new Process(world, id)
    const links = this.network.join(id, process)
    const factor = this.#speeds.get(id)
    const f = world.between(1, options.spread)
    const speed = factor ?? { job: options.speed.job * f, row: options.speed.row * f }
    this.#speeds.set(id, speed)
    const engine = new FakeEngine(process, speed, options.context, this.#mutation)
    engine.onPlannedFailure = () => {
      this.troubleAt = world.now
    }
    const ring = new RingNode({
      id,
      engine,
      links,
      clock: process.clock,
      random: process.randomness,
      onRing: (whole, reason) => {
        world.log(id, () => `ring ${whole ? 'whole' : 'broken'} ${reason ?? ''}`)
        // The moment in which two plans could be mixed.
        for (let i = 0; whole && world.now < this.#replanning && i < 3; i++)
          world.after(0, () => this.request())
      },
    })
    return { id, speed, process, engine, links, ring }
  }

  node(id: string): SimNode {
    const node = this.nodes.find((n) => n.id === id)
    if (!node) throw new Error(`no node ${id}`)
    return node
  }

  get starter(): SimNode {
    return this.node(this.order[0] as string)
  }

  /** Loads a node's layers by the plan, and starts its part. */
  play(node: SimNode): void {
    const stage = this.order.indexOf(node.id)
    const stages = this.order.length
    const peer = (id: string) => ({ id, addresses: [id], port: 1 })
    node.engine.load(this.#bounds[stage] as number, this.#bounds[stage + 1] as number)
    const { options } = this
    const part: Part = {
      epoch: this.epoch,
      hidden: HIDDEN,
      model: 'toy',
      vocab: VOCAB,
      assignment: {
        stage,
        stages,
        next: stages === 1 ? null : peer(this.order[(stage + 1) % stages] as string),
        previous: stages === 1 ? null : (this.order[(stage + stages - 1) % stages] as string),
        wire: options.wire,
        context: options.context,
        starter: stage === 0,
      },
      chunkRows: options.chunkRows,
      sequences: sequencesFor(stages, 1, Number.MAX_SAFE_INTEGER),
    }
    this.world.log(node.id, () => `plays stage ${stage} of epoch ${part.epoch}`)
    node.ring.start(part)
  }

  /** Another split, and perhaps another order, of the same nodes; the starter stays. */
  replan(within: number): void {
    this.#replanning = this.world.now + within
    const [first, ...rest] = this.order as [string, ...string[]]
    const same = this.world.chance(0.5)
    for (let i = rest.length - 1; i > 0 && !same; i--) {
      const j = this.world.integer(0, i)
      ;[rest[i], rest[j]] = [rest[j] as string, rest[i] as string]
    }
    this.order = [first, ...rest]
    this.#split()
    this.epoch += 1
    for (const node of this.nodes) {
      const { process } = node
      process.soon(() => this.play(node), this.world.between(0, 800))
    }
    for (let i = 0; i < 4; i++) this.world.after(this.world.between(0, 1_000), () => this.request())
  }

  /** Ends a node's process. */
  crash(node: SimNode, how: Exit): void {
    node.process.kill(how)
  }

  /** Starts a new process in the place of one that ended; it plays its part when it is up. */
  restart(node: SimNode): void {
    Object.assign(node, this.#boot(node.id))
    this.play(node)
  }

  /** Starts the process of a remote owner, which takes up the requests of one before it. */
  bootOwner(): void {
    const { world } = this
    const before = this.requests.filter((r) => r.via === 'owner' && !r.ended)
    const process = new Process(world, 'owner')
    const links = this.network.join('owner', process)
    const owner = new Owner(links, process.clock)
    links.onEvent((event) => owner.handle(event))
    this.owner = { id: 'owner', process, owner }
    owner.setStarter({ id: this.starter.id, addresses: [this.starter.id], port: 1 })
    for (const r of before) owner.open(r.open, r, true, r.nextStep)
  }

  /** A new random request, at the starter or over a link to it. */
  request(change: (open: Request['open']) => void = () => {}): Request {
    const { world, options } = this
    const id = `r${this.#nextRequest++}`
    const open = randomOpen(world, id, options.context)
    change(open)
    const request = new Request(world, open, options)
    request.via = this.owner && world.chance(0.5) ? 'owner' : 'local'
    request.excuse = (end) => this.#excuse(end.error?.code)
    this.requests.push(request)
    world.log(id, () => `opens via ${request.via}: ${open.tokens.length} tokens`)
    const listener = this.#mutation?.listener?.(request) ?? request
    if (request.via === 'owner')
      this.owner?.process.soon(() => this.owner?.owner.open(open, listener))
    else {
      const { starter } = this
      starter.process.soon(() => starter.ring.open(open, listener))
      starter.process.onExit(() => request.void())
      if (starter.process.state === 'dead') request.void()
    }
    return request
  }

  cancel(request: Request): void {
    const { world, options } = this
    const { id } = request.open
    if (request.ended) return
    request.cancelled = true
    world.log(id, () => 'is cancelled')
    const at = world.now
    if (request.via === 'owner') this.owner?.process.soon(() => this.owner?.owner.cancel(id))
    else this.starter.process.soon(() => this.starter.ring.cancel(id))
    world.after(2 * options.delay[1] + 500, () => {
      const calm = this.troubleAt + limits.lossMs + 3_000 < at
      if (calm && !request.ended) throw new Violation('cancel', `${id} goes on after its cancel`)
    })
  }

  #excuse(code: string | undefined): string | undefined {
    const recent = this.world.now - this.troubleAt < limits.lossMs + 3_000
    const of = ['node-lost', 'not-ready', 'no-model', 'not-found']
    return recent && code && of.includes(code) ? 'a fault' : undefined
  }

  /** Sequences that a node may hold: those that run, and those whose close is on its way. */
  get #mostOpen(): number {
    return 2 * sequencesFor(this.order.length, 1, Number.MAX_SAFE_INTEGER) + limits.segments
  }

  #check(): void {
    for (const { id, engine, ring, process } of this.nodes) {
      if (process.state === 'dead') continue
      if (ring.held > limits.queueFrames)
        throw new Violation('queue', `${id} holds ${ring.held} frames`)
      if (ring.held > this.mostHeld) this.mostHeld = ring.held
      if (engine.openCount > this.#mostOpen)
        throw new Violation('kv', `${id} holds ${engine.openCount} sequences`)
    }
  }

  /** What must hold when nothing has run for a while. */
  checkQuiet(): void {
    for (const { id, engine } of this.nodes)
      if (engine.openCount > 0)
        throw new Violation(
          'kv',
          `${id} holds sequences ${engine.open.join(', ')} though none runs`,
        )
  }
}
