/**
 * Splits a model's layers over the ring's nodes so that the slowest stage is as quick as
 * can be, within each node's memory. A stage's time for a token is the bytes that it reads
 * divided by the node's measured speed.
 */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { mb } from '../units.ts'
import type { ModelCost } from './cost.ts'

/** What the planner knows of a node. */
export type PlanNode = {
  id: string
  /** Memory that it can give: its machine's, or less where a person has bounded it. */
  memoryBytes: number
  /** Memory of its machine, which nodes with the same host share; absent: `memoryBytes`. */
  hostBytes?: number
  /** Weight bytes that it computes in a second. */
  speed: number
  /** Nodes with the same host share its memory. */
  host: string
}

/** One stage: layers `first` to `end − 1`; stage 0 is the starter. */
export type PlanStage = { node: string; first: number; end: number; memoryBytes: number }

export type PlanOptions = {
  /** Positions reserved for each of the sequences that keep the ring busy. */
  positions: number
  /** Layers of each node by hand, in the nodes' order; the first node is the starter. */
  layers?: readonly number[]
  /**
   * A person named the nodes. Then too many of them are refused instead of left out, and slow
   * ones stay.
   */
  named?: boolean
}

/** A split, and the time that its slowest stage takes for a token, in seconds. */
type Split = { time: number; stages: PlanStage[] }

/** Sums of the layers' bytes before each layer, once for each model. */
const prefixes = new WeakMap<ModelCost, number[]>()
const weightsOf = (cost: ModelCost, first: number, end: number): number => {
  let sums = prefixes.get(cost)
  if (!sums) {
    sums = [0]
    for (const bytes of cost.layers) sums.push((sums.at(-1) as number) + bytes)
    prefixes.set(cost, sums)
  }
  return (sums[end] as number) - (sums[first] as number)
}

/** Memory of a layer beside its weights: working memory, and KV for so many sequences. */
const beside = (cost: ModelCost, sequences: number, positions: number): number =>
  cost.layerWork + cost.kvPosition * positions * sequences

/** Memory of a stage: weights, and KV for as many sequences as there are stages. */
const stageMemory = (
  cost: ModelCost,
  first: number,
  end: number,
  starter: boolean,
  sequences: number,
  positions: number,
): number => {
  const weights = weightsOf(cost, first, end)
  const more = (end - first) * beside(cost, sequences, positions)
  return weights + more + (starter ? cost.head : 0)
}

/**
 * Plans the ring over the given nodes. Left out are: the slowest, where there are more nodes
 * than layers or than a ring may have; nodes that have no room for a single layer; and, unless
 * a person named the nodes, slow ones without which the ring is quicker.
 * Errors: `out-of-memory` with the figures, `bad-value`.
 */
export const partition = (
  model: string,
  cost: ModelCost,
  nodes: readonly PlanNode[],
  options: PlanOptions,
): PlanStage[] => {
  if (nodes.length === 0) throw new MdiError('not-ready', 'No node is there to hold the model.')
  if ((options.named || options.layers) && nodes.length > limits.stages)
    throw new MdiError(
      'bad-value',
      `A ring has ${limits.stages} nodes at most; ${nodes.length} are given.`,
    )
  if (options.layers) return byHand(model, cost, nodes, options.layers, options.positions)
  const most = Math.min(cost.layers.length, limits.stages)
  const usable = [...nodes].sort((a, b) => b.speed - a.speed).slice(0, most)
  const given = nodes.filter((n) => usable.includes(n))
  let order = given
  while (order.length > 0) {
    const best = bestRing(cost, order, options.positions)
    if (best)
      return (options.named ? best : withoutSlow(cost, order, options.positions, best)).stages
    const roomy = withRoom(cost, order, options.positions)
    if (roomy.length === order.length) break
    order = roomy
  }
  throw notEnough(model, cost, given, options.positions)
}

/** The best split over all of the nodes, with any of them as starter; undefined if none fits. */
const bestRing = (
  cost: ModelCost,
  order: readonly PlanNode[],
  positions: number,
): Split | undefined => {
  let best: Split | undefined
  for (const starter of order) {
    const ring = [starter, ...order.filter((n) => n !== starter)]
    const split = bestSplit(cost, ring, memoryShares(ring), positions)
    // Another starter must be clearly better, so that equal nodes keep their order.
    if (split && (!best || split.time < best.time * 0.999)) best = split
  }
  return best
}

/**
 * The quickest ring with the slowest nodes left out, or the given one. Nodes of one speed are
 * left out together: as long as one of them stays, it holds the ring up just as much.
 */
const withoutSlow = (
  cost: ModelCost,
  order: readonly PlanNode[],
  positions: number,
  all: Split,
): Split => {
  let best = all
  const speeds = [...new Set(order.map((n) => n.speed))].sort((a, b) => a - b)
  for (const least of speeds.slice(1)) {
    const quick = order.filter((n) => n.speed >= least)
    const split = bestRing(cost, quick, positions)
    if (split && split.time < best.time * 0.999) best = split
  }
  return best
}

/** The nodes that have room for the smallest layer at least. */
const withRoom = (cost: ModelCost, order: readonly PlanNode[], positions: number): PlanNode[] => {
  const least = Math.min(...cost.layers) + beside(cost, order.length, positions)
  const shares = memoryShares(order)
  return order.filter((_, i) => (shares[i] as number) >= least)
}

/**
 * Memory that each node may take. A host's memory is divided among its nodes. Where one of them
 * has a limit below its share, the others get the rest.
 */
const memoryShares = (ring: readonly PlanNode[]): number[] => {
  const shares = new Map<PlanNode, number>()
  for (const host of new Set(ring.map((n) => n.host))) {
    const mates = ring.filter((n) => n.host === host)
    let left = Math.max(...mates.map((m) => m.hostBytes ?? m.memoryBytes))
    mates
      .sort((a, b) => a.memoryBytes - b.memoryBytes)
      .forEach((m, i) => {
        const share = Math.min(m.memoryBytes, left / (mates.length - i))
        shares.set(m, share)
        left -= share
      })
  }
  return ring.map((n) => shares.get(n) as number)
}

/**
 * Dynamic programming over (stages, layers): the least time of the slowest stage, and of
 * those the most even split.
 */
const bestSplit = (
  cost: ModelCost,
  ring: readonly PlanNode[],
  memory: readonly number[],
  positions: number,
): Split | undefined => {
  const layers = cost.layers.length
  const count = ring.length
  type Cell = { time: number; squares: number; from: number } | undefined
  const table: Cell[][] = Array.from({ length: count + 1 }, () => new Array(layers + 1))
  const start = table[0] as Cell[]
  start[0] = { time: 0, squares: 0, from: 0 }
  for (let s = 1; s <= count; s++) {
    const node = ring[s - 1] as PlanNode
    for (let end = s; end <= layers - (count - s); end++) {
      for (let first = s - 1; first < end; first++) {
        const before = table[s - 1]?.[first]
        if (!before) continue
        const need = stageMemory(cost, first, end, s === 1, count, positions)
        if (need > (memory[s - 1] as number)) continue
        const bytes = need - (end - first) * beside(cost, count, positions)
        const stage = bytes / node.speed
        const time = Math.max(before.time, stage)
        const squares = before.squares + stage * stage
        const cell = table[s]?.[end]
        if (!cell || time < cell.time || (time === cell.time && squares < cell.squares))
          (table[s] as Cell[])[end] = { time, squares, from: first }
      }
    }
  }
  const last = table[count]?.[layers]
  if (!last) return undefined
  const stages: PlanStage[] = []
  let end = layers
  for (let s = count; s >= 1; s--) {
    const { from } = (table[s] as Cell[])[end] as NonNullable<Cell>
    const memoryBytes = stageMemory(cost, from, end, s === 1, count, positions)
    stages.unshift({ node: (ring[s - 1] as PlanNode).id, first: from, end, memoryBytes })
    end = from
  }
  return { time: last.time, stages }
}

const byHand = (
  model: string,
  cost: ModelCost,
  nodes: readonly PlanNode[],
  layers: readonly number[],
  positions: number,
): PlanStage[] => {
  const total = layers.reduce((a, b) => a + b, 0)
  if (layers.length !== nodes.length)
    throw new MdiError(
      'bad-value',
      `Layers are given for ${layers.length} nodes, but ${nodes.length} nodes are named.`,
    )
  if (total !== cost.layers.length || layers.some((n) => n < 1))
    throw new MdiError(
      'bad-value',
      `${model} has ${cost.layers.length} layers; ${layers.join(' + ')} is ${total}. Every node needs one at least.`,
    )
  const memory = memoryShares(nodes)
  let first = 0
  return nodes.map((node, s) => {
    const end = first + (layers[s] as number)
    const need = stageMemory(cost, first, end, s === 0, nodes.length, positions)
    if (need > (memory[s] as number))
      throw new MdiError(
        'out-of-memory',
        `${end - first} layers of ${model} need ${mb(need)} on node ${node.id}, which can give ${mb(memory[s] as number)}.`,
      )
    const stage = { node: node.id, first, end, memoryBytes: need }
    first = end
    return stage
  })
}

const notEnough = (
  model: string,
  cost: ModelCost,
  nodes: readonly PlanNode[],
  positions: number,
): MdiError => {
  const need = stageMemory(cost, 0, cost.layers.length, true, nodes.length, positions)
  const shares = memoryShares(nodes)
  const given = shares.reduce((a, b) => a + b, 0)
  const list = nodes.map((n, i) => `${n.id} ${mb(shares[i] as number)}`).join(', ')
  const advice =
    need > given
      ? 'Add a board, or load a smaller model or context.'
      : 'No split fits every node; add a board, or load a smaller model or context.'
  return new MdiError(
    'out-of-memory',
    `${model} needs ${mb(need)} (weights, working memory, and ${positions} positions for ${nodes.length} sequences); the nodes can give ${mb(given)}: ${list}. ${advice}`,
  )
}
