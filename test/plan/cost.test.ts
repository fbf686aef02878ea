import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Mix, sketch } from '../../services/model/sketch.ts'
import type { Manifest, ModelSpec, RecordRef } from '../../services/model/spec.ts'
import { aloneBytes, modelCost, ownerBytes, processBytes } from '../../services/plan/cost.ts'

const record = (kind: RecordRef['kind'], runtimeBytes: number, layer?: number) =>
  ({ kind, runtimeBytes, ...(layer !== undefined && { layer }) }) as RecordRef

const manifest = (tiedHead: boolean): Manifest =>
  ({
    name: 'tiny',
    spec: {
      layers: 2,
      hidden: 512,
      heads: 8,
      kvHeads: 4,
      headDim: 64,
      feedForward: 1_024,
      vocab: 10,
      tiedHead,
    },
    records: [
      record('embedding', 7_000),
      record('layer', 100, 0),
      record('layer', 200, 1),
      record('head', 3_000),
    ],
    text: { tokenizer: { model: { merges: ['a b', 'c d'] } } },
  }) as unknown as Manifest

test('a layer costs its runtime bytes; KV is fp32, keys and values', () => {
  const cost = modelCost(manifest(false))
  assert.deepEqual(cost.layers, [100, 200])
  assert.equal(cost.kvPosition, 4 * 64 * 2 * 4)
})

test('the embedding costs no memory, unless the head is tied to it', () => {
  assert.equal(modelCost(manifest(false)).head, 3_000)
  assert.equal(modelCost(manifest(true)).head, 10_000)
})

test('a layer works with its widths: residual stream, Q with K and V, feed-forward', () => {
  const wide = (more: Partial<ModelSpec>) => {
    const { spec, records } = manifest(false)
    return modelCost({ spec: { ...spec, ...more }, records }).layerWork
  }
  const base = wide({})
  const step = wide({ hidden: 513 }) - base
  assert.ok(step > 0)
  assert.equal(wide({ feedForward: 1_025 }) - base, step)
  assert.equal(wide({ kvHeads: 5 }) - base, 2 * 64 * step)
})

test('who makes text of tokens has the program and the tokenizer, by tokens and merges', () => {
  const { spec, text } = manifest(false)
  const { records } = manifest(false)
  const entry = (ownerBytes(manifest(false)) - processBytes) / 12
  assert.ok(entry > 0)
  assert.equal(ownerBytes({ spec, records }) - processBytes, 20 * entry)
  const light = { ...text, tokenizer: null }
  assert.equal(ownerBytes({ spec, records, text: light }) - processBytes, 20 * entry)
  assert.equal(
    aloneBytes(manifest(false), 10),
    ownerBytes(manifest(false)) + 300 + 3_000 + 2 * (modelCost(manifest(false)).layerWork + 20_480),
  )
})

/** A model as a chat of so many positions loads it. */
const said = (shape: Partial<ModelSpec>, mix: Mix, merges: number, positions: number): number => {
  const spec = { context: 2_048, ...shape } as ModelSpec
  const tokenizer = { model: { merges: new Array(merges) } }
  return aloneBytes({ ...sketch(spec, mix), text: { tokenizer } }, positions)
}

test('what is said is within a fifth of the anonymous memory that was measured in a chat', () => {
  const smol = { layers: 30, hidden: 576, heads: 9, kvHeads: 3, headDim: 64, feedForward: 1_536 }
  const tied = { tiedHead: true }
  const gemma = { layers: 18, hidden: 640, heads: 4, kvHeads: 1, headDim: 256, feedForward: 2_048 }
  const large = { layers: 22, hidden: 2_048, heads: 32, kvHeads: 4, headDim: 64 }
  const open = { feedForward: 5_632, vocab: 32_000, tiedHead: false }
  // Measured in Q4_0, which has no offsets; the sketch is of Q4_1.
  const offsets = (22 * (2 * 2_048 ** 2 + 512 * 2_048 + 3 * 2_048 * 5_632)) / 8
  const rows: [string, number, number][] = [
    ['SmolLM2-135M', said({ ...smol, ...tied, vocab: 49_152 }, 'Q4_1', 48_900, 160), 356e6],
    ['Gemma 3 270M', said({ ...gemma, ...tied, vocab: 262_144 }, 'Q8_0', 514_906, 160), 726e6],
    ['1.1B', said({ ...large, ...open }, 'Q4_1', 31_737, 280) - offsets, 1_249e6],
  ]
  for (const [name, is, was] of rows)
    assert.ok(Math.abs(is / was - 1) < 0.2, `${name}: ${is / 1e6} MB said, ${was / 1e6} measured`)
})
