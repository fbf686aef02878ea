/** How a ring stands by what its nodes tell, in sentences for a person. Pure. */
import { limits } from '../limits.ts'
import type { BridgeHealth, NodeState, Online } from '../wire/control.ts'
import type { Plan } from './plan.ts'

type Nodes = ReadonlyMap<string, NodeState>

/** A text that ends with exactly one full stop. */
export const sentence = (text: string): string => `${text.replace(/\.+$/, '')}.`

/** Why a node cannot be in a ring of this coordinator; undefined where it can. */
export const misfitOf = (
  node: Online,
  own: { cluster: string; version: string; protocol: number },
): string | undefined => {
  const { cluster, version, protocol } = own
  if (node.cluster !== cluster) return `Node ${node.id} is of another cluster, ${node.cluster}.`
  if (node.version !== version || node.protocol !== protocol)
    return `Node ${node.id} runs version ${node.version}, this coordinator ${version}: update the older of the two.`
  if (node.epoch >= limits.epochs)
    return `Node ${node.id} tells of plan ${node.epoch}, which no coordinator made: give it a new data folder, or remove what the broker retains of it.`
  return undefined
}

/** Names the nodes that are not used although they could be. */
export const leftOut = (nodes: readonly Online[], plan: Plan): string | undefined => {
  const used = new Set(plan.stages.map((s) => s.peer.id))
  const names = nodes.map((n) => n.id).filter((id) => !used.has(id))
  if (names.length === 0) return undefined
  return `Not used: ${names.join(', ')}. The ring is quicker without, or there is no room for a layer; \`mdi load --nodes\` names the nodes to use.`
}

/** Whether the ring works, and if not, what it waits for. */
export const healthOf = (
  plan: Plan,
  nodes: Nodes,
  misfit: (node: Online) => string | undefined,
): Pick<BridgeHealth, 'ring' | 'reason'> => {
  if (!plan.model) return { ring: 'idle' }
  for (const { peer } of plan.stages) {
    const reason = waitsFor(peer.id, plan, nodes.get(peer.id), misfit)
    if (reason) return { ring: 'waiting', reason }
  }
  const starter = nodes.get(plan.stages[0]?.peer.id ?? '')
  if (starter?.state === 'online' && starter.ring?.whole) return { ring: 'ready' }
  return { ring: 'waiting', reason: brokenLink(plan, nodes, starter) }
}

const waitsFor = (
  id: string,
  plan: Plan,
  node: NodeState | undefined,
  misfit: (node: Online) => string | undefined,
): string | undefined => {
  if (node?.state !== 'online') return `Node ${id} is offline.`
  const why = misfit(node)
  if (why) return why
  const { phase, progress, error } = node.assignment
  if (node.epoch !== plan.epoch) return `Node ${id} has not taken the plan yet.`
  if (phase === 'ready') return undefined
  if (phase === 'failed') return sentence(`Node ${id}: ${error ?? 'it failed'}`)
  const far = progress ? ` (${progress.step}, ${progress.done} of ${progress.total})` : ''
  return `Node ${id} is ${phase}${far}.`
}

const brokenLink = (plan: Plan, nodes: Nodes, starter: NodeState | undefined): string => {
  for (const { peer } of plan.stages) {
    const node = nodes.get(peer.id)
    if (node?.state !== 'online') continue
    const broken = node.links.find((l) => !l.up && l.direction === 'next')
    if (broken)
      return sentence(
        `Node ${peer.id} does not reach ${broken.peer}: ${broken.reason ?? 'no link'}`,
      )
  }
  const reason = starter?.state === 'online' ? starter.ring?.reason : undefined
  return reason ?? 'The links between the nodes are being made.'
}
