/** Which models fit which boards, by the planner's own arithmetic, before anything is loaded. */
import { MdiError } from '../errors.ts'
import { aloneBytes, type Costed, type ModelCost, modelCost, processBytes } from './cost.ts'
import { type PlanNode, type PlanStage, partition } from './partition.ts'

/** Whether a model fits the boards that are there. */
export type Fit =
  /** It fits. So many of the boards are needed. */
  | { kind: 'fits'; boards: number }
  /** So many boards would have to be added, each like the smallest that is there. */
  | { kind: 'more'; boards: number }
  | { kind: 'too-large' }

/** Nobody is told to buy more boards than this. */
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
 * Memory that the fullest of so many equal boards needs for a model, the program's own included;
 * undefined where the model has fewer layers than that. A single board also turns tokens into
 * text, for which it needs the tokenizer. Of several boards none needs it.
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
