import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Blocks, runtimeBytes, toBlocks } from '../../services/model/blocks.ts'
import { toHalf } from '../../services/model/half.ts'
import {
  dequantize,
  type TensorType,
  tensorTypes,
  typeByName,
} from '../../services/model/quants.ts'
import { random } from '../fakes/random.ts'

/** What `MatMulNBits` with our offsets computes with, from the definition of its inputs. */
const expand = ({ bits, block, codes, scales, offsets }: Blocks, count: number): Float64Array =>
  Float64Array.from({ length: count }, (_, i) => {
    const code =
      bits === 8 ? (codes[i] as number) : ((codes[i >> 1] as number) >> (4 * (i & 1))) & 15
    const b = Math.floor(i / block)
    return (scales[b] as number) * (code - 2 ** (bits - 1)) + (offsets?.[b] ?? 0)
  })

/** Random blocks whose binary16 numbers are finite: at these byte offsets. */
const halves: Record<string, number[]> = {
  Q2_K: [80, 82],
  Q3_K: [108],
  Q6_K: [208],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q4_1: [0, 2],
  Q5_1: [0, 2],
}

const randomBlocks = (type: TensorType, blocks: number, seed: number): Uint8Array => {
  const next = random(seed)
  const bytes = Uint8Array.from({ length: blocks * type.bytes }, () => next() * 256)
  const view = new DataView(bytes.buffer)
  for (let b = 0; b < blocks; b++)
    for (const at of halves[type.name] ?? [0])
      view.setUint16(b * type.bytes + at, toHalf((next() - 0.5) / 8), true)
  return bytes
}

for (const type of tensorTypes.filter((t) => t.form)) {
  test(`${type.name} in blocks is exact`, () => {
    const rows = 5
    const columns = 512
    const bytes = randomBlocks(type, (rows * columns) / type.elements, type.id + 1)
    const wanted = dequantize(type, bytes, rows * columns)
    const blocks = toBlocks(type, bytes, rows, columns)
    assert.equal(blocks.bits, type.form?.bits)
    assert.equal(blocks.offsets !== undefined, type.form?.offset)
    // The runtime adds each block's sum.
    assert.equal(
      blocks.codes.length + 4 * (2 * blocks.scales.length + (blocks.offsets?.length ?? 0)),
      runtimeBytes(type, rows, columns),
    )
    const have = expand(blocks, rows * columns)
    assert.ok(wanted.some((w) => Math.abs(w) > 1e-3))
    for (let i = 0; i < wanted.length; i++) {
      const w = wanted[i] as number
      const offset = blocks.offsets?.[Math.floor(i / blocks.block)] ?? 0
      // Without an offset nothing is rounded; with one, the offset is, once.
      const slack = (Math.abs(offset) + Math.abs(w)) * 2 ** -24
      assert.ok(Math.abs((have[i] as number) - w) <= slack, `${i}: ${have[i]} for ${w}`)
    }
    // A band of rows is the same as those rows of the whole, at an odd address too.
    const band = new Uint8Array(bytes.length / rows + 1)
    band.set(bytes.subarray((bytes.length / rows) * 3, (bytes.length / rows) * 4), 1)
    const third = toBlocks(type, band.subarray(1), 1, columns)
    const size = blocks.codes.length / rows
    assert.deepEqual(third.codes, blocks.codes.slice(size * 3, size * 4))
  })
}

test('a band of the wrong length is refused', () => {
  const type = typeByName('Q4_0')
  assert.throws(() => toBlocks(type, new Uint8Array(17), 1, 32), RangeError)
  assert.throws(() => toBlocks(type, new Uint8Array(18), 1, 31), RangeError)
  assert.throws(() => toBlocks(typeByName('F32'), new Uint8Array(128), 1, 32), /no blocks/)
})
