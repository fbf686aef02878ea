/**
 * The coordinator, pure: knows the nodes by their states, plans the split of a model over
 * them, and publishes what is desired of each. It computes nothing, so the ring runs on while
 * it is away.
 */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { Manifest } from '../model/spec.ts'
import { modelCost, PLANNED_POSITIONS } from '../plan/cost.ts'
import { partition } from '../plan/partition.ts'
import type { BridgeHealth, BridgeInfo, Desired, NodeState, Online } from '../wire/control.ts'
import type { Peer } from '../wire/values.ts'
import type { VerbData, VerbRequest } from '../wire/verbs.ts'
import { epochAfter, isOlder, nextEpoch } from './epoch.ts'
import { healthOf, leftOut, sentence } from './health.ts'
import {
  checkPlan,
  desiredOf,
  emptyPlan,
  hasMoved,
  type Plan,
  peerOf,
  planNodes,
  samePeer,
} from './plan.ts'
import { Roster } from './roster.ts'

export type CoordinatorOptions = {
  version: string
  protocol: number
  cluster: string
  /** Where this coordinator's own weights can be fetched. */
  peer: Peer
}

/** A model that is to be loaded, as the store has it. */
export type LoadModel = {
  manifest: Manifest
  reference: NonNullable<Plan['model']>
  /** Positions that a sequence may reach, as asked for or by default. */
  context: number
}

export type CoordinatorEvent =
  | { kind: 'start'; kept: Plan | undefined }
  | { kind: 'node'; id: string; state: NodeState }
  /** `reply` says who waits for the outcome. */
  | { kind: 'load'; reply: string; request: VerbRequest<'load'>; model: LoadModel }
  | { kind: 'unload'; reply: string }
  /** A node that is gone is forgotten (`checkRemovable` first). */
  | { kind: 'remove'; id: string }
  /** The broker was away, so nodes may have been replaced meanwhile. */
  | { kind: 'away' }
  /** The broker is there (again), and may have forgotten what it retained. */
  | { kind: 'bus' }
  /** Where this coordinator can be reached now. */
  | { kind: 'addresses'; addresses: string[] }
  /** Time passes. @property now milliseconds of a clock that never jumps */
  | { kind: 'tick'; now: number }

export type CoordinatorEffect =
  | { kind: 'desire'; node: string; desired: Desired }
  | { kind: 'keep'; plan: Plan }
  | { kind: 'loaded'; reply: string; data: VerbData<'load'> }
  | { kind: 'unloaded'; reply: string; data: VerbData<'unload'> }
  | { kind: 'refused'; reply: string; error: MdiError }
  /** The plan has changed: who starts the ring, for what. */
  | { kind: 'plan'; plan: Plan }
  | { kind: 'log'; level: 'info' | 'warning'; message: string }

export class Coordinator {
  readonly #options: CoordinatorOptions
  readonly #roster: Roster
  /** Where this coordinator is now. */
  #peer: Peer
  #plan: Plan = emptyPlan(0)
  readonly #waiting: string[] = []
  /** How the ring stood when somebody who waits was last looked after, and since when. */
  #stood = ''
  #stoodSince = 0
  readonly #warned = new Set<string>()

  constructor(options: CoordinatorOptions) {
    this.#options = options
    this.#roster = new Roster(options)
    this.#peer = options.peer
  }

  get plan(): Plan {
    return this.#plan
  }

  handle(event: CoordinatorEvent): CoordinatorEffect[] {
    switch (event.kind) {
      case 'start':
        if (!event.kept) return []
        this.#plan = event.kept
        return [{ kind: 'plan', plan: this.#plan }]
      case 'node':
        return this.#node(event.id, event.state)
      case 'load':
        return this.#load(event.reply, event.request, event.model)
      case 'unload':
        return this.#unload(event.reply)
      case 'remove':
        this.#roster.forget(event.id)
        return []
      case 'away':
        this.#roster.away()
        return []
      case 'bus':
        return this.#desireAll()
      case 'addresses':
        return this.#at(event.addresses)
      case 'tick':
        return this.#tick(event.now)
    }
  }

  /** This coordinator has other addresses. Nodes fetch its weights there. */
  #at(addresses: string[]): CoordinatorEffect[] {
    if (JSON.stringify(addresses) === JSON.stringify(this.#peer.addresses)) return []
    this.#peer = { ...this.#peer, addresses }
    return [{ kind: 'plan', plan: this.#plan }, ...this.#desireAll()]
  }

  #node(id: string, state: NodeState): CoordinatorEffect[] {
    const { noted, warning } = this.#roster.hear(id, state)
    if (!noted) return warning === undefined ? [] : this.#warn(warning)
    const effects: CoordinatorEffect[] = []
    if (state.state === 'online') {
      const misfit = this.#roster.misfit(state)
      if (misfit) effects.push(...this.#warn(misfit))
      if (!misfit) effects.push(...this.#follow(state))
    }
    return [...effects, ...this.#answerWaiting()]
  }

  #warn(message: string): CoordinatorEffect[] {
    if (this.#warned.has(message)) return []
    this.#warned.add(message)
    return [{ kind: 'log', level: 'warning', message }]
  }

  /** Tells a node its part again if its plan is older, and plans anew if it has moved. */
  #follow(node: Online): CoordinatorEffect[] {
    const stage = this.#plan.stages.find((s) => s.peer.id === node.id)
    // A node outside the plan may have a higher epoch, from another coordinator or from before
    // our memory. It must not disturb the ring. It counts when the next plan is made.
    const { epoch } = this.#plan
    // It refuses our plan as older. One that is far off follows it.
    const ahead = isOlder(epoch, node.epoch)
    const again = node.epoch !== epoch && !ahead ? [this.#desire(node.id)] : []
    if (!stage) return again
    if (ahead) return this.#replan(nextEpoch(node.epoch))
    const relocated = this.#relocate()
    return relocated.length > 0 ? relocated : again
  }

  /**
   * Plans anew if nodes have moved. A ring that works is left alone as long as each node can
   * still be reached where it was: one more address, or one less of several, ends no request.
   */
  #relocate(): CoordinatorEffect[] {
    const starter = this.#roster.states.get(this.#plan.stages[0]?.peer.id ?? '')
    const broken =
      starter?.state === 'online' &&
      starter.epoch === this.#plan.epoch &&
      starter.ring?.whole === false
    const usable = new Map(this.#roster.usable.map((n) => [n.id, peerOf(n)]))
    let moved = false
    const stages = this.#plan.stages.map((stage) => {
      const now = usable.get(stage.peer.id)
      if (!now || !(hasMoved(stage.peer, now) || (broken && !samePeer(stage.peer, now))))
        return stage
      moved = true
      return { ...stage, peer: now }
    })
    return moved ? this.#setPlan({ ...this.#plan, stages, epoch: nextEpoch(this.#plan.epoch) }) : []
  }

  #desire(node: string): CoordinatorEffect {
    const { cluster } = this.#options
    const desired = desiredOf(this.#plan, node, cluster, this.#peer, this.#roster.usable)
    return { kind: 'desire', node, desired }
  }

  #desireAll(): CoordinatorEffect[] {
    if (this.#plan.epoch === 0) return []
    const ids = new Set([...this.#plan.stages.map((s) => s.peer.id), ...this.#roster.states.keys()])
    return [...ids].map((id) => this.#desire(id))
  }

  /** The same split under a new epoch. */
  #replan(epoch: number): CoordinatorEffect[] {
    return this.#setPlan({ ...this.#plan, epoch })
  }

  /** @throws MdiError `bad-value` for a plan that could not be read again */
  #setPlan(plan: Plan): CoordinatorEffect[] {
    checkPlan(plan)
    this.#plan = plan
    return [{ kind: 'keep', plan }, { kind: 'plan', plan }, ...this.#desireAll()]
  }

  get #nextEpoch(): number {
    const seen = this.#roster.usable.map((n) => n.epoch)
    return epochAfter(this.#plan.epoch, seen)
  }

  #load(reply: string, request: VerbRequest<'load'>, model: LoadModel): CoordinatorEffect[] {
    return this.#orRefuse(reply, () => {
      const { nodes, stages } = this.#split(request, model)
      const byId = new Map(nodes.map((n) => [n.id, n]))
      const plan: Plan = {
        epoch: this.#nextEpoch,
        model: model.reference,
        stages: stages.map(({ node, first, end }) => ({
          peer: peerOf(byId.get(node) as Online),
          first,
          end,
        })),
        arithmetic: request.arithmetic ?? 'fast',
        wire: request.wire ?? (request.arithmetic === 'exact' ? 'fp32' : 'fp16'),
        context: model.context,
      }
      const effects = [...this.#setPlan(plan), ...this.#unused(nodes)]
      const superseded = this.#refuseWaiting('Another model was loaded meanwhile.')
      this.#waiting.push(reply)
      return [...superseded, ...effects]
    })
  }

  #unused(nodes: readonly Online[]): CoordinatorEffect[] {
    const message = leftOut(nodes, this.#plan)
    return message === undefined ? [] : [{ kind: 'log', level: 'info', message }]
  }

  #orRefuse(reply: string, work: () => CoordinatorEffect[]): CoordinatorEffect[] {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof MdiError)) throw error
      return [{ kind: 'refused', reply, error }]
    }
  }

  /** Answers those who wait for a load that another plan has replaced. */
  #refuseWaiting(why: string): CoordinatorEffect[] {
    const error = new MdiError('cancelled', why)
    return this.#waiting.splice(0).map((reply) => ({ kind: 'refused', reply, error }))
  }

  #split(request: VerbRequest<'load'>, model: LoadModel) {
    const nodes = this.#roster.choose(request.nodes)
    const stages = partition(model.manifest.name, modelCost(model.manifest), planNodes(nodes), {
      positions: Math.min(model.context, PLANNED_POSITIONS),
      ...(request.layers && { layers: request.layers }),
      named: request.nodes !== undefined,
    })
    return { nodes, stages }
  }

  /** How a load would spread a model. @throws MdiError for the reasons that refuse a load */
  preview(request: VerbRequest<'load'>, model: LoadModel): VerbData<'plan'> {
    const { nodes, stages } = this.#split(request, model)
    return {
      model: model.manifest.name,
      context: model.context,
      stages: stages.map(({ node, first, end, memoryBytes }) => ({
        ...{ node, first, end, bytes: memoryBytes },
        memoryBytes: nodes.find((n) => n.id === node)?.profile.memoryBytes ?? 0,
      })),
    }
  }

  /** A node that is online. @throws MdiError `not-found` */
  online(id: string): Online {
    return this.#roster.online(id)
  }

  /** @throws MdiError where a node is unknown, still there or part of the plan */
  checkRemovable(id: string): void {
    this.#roster.checkGone(id)
    if (this.#plan.stages.some((s) => s.peer.id === id))
      throw new MdiError(
        'bad-value',
        `Node ${id} holds layers of ${this.#plan.model?.name}; unload it, or load it on others, first.`,
      )
  }

  /** Whoever waits for a load is told when nothing has changed for long. The plan stays. */
  #tick(now: number): CoordinatorEffect[] {
    if (this.#waiting.length === 0) {
      this.#stood = ''
      return []
    }
    const { reason = '' } = this.health
    const steps = [...this.#roster.states.values()].map((n) => n.state === 'online' && n.assignment)
    const stands = JSON.stringify([this.#plan.epoch, reason, steps])
    if (stands !== this.#stood) {
      this.#stood = stands
      this.#stoodSince = now
    }
    if (now - this.#stoodSince < limits.loadQuietMs) return []
    const quiet = `Nothing has changed for ${limits.loadQuietMs / 1000} s. ${reason}`.trim()
    const error = new MdiError('not-ready', `${quiet} The ring goes on by itself when it can.`)
    return this.#waiting.splice(0).map((reply) => ({ kind: 'refused', reply, error }))
  }

  #unload(reply: string): CoordinatorEffect[] {
    return this.#orRefuse(reply, () => {
      const model = this.#plan.model?.name ?? null
      return [
        ...this.#setPlan(emptyPlan(this.#nextEpoch)),
        ...this.#refuseWaiting('The model was unloaded meanwhile.'),
        { kind: 'unloaded', reply, data: { model } },
      ]
    })
  }

  #answerWaiting(): CoordinatorEffect[] {
    if (this.#waiting.length === 0 || !this.#plan.model) return []
    const health = this.health
    if (health.ring === 'ready') {
      const data = { model: this.#plan.model.name, stages: this.stages }
      return this.#waiting.splice(0).map((reply) => ({ kind: 'loaded', reply, data }))
    }
    const failed = this.#plan.stages
      .map((s) => this.#roster.states.get(s.peer.id))
      .find(
        (n) =>
          n?.state === 'online' &&
          n.epoch === this.#plan.epoch &&
          n.assignment.phase === 'failed' &&
          n.assignment.lasting === true,
      ) as Online | undefined
    if (!failed) return []
    const error = new MdiError(
      'not-ready',
      sentence(`Node ${failed.id}: ${failed.assignment.error ?? 'it failed'}`),
    )
    return this.#waiting.splice(0).map((reply) => ({ kind: 'refused', reply, error }))
  }

  get stages(): BridgeInfo['stages'] {
    return this.#plan.stages.map(({ peer, first, end }) => ({ node: peer.id, first, end }))
  }

  /** Whether the ring works, and if not, what it waits for, in a sentence. */
  get health(): Pick<BridgeHealth, 'ring' | 'reason'> {
    return healthOf(this.#plan, this.#roster.states, (node) => this.#roster.misfit(node))
  }

  /** Every node that was ever seen, for `status`. */
  get nodes(): VerbData<'status'>['nodes'] {
    return this.#roster.list
  }

  get info(): BridgeInfo {
    const { version, protocol, cluster } = this.#options
    return {
      version,
      protocol,
      cluster,
      coordinator: this.#peer,
      epoch: this.#plan.epoch,
      model: this.#plan.model,
      stages: this.stages,
      ...(this.#plan.model && { context: this.#plan.context }),
    }
  }
}
