/** The engine on small random models, in the exact arithmetic, against plain loops. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TypedValue } from '../../../services/model/ggufwriter.ts'
import { memorySource } from '../../../services/model/source.ts'
import type { RandomOptions, RandomShape } from '../../../services/model/synthetic.ts'
import { largestDifference, open, rows, score, testModel, withEngine } from '../../fakes/engine.ts'
import { familyShapes } from '../../fakes/model.ts'
import { logSoftmax, ReferenceModel } from '../../model/forward.ts'

const prompt = [7, 250, 31, 99, 4, 180, 222, 15, 66, 3, 290, 41]
const LIMIT = 1e-3

/** Largest difference between the engine's log-probabilities and the plain forward pass's. */
const difference = async (
  shape: Partial<RandomShape>,
  options: RandomOptions,
  q8: 'q8' | 'q8split' = 'q8split',
): Promise<number> => {
  const model = await testModel(shape, options)
  const reference = await ReferenceModel.open(memorySource(model.file))
  const want = reference.forward(prompt).map((logits) => logSoftmax(logits))
  const { vocab } = model.manifest.spec
  return withEngine(model, { q8 }, async (engine) => {
    const have = await score(engine, vocab, [open(1)], [rows(1, 0, prompt.length)], prompt)
    assert.equal(have.length, want.length)
    return Math.max(...have.map((row, i) => largestDifference(row, want[i] as unknown as number[])))
  })
}

const types = [
  'F32',
  'F16',
  'BF16',
  'Q8_0',
  'Q4_0',
  'Q4_1',
  'Q5_0',
  'Q5_1',
  'Q2_K',
  'Q3_K',
  'Q4_K',
  'Q5_K',
  'Q6_K',
  'IQ4_NL',
]
for (const type of types) {
  test(`a model of ${type} computes as its definition reads`, async () => {
    const worst = await difference({}, { type })
    assert.ok(worst <= LIMIT, `${worst}`)
  })
}

test('caps that a file names count in a family that has none by itself', async () => {
  const cap = (value: number): TypedValue => ({ type: 'f32', value })
  const keys = {
    'gemma3.attn_logit_softcapping': cap(0.5),
    'gemma3.final_logit_softcapping': cap(2),
  }
  const worst = await difference(familyShapes.gemma3 ?? {}, { type: 'Q8_0', keys })
  assert.ok(worst <= LIMIT, `${worst}`)
})

for (const [family, shape] of Object.entries(familyShapes)) {
  test(`a model of the family ${family} computes as its definition reads`, async () => {
    // RoPE factors are half as many as a head is wide.
    const wide = shape.ropeFactors && { headDim: 2 * shape.ropeFactors.length }
    const worst = await difference({ ...shape, ...wide }, { type: 'Q8_0' })
    assert.ok(worst <= LIMIT, `${worst}`)
  })
}

test('8 bits as one product and as two compute the same', async () => {
  for (const q8 of ['q8', 'q8split'] as const) {
    const worst = await difference({}, { type: 'Q8_0', types: { ffn_down: 'Q6_K' } }, q8)
    assert.ok(worst <= LIMIT, `${q8}: ${worst}`)
  }
})

test('matrices of different types stand beside each other in a layer', async () => {
  const types = { attn_v: 'Q6_K', ffn_up: 'F16', ffn_down: 'Q5_1', token_embd: 'Q6_K' }
  const worst = await difference({}, { type: 'Q4_K', types })
  assert.ok(worst <= LIMIT, `${worst}`)
})

test('a tied head, full attention heads, other RoPE factors and an odd head width', async () => {
  const shapes: Partial<RandomShape>[] = [
    { tiedHead: true },
    { kvHeads: 8 },
    { kvHeads: 1 },
    { theta: 500_000, ropeFactors: Array.from({ length: 16 }, (_, i) => 1 + i / 2) },
    { headDim: 48 },
    { layers: 5 },
  ]
  for (const shape of shapes) {
    const worst = await difference(shape, { type: 'Q8_0' })
    assert.ok(worst <= LIMIT, `${JSON.stringify(shape)}: ${worst}`)
  }
})

test('rounded weights are near the file', async () => {
  for (const [rounding, bound] of [
    ['Q8_0', 0.1],
    ['Q4_1', 1.5],
  ] as const) {
    const model = await testModel({}, { type: 'F16' }, rounding)
    const reference = await ReferenceModel.open(memorySource(model.file))
    const want = logSoftmax(reference.forward(prompt).at(-1) as Float32Array)
    const { vocab } = model.manifest.spec
    const [have] = await withEngine(model, {}, (engine) =>
      score(engine, vocab, [open(1)], [rows(1, 0, prompt.length, 1)], prompt),
    )
    const worst = largestDifference(have as number[], want as unknown as number[])
    assert.ok(worst > LIMIT && worst < bound, `${rounding}: ${worst}`)
  }
})
