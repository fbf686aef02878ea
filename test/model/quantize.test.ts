import assert from 'node:assert/strict'
import { test } from 'node:test'
import { relativeError, roundToQ4_1, roundToQ8_0 } from '../../services/model/quantize.ts'
import { dequantize, typeByName } from '../../services/model/quants.ts'
import { random } from '../fakes/random.ts'

const gauss = (count: number, scale: number): Float32Array => {
  const next = random(5)
  return Float32Array.from(
    { length: count },
    () => (next() + next() + next() + next() - 2) * Math.sqrt(3) * scale,
  )
}

test('Q8_0 by hand', () => {
  const values = new Float32Array(32)
  values.set([63.5, -63.5, 0.26, -0.74, 10])
  const loss = { error: 0, power: 0 }
  const bytes = roundToQ8_0(values, loss)
  // d = 0.5, then 127, −127, 1 (0.52), −1 (−1.48), 20.
  assert.deepEqual([...bytes.subarray(0, 8)], [0x00, 0x38, 127, 129, 1, 255, 20, 0])
  const error = Math.hypot(0.26 - 0.5, -0.74 + 0.5)
  const power = Math.hypot(63.5, 63.5, 0.26, 0.74, 10)
  assert.ok(Math.abs(relativeError(loss) - error / power) < 1e-8)
})

for (const [name, round, bound] of [
  ['Q8_0', roundToQ8_0, 0.006],
  ['Q4_1', roundToQ4_1, 0.09],
] as const) {
  test(`${name} loses little, and says how much`, () => {
    // Ordinary weights, and some so small that their scales are subnormal in binary16.
    for (const scale of [0.02, 1, 2e-5, 500]) {
      const values = gauss(4096, scale)
      const loss = { error: 0, power: 0 }
      const back = dequantize(typeByName(name), round(values, loss), values.length)
      let error = 0
      let power = 0
      for (let i = 0; i < values.length; i++) {
        error += ((back[i] as number) - (values[i] as number)) ** 2
        power += (values[i] as number) ** 2
      }
      const measured = Math.sqrt(error / power)
      assert.ok(Math.abs(measured - relativeError(loss)) < 1e-6 * measured + 1e-9)
      assert.ok(measured < bound || scale < 1e-4, `${scale}: ${measured}`)
      assert.ok(measured < 0.5, `${scale}: ${measured}`)
    }
  })

  test(`${name}: zeros, one value, the extremes`, () => {
    const loss = { error: 0, power: 0 }
    const type = typeByName(name)
    const same = (values: Float32Array) => dequantize(type, round(values, loss), 32)
    assert.deepEqual(same(new Float32Array(32)), new Float32Array(32))
    const level = same(new Float32Array(32).fill(0.5))[7] as number
    assert.ok(Math.abs(level - 0.5) < 0.001, `${level}`)
    const wide = Float32Array.from({ length: 32 }, (_, i) => (i % 2 ? 60_000 : -60_000))
    for (const [i, v] of same(wide).entries())
      assert.ok(Math.abs(v / (wide[i] as number) - 1) < 0.001, `${v}`)
  })

  test(`${name}: what is no number shows in the loss`, () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const loss = { error: 0, power: 0 }
      const values = gauss(64, 1)
      values[40] = bad
      round(values, loss)
      assert.ok(!Number.isFinite(loss.power))
    }
  })
}
