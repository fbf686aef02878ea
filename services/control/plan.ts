/** The plan that a coordinator has made and keeps: who holds which layers. */
import { z } from 'zod'
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import type { PlanNode } from '../plan/partition.ts'
import {
  assignmentSchema,
  type Desired,
  modelReferenceSchema,
  type Online,
} from '../wire/control.ts'
import { checkValue } from '../wire/json.ts'
import { epochSchema, type Peer, peerSchema } from '../wire/values.ts'

const { first, end, arithmetic, wire, context } = assignmentSchema.shape

const planSchema = z
  .object({
    epoch: epochSchema,
    /** Null where nothing is to be loaded. */
    model: modelReferenceSchema.nullable(),
    /** Each with the addresses that its node had when the plan was made. */
    stages: z.array(z.object({ peer: peerSchema, first, end })).max(limits.stages),
    arithmetic,
    wire,
    context,
  })
  .refine((p) => (p.model === null) === (p.stages.length === 0), 'Model and stages do not agree')
  .refine(
    (p) => new Set(p.stages.map((s) => s.peer.id)).size === p.stages.length,
    'A node stands in it twice',
  )
export type Plan = z.infer<typeof planSchema>

/** @throws MdiError `bad-value` for a plan that could not be followed or read again */
export const checkPlan = (plan: Plan): Plan => checkValue(plan, planSchema, 'the plan')

/** A plan as it was kept. @throws MdiError `bad-value` */
export const readPlan = (text: string): Plan => {
  try {
    return checkPlan(JSON.parse(text) as Plan)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new MdiError('bad-value', 'In the plan: this is no JSON.')
  }
}

export const emptyPlan = (epoch: number): Plan => ({
  epoch,
  model: null,
  stages: [],
  arithmetic: 'fast',
  wire: 'fp16',
  context: 1,
})

export const peerOf = (node: Online): Peer => ({
  id: node.id,
  addresses: node.addresses,
  port: node.port,
})

export const samePeer = (a: Peer, b: Peer): boolean =>
  a.id === b.id && a.port === b.port && JSON.stringify(a.addresses) === JSON.stringify(b.addresses)

const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1'

/** Whether a node that was at `planned` can no longer be reached there. */
export const hasMoved = (planned: Peer, now: Peer): boolean => {
  const outer = planned.addresses.filter((a) => !isLoopback(a))
  const known = outer.length > 0 ? outer : planned.addresses
  return planned.port !== now.port || !known.some((a) => now.addresses.includes(a))
}

/** The speed (weight bytes a second) of a node that has not measured its own. */
const UNKNOWN_SPEED = 1e9

/**
 * What the planner needs of the nodes' profiles. Nodes with the same processor count as
 * equally quick (their median): measuring takes moments, and noise must not skew a split.
 */
export const planNodes = (nodes: readonly Online[]): PlanNode[] =>
  nodes.map((node) => {
    const { memoryBytes, hostBytes, host, cpu, cores } = node.profile
    const alike = nodes.filter((n) => n.profile.cpu === cpu && n.profile.cores === cores)
    const speeds = alike.map((n) => n.profile.speed.q4 ?? UNKNOWN_SPEED).sort((a, b) => a - b)
    const speed = speeds[speeds.length >> 1] as number
    return { id: node.id, memoryBytes, ...(hostBytes !== undefined && { hostBytes }), host, speed }
  })

/** A node that may have weights in its store. */
type Holder = Pick<Online, 'id' | 'addresses' | 'port' | 'held'>

/** How many of the layers `first` to `end − 1` a node has. */
const overlap = ({ held }: Holder, manifest: string, first: number, end: number): number =>
  held
    .filter((h) => h.manifest === manifest)
    .flatMap((h) => h.ranges)
    .reduce((sum, [from, to]) => sum + Math.max(0, Math.min(end, to) - Math.max(first, from)), 0)

/**
 * Where a node is to fetch its layers. First from nodes that say they have them, those with the
 * most first, so that the coordinator need not send everything. Then from the coordinator,
 * which always has manifest and weights. Then from the rest of the ring, which may get them.
 */
const sourcesOf = (
  plan: Plan,
  stage: Plan['stages'][number],
  coordinator: Peer,
  holders: readonly Holder[],
): Peer[] => {
  const { model, stages } = plan
  const has = (holder: Holder) => overlap(holder, model?.manifest ?? '', stage.first, stage.end)
  const holding = holders
    .filter((h) => h.id !== stage.peer.id && has(h) > 0)
    .sort((a, b) => has(b) - has(a) || (a.id < b.id ? -1 : 1))
    .map(({ id, addresses, port }): Peer => ({ id, addresses, port }))
  const known = new Set([stage.peer.id, ...holding.map((h) => h.id)])
  const others = stages.map((s) => s.peer).filter((peer) => !known.has(peer.id))
  // However many nodes have something, one place is left for the coordinator.
  const before = holding.slice(0, limits.sources - 1)
  return [...before, coordinator, ...others].slice(0, limits.sources)
}

/**
 * What is desired of a node under a plan.
 * @param coordinator where manifest and weights can be had in any case
 * @param holders nodes that are online, whose stores may serve as well
 */
export const desiredOf = (
  plan: Plan,
  node: string,
  cluster: string,
  coordinator: Peer,
  holders: readonly Holder[] = [],
): Desired => {
  const stage = plan.stages.findIndex((s) => s.peer.id === node)
  const own = plan.stages[stage]
  if (!own || !plan.model) return { epoch: plan.epoch, cluster, assignment: null }
  const count = plan.stages.length
  const at = (i: number) => plan.stages[(i + count) % count]?.peer
  return {
    epoch: plan.epoch,
    cluster,
    assignment: {
      model: plan.model,
      first: own.first,
      end: own.end,
      stage,
      stages: count,
      starter: stage === 0,
      next: count === 1 ? null : (at(stage + 1) ?? null),
      previous: count === 1 ? null : (at(stage - 1)?.id ?? null),
      sources: sourcesOf(plan, own, coordinator, holders),
      arithmetic: plan.arithmetic,
      wire: plan.wire,
      context: plan.context,
    },
  }
}
