import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Manifest, RecordRef } from '../../services/model/spec.ts'
import { LAYER_OVERHEAD, modelCost } from '../../services/plan/cost.ts'

const record = (kind: RecordRef['kind'], runtimeBytes: number, layer?: number) =>
  ({ kind, runtimeBytes, ...(layer !== undefined && { layer }) }) as RecordRef

const manifest = (tiedHead: boolean): Manifest =>
  ({
    name: 'tiny',
    spec: { layers: 2, kvHeads: 4, headDim: 64, tiedHead },
    records: [
      record('embedding', 7_000),
      record('layer', 100, 0),
      record('layer', 200, 1),
      record('head', 3_000),
    ],
  }) as unknown as Manifest

test('a layer costs its runtime bytes and its session; KV is fp32, keys and values', () => {
  const cost = modelCost(manifest(false))
  assert.deepEqual(cost.layers, [100 + LAYER_OVERHEAD, 200 + LAYER_OVERHEAD])
  assert.equal(cost.kvPosition, 4 * 64 * 2 * 4)
})

test('the embedding costs no memory, unless the head is tied to it', () => {
  assert.equal(modelCost(manifest(false)).head, 3_000)
  assert.equal(modelCost(manifest(true)).head, 10_000)
})
