import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ModelCost } from '../../services/plan/cost.ts'
import { boardMemory, fitOf } from '../../services/plan/fits.ts'

/** Eight layers of 100, a head of 40, and one byte of cache a layer and position. */
const cost: ModelCost = { layers: Array(8).fill(100), head: 40, kvPosition: 1 }
const board = (memoryBytes: number, i: number) => ({
  id: `b${i}`,
  memoryBytes,
  speed: 1,
  host: `h${i}`,
})
const boards = (...sizes: number[]) => sizes.map(board)

test('memory a board is that of the fullest board of the best even split', () => {
  assert.equal(boardMemory(cost, 1, 10), 8 * 100 + 40 + 8 * 10)
  // Two boards: four layers each, and the head at one of them; two sequences.
  assert.equal(boardMemory(cost, 2, 10), 4 * 100 + 40 + 4 * 20)
  assert.equal(boardMemory(cost, 9, 10), undefined)
})

test('what fits takes the fewest boards, and what does not says how many more', () => {
  assert.deepEqual(fitOf(cost, boards(920), 10), { kind: 'fits', boards: 1 })
  assert.deepEqual(fitOf(cost, boards(500, 919), 10), { kind: 'fits', boards: 2 })
  assert.deepEqual(fitOf(cost, boards(520), 10), { kind: 'more', boards: 1 })
  assert.deepEqual(fitOf(cost, boards(519), 10), { kind: 'more', boards: 2 })
  assert.deepEqual(fitOf(cost, boards(99), 10), { kind: 'too-large' })
  assert.deepEqual(fitOf(cost, [], 10), { kind: 'too-large' })
})
