/** What strangers may publish at a simulated cluster's broker, who know its topics. */
import { desiredOf, type Plan } from '../../services/control/plan.ts'
import { limits } from '../../services/limits.ts'
import type { Assignment } from '../../services/wire/control.ts'
import { buildTopic, type TopicName, topics, writeMessage } from '../../services/wire/topics.ts'
import type { Cluster } from './cluster.ts'

/** Epochs of plans that no coordinator made: far ahead, at the end of the range, and beyond. */
const FALSE_EPOCHS = [
  1_000_000,
  2 ** 30,
  limits.epochs - 2,
  limits.epochs - 1,
  limits.epochs,
  0xffff_fffe,
  0xffff_ffff,
]

/** Topics on which anything may be retained. */
const retainedTopics = (Object.keys(topics) as TopicName[]).filter((name) => topics[name].retain)
const garbage = ['', '{"epoch":', '[]', '{}', 'null', '\u0000\uffff', '['.repeat(2_000)]
/** What another cluster, or a program of another version, may leave there. */
const foreign: Partial<Record<TopicName, string>> = {
  state: writeMessage('state', { state: 'offline', instance: 'somebody' }),
  desired: writeMessage('desired', { epoch: 1, cluster: 'other', assignment: null }),
  bridgeState: writeMessage('bridgeState', { state: 'offline', instance: 'somebody' }),
  bridgeInfo: writeMessage('bridgeInfo', {
    ...{ version: '1', protocol: 1, cluster: 'other', epoch: 7, model: null, stages: [] },
    coordinator: { id: 'other', addresses: ['other'], port: 1 },
  }),
  bridgeHealth: writeMessage('bridgeHealth', {
    ...{ ring: 'idle', running: 0, queued: 0, tokensPerSecond: 0, uptimeSeconds: 0 },
  }),
}

export class Strangers {
  readonly #cluster: Cluster
  falsePlans = 0

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** A plan of an older epoch. */
  oldPlan(): void {
    const cluster = this.#cluster
    const { world } = cluster
    const id = `n${world.integer(0, cluster.options.nodes - 1)}`
    const old = writeMessage('desired', { epoch: 0, cluster: 'sim', assignment: null })
    if (cluster.broker.up)
      cluster.broker.take(buildTopic('desired', { node: id }), old, world.chance(0.5))
  }

  /**
   * A plan that no coordinator made, of whatever epoch, or of the very epoch that the next plan
   * gets: requests may end, but the node comes back.
   */
  falsePlan(): void {
    const cluster = this.#cluster
    const { world, broker, head, plan } = cluster
    const id = `n${world.integer(0, cluster.options.nodes - 1)}`
    if (!broker.up || !plan) return
    cluster.troubleAt = Math.max(cluster.troubleAt, world.now)
    this.falsePlans += 1
    const near = plan.epoch + world.integer(1, 5)
    const epoch = world.pick([near, ...FALSE_EPOCHS])
    const desired = { epoch, cluster: 'sim', assignment: this.#falsePart(id, plan) }
    const topic = buildTopic('desired', { node: id })
    world.log('FAULT', () => `${topic} says plan ${epoch}`)
    broker.take(topic, JSON.stringify(desired), world.chance(0.7))
    if (world.chance(0.3)) return
    // A second one, before anybody has answered the first; or the plan is made at this moment.
    if (world.chance(0.5)) {
      const again = { ...desired, epoch: world.pick([near, ...FALSE_EPOCHS]) }
      world.after(world.between(0, 100), () => {
        if (broker.up) broker.take(topic, JSON.stringify(again), true)
      })
    } else if (head.process.state === 'up' && head.working) {
      broker.take(topic, JSON.stringify({ ...desired, epoch: plan.epoch + 1 }), true)
      head.load(`f${world.now}`)
    }
  }

  /** Nothing at all, the node's part, or one with a number beyond what it stands for. */
  #falsePart(id: string, plan: Plan): Assignment | null {
    const coordinator = { id: 'coord', addresses: ['coord'], port: 1 }
    const { assignment } = desiredOf(plan, id, 'sim', coordinator)
    const { modelContext, modelLayers, stages } = limits
    const changes = [{}, { end: modelLayers }, { context: modelContext }, { stages }]
    const part = assignment && { ...assignment, ...this.#cluster.world.pick(changes) }
    return this.#cluster.world.chance(0.5) ? null : part
  }

  /** Says again and again that another coordinator is at work, or asks, that never answers. */
  falsePresence(): void {
    const { world, broker } = this.#cluster
    const instance = world.pick(['', '0', 'zzzz'])
    const asks = world.chance(0.3)
    const told = writeMessage('bridgeState', {
      ...{ state: 'online', id: 'false', place: 'nowhere', asks },
      ...(instance !== '' && { instance }),
    })
    for (let i = world.integer(1, 12), at = 0; i > 0; i--, at += world.between(0, 800))
      world.after(at, () => {
        if (broker.up) broker.take(buildTopic('bridgeState', {}), told, world.chance(0.5))
      })
  }

  /** A stranger's message on a retained topic of ours: garbage, nothing, or another cluster's. */
  foreign(): void {
    const cluster = this.#cluster
    const { world } = cluster
    const node = `n${world.integer(0, cluster.options.nodes - 1)}`
    const name = world.pick(retainedTopics)
    const topic = buildTopic(name, { node, instance: 'x', request: 'x', verb: 'x' })
    const payload = world.pick([...garbage, foreign[name] ?? ''])
    world.log('FAULT', () => `${topic} ${payload.slice(0, 80)}`)
    if (cluster.broker.up) cluster.broker.take(topic, payload, world.chance(0.7))
  }
}
