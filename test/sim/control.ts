/** One seed of a whole cluster: nodes, broker and coordinator come and go under load. */
import { limits } from '../../services/limits.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import type { ControlMutation } from './controlmutations.ts'
import type { SimNode } from './node.ts'
import { Strangers } from './strangers.ts'
import { Violation, World } from './world.ts'

const READY_MS = 25_000
const FAULTS_UNTIL = 25_000
/** A node that went with the broker is known to be gone after this time. */
const GHOST_MS = 50_000
/** What is not true at the broker is put right within this time. */
const TRUTH_MS = 10_000
/** Of two nodes with one id, one that has been there for less is a newcomer too. */
const NEWCOMER_MS = 16_000
/** Messages that a twin or a fault may bring; a storm is many times more. */
const STORM = 4_000

/** What may go wrong; the more often it is named, the more often it does. */
const faults = [
  ...['node', 'pause', 'broker', 'broker', 'head', 'head'],
  ...['twin', 'twin', 'rival', 'rival', 'old plan', 'false plan'],
  ...['false plan', 'false presence', 'foreign', 'foreign', 'load', 'missed', 'ghost'],
] as const

class Control {
  readonly world: World
  readonly cluster: Cluster
  readonly #strangers: Strangers
  #active = 0
  /** Nodes that have a newcomer beside them. It is the node where the first one ends now. */
  readonly #doubled = new Set<string>()
  twins = 0
  rivals = 0
  pairs = 0
  /** Seconds of one id or at one broker: until they are gone neither broker nor coordinator fails. */
  #seconds = 0
  #brokerBackAt = Number.NEGATIVE_INFINITY

  constructor(seed: number, { trace }: ControlOptions) {
    this.world = new World(seed)
    this.world.trace = trace
    const { world } = this
    const nodes = world.integer(1, 5)
    const options: ClusterOptions = {
      nodes,
      layers: nodes + world.integer(0, 6),
      context: world.integer(24, 200),
      chunkRows: world.pick([2, 16]),
      delay: world.pick([
        [0.1, 0.4],
        [2, 20],
      ]),
      kernelFrames: world.pick([0, 100]),
      speed: { job: world.pick([1, 8]), row: world.pick([0.3, 2]) },
    }
    this.cluster = new Cluster(world, options)
    this.#strangers = new Strangers(this.cluster)
  }

  async go(): Promise<void> {
    const { world, cluster } = this
    if (world.chance(0.3)) this.#newcomers()
    await world.runSettled(world.pick([2_000, 18_000]))
    cluster.head.load('first')
    await this.#awaitReady('after the first load')
    for (let at = 0; at < FAULTS_UNTIL; at += world.between(50, 1_500))
      world.after(at, () => cluster.request())
    let at = 0
    for (let i = world.integer(1, 4); i > 0; i--) {
      at += world.between(200, FAULTS_UNTIL / 4)
      world.after(at, () => this.#fault())
    }
    await world.runSettled(world.now + FAULTS_UNTIL)
    if (!(await world.runSettled(world.now + 60_000, () => this.#active === 0)))
      throw new Error('a fault never ends')
    await this.#awaitReady('after the last fault')
    for (let i = 0; i < 3; i++) cluster.request()
    await this.#awaitEnds()
    await this.#awaitTruth()
    if (cluster.broker.taken > STORM)
      throw new Violation('storm', `${cluster.broker.taken} messages at the broker`)
  }

  async #awaitReady(when: string): Promise<void> {
    const { world, cluster } = this
    const { head } = cluster
    // Whoever asked for a load is answered, whatever became of it.
    const loaded = () =>
      head.asked.every((reply) => head.outcomes.has(reply)) &&
      (cluster.plan?.model ? cluster.ready : true)
    if (await world.runSettled(world.now + READY_MS, loaded)) return
    const { health } = cluster.head.role.coordinator
    throw new Violation('ready', `the ring is not ready ${when}: ${JSON.stringify(health)}`)
  }

  /** What strangers left on our topics is put right. */
  async #awaitTruth(): Promise<void> {
    const { world, cluster } = this
    const { length } = cluster.untrue
    if (length === 0) return
    if (await world.runSettled(world.now + TRUTH_MS, () => cluster.untrue.length === 0)) return
    throw new Violation('retained', `${cluster.untrue.join(', ')} stays wrong`)
  }

  async #awaitEnds(): Promise<void> {
    const { world, cluster } = this
    const told = () => cluster.requests.reduce((sum, r) => sum + r.told + (r.ended ? 1 : 0), 0)
    for (;;) {
      const before = told()
      const ended = () => cluster.requests.every((r) => r.ended)
      if (await world.runSettled(world.now + 20_000, ended)) return
      if (told() > before) continue
      const open = cluster.requests.filter((r) => !r.ended).map((r) => r.open.id)
      throw new Violation('hang', `nothing comes of ${open.join(', ')} any more`)
    }
  }

  /** Two boards come with one id: one of them gives up, and the other is the node. */
  #newcomers(): void {
    const { world, cluster } = this
    const id = `n${world.integer(0, cluster.options.nodes - 1)}`
    this.pairs += 1
    this.#active += 1
    cluster.disputed.add(id)
    world.after(world.between(0, 2_000), () => {
      const pair = [cluster.members.get(id) as SimNode, cluster.twin(id)] as const
      const began = world.now
      const look = () => {
        // Both may play the part until one gives up.
        this.#trouble()
        const [stayed, ...more] = pair.filter((m) => !m.gaveUp)
        if (!stayed) throw new Violation('twin', `both ${id} gave up`)
        if (more.length === 0) {
          cluster.settle(id, stayed)
          this.#active -= 1
        } else if (world.now - began > 30_000) throw new Violation('twin', `two ${id} stay`)
        else world.after(100, look)
      }
      world.after(100, look)
    })
  }

  #fault(): void {
    const { world } = this
    const kind = world.pick(faults)
    const ms = world.between(200, world.pick([1_500, 6_000]))
    world.log('FAULT', () => `${kind} for ${(ms / 1000).toFixed(2)} s`)
    if (kind === 'node' || kind === 'pause') this.#node(kind, ms)
    else if (kind === 'broker') this.#broker(ms)
    else if (kind === 'head') this.#head(ms)
    else if (kind === 'twin') this.#twin()
    else if (kind === 'rival') this.#rival()
    else if (kind === 'load') this.#load()
    else if (kind === 'missed') this.#missed(ms)
    else if (kind === 'ghost') this.#ghost()
    else if (kind === 'old plan') this.#strangers.oldPlan()
    else if (kind === 'false plan') this.#strangers.falsePlan()
    else if (kind === 'false presence') this.#strangers.falsePresence()
    else this.#strangers.foreign()
  }

  #during(ms: number, mend: () => void): void {
    this.#active += 1
    this.world.after(ms, () => {
      mend()
      this.#active -= 1
    })
  }

  get falsePlans(): number {
    return this.#strangers.falsePlans
  }

  /** From now until it is mended and known, requests may end. */
  #trouble(): void {
    const { cluster, world } = this
    cluster.troubleAt = Math.max(cluster.troubleAt, world.now)
  }

  #node(kind: 'node' | 'pause', ms: number): void {
    const { world, cluster } = this
    const member = world.pick([...cluster.members.values()])
    if (member.process.state !== 'up' || cluster.disputed.has(member.id)) return
    if (this.#doubled.has(member.id)) return
    this.#trouble()
    world.log('FAULT', () => member.id)
    if (kind === 'pause') member.process.pause()
    else member.process.kill(world.pick(['kill', 'power']))
    this.#during(ms, () => {
      this.#trouble()
      if (kind === 'pause') member.process.resume()
      else cluster.boot(member.id)
    })
  }

  /** A broker that restarts ends nothing. */
  #broker(ms: number): void {
    const { world, cluster } = this
    if (!cluster.broker.up || this.#seconds > 0) return
    cluster.broker.stop(world.chance(0.5))
    this.#during(ms, () => this.#brokerBack())
  }

  #brokerBack(): void {
    this.cluster.broker.start()
    this.#brokerBackAt = this.world.now
  }

  /** Nor does a coordinator. */
  #head(ms: number): void {
    const { world, cluster } = this
    if (cluster.head.process.state !== 'up' || this.#seconds > 0) return
    // What was asked in the last moment may not have left the coordinator, which dials now
    // and then only.
    for (const r of cluster.requests)
      if (!r.ended && r.told === 0 && world.now - r.openedAt < 2 * limits.redialMaxMs)
        r.excuse = () => 'its owner died with it'
    cluster.head.process.kill(world.pick(['kill', 'power']))
    this.#during(ms, () => cluster.bootHead())
  }

  /**
   * Nor does a newcomer with the id of a node that is there: it gives up. (Where it is quicker at
   * a broker that comes back than the node, it cannot be told from one that took its place.)
   */
  #twin(): void {
    const { world, cluster } = this
    if (!cluster.broker.up || world.now - this.#brokerBackAt < 2_000) return
    const id = `n${world.integer(0, cluster.options.nodes - 1)}`
    const member = cluster.members.get(id)
    if (
      member?.process.state !== 'up' ||
      cluster.disputed.has(id) ||
      this.#doubled.has(id) ||
      world.now - member.bornAt < NEWCOMER_MS
    )
      return
    const twin = cluster.twin(id)
    this.#doubled.add(id)
    this.twins += 1
    this.#active += 1
    this.#seconds += 1
    const began = world.now
    const look = () => {
      if (twin.gaveUp) {
        this.#doubled.delete(id)
        this.#active -= 1
        this.#seconds -= 1
      } else if (world.now - began > 30_000) throw new Violation('twin', `another ${id} stays`)
      else world.after(500, look)
    }
    world.after(500, look)
  }

  /** Nor does a second coordinator, whatever it has planned: it gives up. */
  #rival(): void {
    const { world, cluster } = this
    const { head, broker } = cluster
    // Where the broker is away or the coordinator is, the rival may rightly be the one. So it may
    // where the broker has just come back, since then both ask.
    if (this.#active > 0 || !broker.up || !head.working) return
    if (world.now - this.#brokerBackAt < 4_000) return
    this.rivals += 1
    this.#active += 1
    this.#seconds += 1
    const rival = cluster.rival()
    const began = world.now
    const look = () => {
      if (rival.gaveUp) {
        this.#active -= 1
        this.#seconds -= 1
      } else if (world.now - began > 30_000) throw new Violation('rival', 'a second one stays')
      else world.after(500, look)
    }
    world.after(500, look)
  }

  #load(): void {
    const { world, cluster } = this
    const { head, options } = cluster
    if (head.process.state !== 'up' || !head.working) return
    this.#trouble()
    if (world.chance(0.2)) head.unload(`u${world.now}`)
    const all = Array.from({ length: options.nodes }, (_, i) => `n${i}`)
    const some = all.filter(() => world.chance(0.6)).reverse()
    world.after(world.between(0, 300), () => {
      this.#trouble()
      if (cluster.head.process.state !== 'up' || !cluster.head.working) return
      cluster.head.load(`l${world.now}`, some.length > 0 ? some : undefined)
      if (world.chance(0.3)) this.#again()
    })
  }

  /** A person changes their mind before the ring is ready. */
  #again(): void {
    const { world, cluster } = this
    world.after(world.between(0, 100), () => {
      this.#trouble()
      const { head } = cluster
      if (head.process.state !== 'up' || !head.working) return
      if (world.chance(0.5)) head.unload(`u${world.now}`)
      head.load(`m${world.now}`)
    })
  }

  /** A node's power fails just as it is told its part, and the broker forgets what it was told. */
  #missed(ms: number): void {
    const { world, cluster } = this
    const { head, broker } = cluster
    const member = world.pick([...cluster.members.values()])
    if (this.#active > 0 || !broker.up || !head.working || head.process.state !== 'up') return
    if (member.process.state !== 'up' || cluster.disputed.has(member.id)) return
    this.#trouble()
    head.load(`p${world.now}`)
    member.process.kill('power')
    broker.stop(false)
    this.#during(ms, () => {
      this.#trouble()
      this.#brokerBack()
      cluster.boot(member.id)
    })
  }

  /** Broker and a node lose power together: the broker remembers that the node is online. */
  #ghost(): void {
    const { world, cluster } = this
    const { head, broker } = cluster
    const member = world.pick([...cluster.members.values()])
    if (this.#active > 0 || !broker.up || !head.working || head.process.state !== 'up') return
    if (member.process.state !== 'up' || cluster.disputed.has(member.id)) return
    // Until the node is known to be gone, requests are sent to it.
    cluster.troubleAt = world.now + GHOST_MS
    member.process.kill('power')
    broker.stop(world.chance(0.7))
    this.#during(2_000, () => this.#brokerBack())
    this.#during(GHOST_MS, () => {
      this.#trouble()
      const known = head.role.coordinator.nodes.find((n) => n.id === member.id)
      if (head === cluster.head && head.working && known?.state === 'online')
        throw new Violation('ghost', `${member.id} is gone, and believed to be there`)
      cluster.boot(member.id)
    })
  }
}

export type ControlOptions = { mutation?: ControlMutation; trace?: (line: string) => void }

export type ControlResult = {
  seed: number
  requests: number
  plans: number
  messages: number
  twins: number
  rivals: number
  pairs: number
  falsePlans: number
}

/** Runs one seed. @throws Violation, or whatever the code under test throws */
export const runControl = async (
  seed: number,
  options: ControlOptions = {},
): Promise<ControlResult> => {
  const restore = options.mutation?.plant() ?? (() => {})
  // What a member throws where nobody waits for it would end its process.
  const control = new Control(seed, options)
  const unawaited = (error: unknown) => {
    control.world.failure ??= error
  }
  process.on('unhandledRejection', unawaited)
  try {
    await control.go()
  } finally {
    restore()
    process.off('unhandledRejection', unawaited)
  }
  const { cluster, twins, rivals, pairs, falsePlans } = control
  const { requests, broker, plan } = cluster
  const met = { twins, rivals, pairs, falsePlans }
  const plans = plan?.epoch ?? 0
  return { seed, requests: requests.length, plans, messages: broker.taken, ...met }
}
