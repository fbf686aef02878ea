import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ModelSpec } from '../../services/model/spec.ts'
import { aloneBytes, type ModelCost, modelCost, processBytes } from '../../services/plan/cost.ts'
import { boardMemory, fitOf } from '../../services/plan/fits.ts'

/** Eight layers of 100, a head of 40, and one byte of cache a layer and position. */
const cost: ModelCost = { layers: Array(8).fill(100), head: 40, kvPosition: 1, layerWork: 0 }
const board = (memoryBytes: number, i: number) => ({
  id: `b${i}`,
  memoryBytes,
  speed: 1,
  host: `h${i}`,
})
const boards = (...sizes: number[]) => sizes.map(board)

test('memory a board is that of the fullest board of the best even split, and the program', () => {
  const spec = { layers: 8, hidden: 32, heads: 2, kvHeads: 1, headDim: 16, feedForward: 64 }
  const record = (layer: number) => ({ kind: 'layer' as const, layer, runtimeBytes: 1_000 })
  const model = {
    spec: { ...spec, vocab: 50, tiedHead: false } as ModelSpec,
    records: [
      { kind: 'head' as const, runtimeBytes: 40 },
      ...Array.from({ length: 8 }, (_, i) => record(i)),
    ],
  }
  const { layerWork, kvPosition } = modelCost(model)
  assert.equal(boardMemory(model, 1, 10), aloneBytes(model, 10))
  // Two boards: four layers each, and the head at one of them; two sequences, no tokenizer.
  const layer = 1_000 + layerWork + 20 * kvPosition
  assert.equal(boardMemory(model, 2, 10), processBytes + 4 * layer + 40)
  assert.equal(boardMemory(model, 9, 10), undefined)
})

test('what fits takes the fewest boards, and what does not says how many more', () => {
  assert.deepEqual(fitOf(cost, boards(920), 10), { kind: 'fits', boards: 1 })
  assert.deepEqual(fitOf(cost, boards(500, 919), 10), { kind: 'fits', boards: 2 })
  assert.deepEqual(fitOf(cost, boards(520), 10), { kind: 'more', boards: 1 })
  assert.deepEqual(fitOf(cost, boards(519), 10), { kind: 'more', boards: 2 })
  assert.deepEqual(fitOf(cost, boards(99), 10), { kind: 'too-large' })
  assert.deepEqual(fitOf(cost, [], 10), { kind: 'too-large' })
})
