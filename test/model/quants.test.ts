import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dequantize, typeByName, typeBytes } from '../../services/model/quants.ts'

/** 1.0, 0.5 and −2.0 in binary16. */
const ONE = [0x00, 0x3c]
const HALF = [0x00, 0x38]
const MINUS_TWO = [0x00, 0xc0]

const zeros = (n: number): number[] => new Array<number>(n).fill(0)
const values = (name: string, bytes: number[], count: number): number[] => {
  const type = typeByName(name)
  assert.equal(bytes.length, typeBytes(type, 1, count))
  return [...dequantize(type, Uint8Array.from(bytes), count)]
}
/** The values at these places, and all others. */
const at = (all: number[], places: number[]): [number[], Set<number>] => [
  places.map((i) => all[i] as number),
  new Set(all.filter((_, i) => !places.includes(i))),
]

test('floats', () => {
  assert.deepEqual(values('F32', [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0], 2), [1, -2])
  // The least subnormal, the greatest number, minus infinity.
  assert.deepEqual(values('F16', [...ONE, 1, 0, 0xff, 0x7b, 0x00, 0xfc], 4), [
    1,
    2 ** -24,
    65_504,
    Number.NEGATIVE_INFINITY,
  ])
  assert.deepEqual(values('BF16', [0x80, 0x3f, 0x40, 0xc0], 2), [1, -3])
})

test('Q4_0: d·(q − 8), low nibbles first', () => {
  // Byte 0: q = 0xf at 0, 0x0 at 16; byte 15: q = 0x9 at 15, 0x7 at 31; others 8.
  const q = new Array<number>(16).fill(0x88)
  q[0] = 0x0f
  q[15] = 0x79
  const [some, rest] = at(values('Q4_0', [...MINUS_TWO, ...q], 32), [0, 16, 15, 31])
  assert.deepEqual(some, [-14, 16, -2, 2])
  assert.deepEqual(rest, new Set([-0]))
})

test('Q4_1: d·q + m', () => {
  const q = zeros(16)
  q[1] = 0x3a
  const [some, rest] = at(values('Q4_1', [...HALF, ...MINUS_TWO, ...q], 32), [1, 17])
  assert.deepEqual(some, [3, -0.5])
  assert.deepEqual(rest, new Set([-2]))
})

test('Q5_0: d·(q − 16), the fifth bit apart', () => {
  const q = zeros(16)
  q[2] = 0x21
  // Fifth bits of elements 2 and 31.
  const [some, rest] = at(values('Q5_0', [...ONE, 0x04, 0, 0, 0x80, ...q], 32), [2, 18, 31])
  assert.deepEqual(some, [1, -14, 0])
  assert.deepEqual(rest, new Set([-16]))
})

test('Q5_1: d·q + m, the fifth bit apart', () => {
  const q = zeros(16)
  q[15] = 0xf1
  const bytes = [...HALF, ...ONE, 0, 0x80, 0, 0x80, ...q]
  const [some, rest] = at(values('Q5_1', bytes, 32), [15, 31])
  assert.deepEqual(some, [9.5, 16.5])
  assert.deepEqual(rest, new Set([1]))
})

test('Q8_0: d·q, signed', () => {
  const q = zeros(32)
  q[0] = 0x80
  q[31] = 0x7f
  const [some, rest] = at(values('Q8_0', [...HALF, ...q], 32), [0, 31])
  assert.deepEqual(some, [-64, 63.5])
  assert.deepEqual(rest, new Set([0]))
})

test('IQ4_NL: d·level[q]', () => {
  const q = Array.from({ length: 16 }, (_, i) => i | ((15 - i) << 4))
  const levels = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]
  assert.deepEqual(
    values('IQ4_NL', [...MINUS_TWO, ...q], 32),
    [...levels, ...levels.toReversed()].map((l) => -2 * l),
  )
})

test('Q2_K: d·scale·q − dmin·minimum, groups of 16', () => {
  // Group 3: scale 5, minimum 2; group 9: scale 1, minimum 0.
  const scales = zeros(16)
  scales[3] = 0x25
  scales[9] = 0x01
  const q = zeros(64)
  // Elements 48–63 are bits 2–3 of bytes 16–31; 144–159 are bits 0–1 of bytes 48–63.
  q[17] = 0b11_00_10_01
  q[48] = 0b00_00_00_11
  const all = values('Q2_K', [...scales, ...q, ...HALF, ...ONE], 256)
  const [some, rest] = at(all, [49, 144])
  assert.deepEqual(some, [0.5 * 5 * 2 - 2, 0.5 * 3])
  // Group 3's other elements are at −dmin·2; all other groups are at zero.
  assert.equal(all.filter((v) => v === -2).length, 15)
  assert.deepEqual(new Set([...rest].map(Math.abs)), new Set([0, 2]))
})

test('Q3_K: d·(scale − 32)·(q − 4), groups of 16', () => {
  const third = zeros(32)
  const low = zeros(64)
  const scales = zeros(12)
  // Group 1 (elements 16–31): scale 0b10_0111 = 39: low nibble of byte 1, bits 0–1 of byte 9.
  scales[1] = 0x07
  scales[9] = 0b10
  // Group 14 (elements 224–239): scale 0b11_0001 = 49: high nibble of byte 6, bits 6–7 of byte 10.
  scales[6] = 0x10
  scales[10] = 0b1100_0000
  // Element 20: bits 0–1 of byte 20, third bit 0 of byte 20: q = 3 + 4.
  low[20] = 0b11
  third[20] = 0b1
  // Element 225: bits 6–7 of byte 33, third bit 7 of byte 1 not set: q = 2.
  low[33] = 0b1000_0000
  const all = values('Q3_K', [...third, ...low, ...scales, ...HALF], 256)
  assert.equal(all[20], 0.5 * (39 - 32) * 3)
  assert.equal(all[16], 0.5 * (39 - 32) * -4)
  assert.equal(all[225], 0.5 * (49 - 32) * -2)
  assert.equal(all[224], 0.5 * (49 - 32) * -4)
  // Elsewhere scale 0 and q 0.
  assert.equal(all[0], 0.5 * -32 * -4)
})

/** Scales and minima of Q4_K and Q5_K: group 2 has 33 and 7, group 6 has 50 and 41. */
const sixes = (): number[] => {
  const s = zeros(12)
  s[2] = 33
  s[6] = 7
  // Group 6: low nibbles in byte 10, upper bits of the scale in byte 2, of the minimum in byte 6.
  s[10] = (50 & 15) | ((41 & 15) << 4)
  s[2] |= (50 >> 4) << 6
  s[6] |= (41 >> 4) << 6
  return s
}

test('Q4_K: d·scale·q − dmin·minimum, groups of 32', () => {
  const q = zeros(128)
  // Element 65 (group 2): low nibble of byte 33; element 223 (group 6): low nibble of byte 127.
  q[33] = 0x0b
  q[127] = 0x0f
  const all = values('Q4_K', [...HALF, ...MINUS_TWO, ...sixes(), ...q], 256)
  assert.equal(all[65], 0.5 * 33 * 11 + 2 * 7)
  assert.equal(all[64], 14)
  assert.equal(all[223], 0.5 * 50 * 15 + 2 * 41)
  assert.equal(all[192], 82)
  assert.equal(all.filter((v) => v === 14).length, 31)
  assert.equal(all.filter((v) => v === 0).length, 192)
})

test('Q5_K: as Q4_K, the fifth bit apart', () => {
  const fifth = zeros(32)
  const q = zeros(128)
  // Element 66: low nibble of byte 34, bit 2 of byte 2; element 194: bit 6 of byte 2.
  q[34] = 0x03
  fifth[2] = 0b0100_0100
  const all = values('Q5_K', [...ONE, ...HALF, ...sixes(), ...fifth, ...q], 256)
  assert.equal(all[66], 33 * 19 - 3.5)
  assert.equal(all[194], 50 * 16 - 20.5)
  assert.equal(all[64], -3.5)
  assert.equal(all.filter((v) => v === 0).length, 192)
})

test('Q6_K: d·scale·(q − 32), groups of 16, scales signed', () => {
  const low = zeros(128)
  const high = zeros(64)
  const scales = zeros(16)
  // Element 3 (group 0, scale −128): low nibble of byte 3, bits 0–1 of high byte 3: q = 63.
  low[3] = 0x0f
  high[3] = 0b11
  scales[0] = 0x80
  // Element 250 (group 15, scale 3): high nibble of byte 64+32+26, bits 6–7 of high byte 58: q = 37.
  low[122] = 0x50
  high[58] = 0b1000_0000
  scales[15] = 3
  const all = values('Q6_K', [...low, ...high, ...scales, ...HALF], 256)
  assert.equal(all[3], 0.5 * -128 * 31)
  assert.equal(all[0], 0.5 * -128 * -32)
  assert.equal(all[250], 0.5 * 3 * 5)
  assert.equal(all[255], 0.5 * 3 * -32)
  assert.equal(all.filter((v) => v === 0).length, 256 - 32)
})

test('several blocks follow each other, and too few bytes are refused', () => {
  const block = (d: number[]) => [...d, ...new Array<number>(16).fill(0x99)]
  assert.deepEqual(
    new Set(values('Q4_0', [...block(ONE), ...block(HALF)], 64).slice(31, 33)),
    new Set([1, 0.5]),
  )
  assert.throws(() => dequantize(typeByName('Q4_0'), new Uint8Array(35), 64), RangeError)
  assert.throws(() => dequantize(typeByName('Q4_0'), new Uint8Array(36), 33), RangeError)
})
