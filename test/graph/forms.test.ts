/** Every runtime form, through the real runtime, against its source's own values. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { FileLayout, type Form, fillPieces, planMatrix } from '../../services/graph/forms.ts'
import { MatrixBuilder } from '../../services/graph/matrix.ts'
import { DataType, GraphBuilder } from '../../services/graph/onnx.ts'
import { blockShape } from '../../services/graph/runtime.ts'
import { float, floats, openSession } from '../../services/io/ort/session.ts'
import { toBlocks } from '../../services/model/blocks.ts'
import { noise, randomFloats, randomQuantized } from '../../services/model/noise.ts'
import { dequantize, tensorTypes, typeByName } from '../../services/model/quants.ts'
import type { Arithmetic } from '../../services/ports.ts'

const ROWS = 48
const COLUMNS = 512

const folder = mkdtempSync(join(tmpdir(), 'mdi-matrix-'))
after(() => rmSync(folder, { recursive: true }))

/** A matrix of a type, its values, and its product with rows of x in a form. */
const matrixOf = (name: string) => {
  const type = typeByName(name)
  const words = noise(7, name)
  const parts = type.form
    ? randomQuantized(type, ROWS * COLUMNS, words, 0.05)
    : randomFloats(type, ROWS * COLUMNS, words, { mean: 0, deviation: 0.05 })
  const bytes = new Uint8Array(Buffer.concat([...parts]))
  return { type, bytes, values: dequantize(type, bytes, ROWS * COLUMNS) }
}

const product = async (
  name: string,
  q8: 'q8' | 'q8split',
  arithmetic: Arithmetic,
  x: Float32Array,
): Promise<{ form: Form; y: Float32Array; values: Float32Array }> => {
  const { type, bytes, values } = matrixOf(name)
  const layout = new FileLayout()
  const choice = { arithmetic, q8 }
  const plan = planMatrix([{ name: 'w', rows: ROWS }], COLUMNS, blockShape(name), choice, layout)
  const file = new Uint8Array(layout.bytes)
  const band = type.form ? toBlocks(type, bytes, ROWS, COLUMNS) : values
  for (const [piece, data] of fillPieces(plan.form, band)) {
    const at = plan.pieces[piece]
    assert.equal(at?.bytes, data.length, `${piece} fills its place`)
    file.set(data, at.offset)
  }
  const weights = `${name}-${q8}-${arithmetic}.bin`
  writeFileSync(join(folder, weights), file)
  const g = new GraphBuilder()
  g.input('x', DataType.float, ['T', COLUMNS])
  const y = new MatrixBuilder(g, weights, arithmetic).product('x', plan)
  g.output(y, DataType.float, ['T', ROWS])
  const session = await openSession(g.encode('matrix'), folder, 1)
  const out = await session.run({ x: float(x, [x.length / COLUMNS, COLUMNS]) })
  const result = floats(out[y]).slice()
  await session.release()
  return { form: plan.form, y: result, values }
}

/** x · Wᵀ in double precision. */
const plain = (x: Float32Array, w: Float32Array): Float64Array => {
  const out = new Float64Array((x.length / COLUMNS) * ROWS)
  for (let t = 0; t < x.length / COLUMNS; t++)
    for (let r = 0; r < ROWS; r++) {
      let sum = 0
      for (let c = 0; c < COLUMNS; c++)
        sum += (x[t * COLUMNS + c] as number) * (w[r * COLUMNS + c] as number)
      out[t * ROWS + r] = sum
    }
  return out
}

const identity = (): Float32Array => {
  const x = new Float32Array(COLUMNS * COLUMNS)
  for (let i = 0; i < COLUMNS; i++) x[i * COLUMNS + i] = 1
  return x
}

const forms: [type: string, q8: 'q8' | 'q8split', form: Form][] = tensorTypes.flatMap((type) => {
  if (!type.form) return [[type.name, 'q8', 'f32'] as [string, 'q8', Form]]
  if (type.form.bits === 4) return [[type.name, 'q8', 'q4'] as [string, 'q8', Form]]
  return [
    [type.name, 'q8', 'q8'],
    [type.name, 'q8split', 'q8split'],
  ] as [string, 'q8' | 'q8split', Form][]
})

test('all four forms are met', () => {
  assert.deepEqual([...new Set(forms.map(([, , form]) => form))].sort(), [
    'f32',
    'q4',
    'q8',
    'q8split',
  ])
})

for (const [name, q8, expected] of forms) {
  test(`${name} as ${expected} holds exactly its source's weights`, async () => {
    const { form, y, values } = await product(name, q8, 'exact', identity())
    assert.equal(form, expected)
    // Column c of the weights comes out of the c-th unit vector.
    let worst = 0
    for (let c = 0; c < COLUMNS; c++)
      for (let r = 0; r < ROWS; r++) {
        const want = values[r * COLUMNS + c] as number
        worst = Math.max(worst, Math.abs((y[c * ROWS + r] as number) - want))
      }
    const rms = Math.sqrt(values.reduce((s, v) => s + v * v, 0) / values.length)
    assert.ok(worst <= 5e-6 * rms, `${worst} against an rms of ${rms}`)
    assert.ok(rms > 0.02 && rms < 0.2)
  })

  test(`${name} as ${expected}: products of one row and of many`, async () => {
    for (const rows of [1, 5]) {
      const words = noise(11, `${name}${rows}`)
      const options = { mean: 0, deviation: 1 }
      const [bytes] = randomFloats(typeByName('F32'), rows * COLUMNS, words, options)
      const x = new Float32Array((bytes as Uint8Array).slice().buffer)
      for (const arithmetic of ['exact', 'fast'] as const) {
        const { y, values } = await product(name, q8, arithmetic, x)
        const want = plain(x, values)
        const rms = Math.sqrt(want.reduce((s, v) => s + v * v, 0) / want.length)
        const worst = y.reduce((m, v, i) => Math.max(m, Math.abs(v - (want[i] as number))), 0)
        const bound = arithmetic === 'exact' ? 1e-5 : 0.05
        assert.ok(worst <= bound * rms, `${arithmetic}, ${rows} rows: ${worst} of ${rms}`)
      }
    }
  })
}
