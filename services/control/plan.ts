/** The plan that a coordinator has made and keeps: who holds which layers. */
import type { PlanNode } from '../plan/partition.ts'
import type { Assignment, Desired, ModelReference, Online } from '../wire/control.ts'
import type { Peer } from '../wire/values.ts'

/** A stage and where its node was when the plan was made. */
export type PlannedStage = { peer: Peer; first: number; end: number }

export type Plan = {
  epoch: number
  /** Null: nothing is to be loaded. */
  model: ModelReference | null
  stages: PlannedStage[]
  arithmetic: Assignment['arithmetic']
  wire: Assignment['wire']
  context: number
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

/** Weight bytes a second that stand for a node which measured nothing. */
const UNKNOWN_SPEED = 1e9

/**
 * What the planner needs of the nodes' profiles. Nodes with the same processor count as
 * equally quick (their median): measuring takes moments, and noise must not skew a split.
 */
export const planNodes = (nodes: readonly Online[]): PlanNode[] =>
  nodes.map((node) => {
    const { memoryBytes, host, cpu, cores } = node.profile
    const alike = nodes.filter((n) => n.profile.cpu === cpu && n.profile.cores === cores)
    const speeds = alike.map((n) => n.profile.speed.q4 ?? UNKNOWN_SPEED).sort((a, b) => a - b)
    return { id: node.id, memoryBytes, host, speed: speeds[speeds.length >> 1] as number }
  })

/**
 * What is desired of a node under a plan.
 * @param coordinator where manifest and weights can be had in any case
 */
export const desiredOf = (
  plan: Plan,
  node: string,
  cluster: string,
  coordinator: Peer,
): Desired => {
  const stage = plan.stages.findIndex((s) => s.peer.id === node)
  const own = plan.stages[stage]
  if (!own || !plan.model) return { epoch: plan.epoch, cluster, assignment: null }
  const count = plan.stages.length
  const at = (i: number) => plan.stages[(i + count) % count]?.peer
  const others = plan.stages.filter((s) => s !== own).map((s) => s.peer)
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
      sources: [coordinator, ...others],
      arithmetic: plan.arithmetic,
      wire: plan.wire,
      context: plan.context,
    },
  }
}
