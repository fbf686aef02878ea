/** What fits which boards: the planner's own arithmetic, asked before anything is loaded. */
import { MdiError } from '../errors.ts'
import { aloneBytes, type Costed, type ModelCost, modelCost, processBytes } from './cost.ts'
import { type PlanNode, type PlanStage, partition } from './partition.ts'

/** How a model stands to the boards that are there. */
export type Fit =
  /** With the boards present, of which so many are needed. */
  | { kind: 'fits'; boards: number }
  /** Boards that would have to be added, each like the smallest present. */
  | { kind: 'more'; boards: number }
  | { kind: 'too-large' }

/** Beyond so many further boards, nobody is told to buy them. */
const MOST_MORE = 8

const tryPlan = (
  cost: ModelCost,
  boards: readonly PlanNode[],
  positions: number,
): PlanStage[] | undefined => {
  try {
    return partition('', cost, boards, { positions })
  } catch (error) {
    if (error instanceof MdiError) return undefined
    throw error
  }
}

/**
 * Memory that the fullest board needs, the program's own included, when a model is spread over
 * so many equal ones; undefined where it has fewer layers than that. A board alone makes text
 * of tokens, too; of several, none needs to.
 * @param positions of each sequence; there are as many sequences as boards
 */
export const boardMemory = (
  model: Costed,
  boards: number,
  positions: number,
): number | undefined => {
  if (boards === 1) return aloneBytes(model, positions)
  const cost = modelCost(model)
  if (boards > cost.layers.length) return undefined
  const equal = Array.from({ length: boards }, (_, i): PlanNode => {
    return { id: `${i}`, memoryBytes: Number.MAX_SAFE_INTEGER, speed: 1, host: `${i}` }
  })
  const stages = tryPlan(cost, equal, positions)
  return stages && processBytes + Math.max(...stages.map((s) => s.memoryBytes))
}

/** Whether a model fits the boards, and if not, how many more would do. */
export const fitOf = (cost: ModelCost, boards: readonly PlanNode[], positions: number): Fit => {
  const bySize = [...boards].sort((a, b) => b.memoryBytes - a.memoryBytes)
  for (let n = 1; n <= bySize.length; n++)
    if (tryPlan(cost, bySize.slice(0, n), positions)) return { kind: 'fits', boards: n }
  const smallest = bySize.at(-1)
  if (!smallest) return { kind: 'too-large' }
  const all = [...bySize]
  for (let n = 1; n <= MOST_MORE; n++) {
    all.push({ ...smallest, id: `+${n}`, host: `+${n}` })
    if (tryPlan(cost, all, positions)) return { kind: 'more', boards: n }
  }
  return { kind: 'too-large' }
}
