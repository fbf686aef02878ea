/**
 * What each quantized tensor type's block says, in one common form: small integers `q`,
 * and for each group of them a scale and a minimum, so that a weight is
 * `scale · q + minimum`. Both are exact in fp32: products of a binary16 number and an
 * integer of at most 8 bits. The layouts are ggml's (`ggml-common.h`, `ggml-quants.c`
 * in https://github.com/ggml-org/llama.cpp).
 */
import { halfTable } from './half.ts'

/** One block, unpacked. */
export type Unpacked = {
  q: Int8Array
  /** One a group. */
  scales: Float32Array
  /** One a group; left at 0 by types that have none. */
  minima: Float32Array
}

/** Unpacks the block that starts at `at`. */
export type Unpack = (bytes: Uint8Array, at: number, into: Unpacked) => void

const half = (bytes: Uint8Array, at: number, table: Float32Array): number =>
  table[(bytes[at] as number) | ((bytes[at + 1] as number) << 8)] as number

/** Sixteen bytes: low nibbles are the first half of the block, high nibbles the second. */
const nibbles = (bytes: Uint8Array, at: number, q: Int8Array, zero: number): void => {
  for (let j = 0; j < 16; j++) {
    const b = bytes[at + j] as number
    q[j] = (b & 15) - zero
    q[j + 16] = (b >> 4) - zero
  }
}

/** As `nibbles`, with a fifth bit for each element from the 32 bits at `high`. */
const fives = (bytes: Uint8Array, high: number, at: number, q: Int8Array, zero: number): void => {
  nibbles(bytes, at, q, zero)
  for (let j = 0; j < 32; j++)
    if (((bytes[high + (j >> 3)] as number) >> (j & 7)) & 1) q[j] = (q[j] as number) + 16
}

/** binary16 d; 16 bytes of nibbles: d·(q − 8). */
export const unpackQ4_0: Unpack = (bytes, at, into) => {
  into.scales[0] = half(bytes, at, halfTable())
  nibbles(bytes, at + 2, into.q, 8)
}

/** binary16 d, m; 16 bytes of nibbles: d·q + m. */
export const unpackQ4_1: Unpack = (bytes, at, into) => {
  const table = halfTable()
  into.scales[0] = half(bytes, at, table)
  into.minima[0] = half(bytes, at + 2, table)
  nibbles(bytes, at + 4, into.q, 0)
}

/** binary16 d; 4 bytes of fifth bits; 16 bytes of nibbles: d·(q − 16). */
export const unpackQ5_0: Unpack = (bytes, at, into) => {
  into.scales[0] = half(bytes, at, halfTable())
  fives(bytes, at + 2, at + 6, into.q, 16)
}

/** binary16 d, m; 4 bytes of fifth bits; 16 bytes of nibbles: d·q + m. */
export const unpackQ5_1: Unpack = (bytes, at, into) => {
  const table = halfTable()
  into.scales[0] = half(bytes, at, table)
  into.minima[0] = half(bytes, at + 2, table)
  fives(bytes, at + 4, at + 8, into.q, 0)
}

/** binary16 d; 32 signed bytes: d·q. */
export const unpackQ8_0: Unpack = (bytes, at, into) => {
  into.scales[0] = half(bytes, at, halfTable())
  for (let j = 0; j < 32; j++) into.q[j] = bytes[at + 2 + j] as number
}

/** The 16 levels of IQ4_NL. */
const LEVELS = Int8Array.of(
  ...[-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113],
)

/** binary16 d; 16 bytes of nibbles: d·level[q]. */
export const unpackIQ4_NL: Unpack = (bytes, at, into) => {
  into.scales[0] = half(bytes, at, halfTable())
  const { q } = into
  nibbles(bytes, at + 2, q, 0)
  for (let j = 0; j < 32; j++) q[j] = LEVELS[q[j] as number] as number
}

/**
 * 16 bytes, a group's 4-bit scale low and its 4-bit minimum high; 64 bytes of 2-bit q;
 * binary16 d, dmin: d·scale·q − dmin·minimum, groups of 16.
 */
export const unpackQ2_K: Unpack = (bytes, at, into) => {
  const table = halfTable()
  const d = half(bytes, at + 80, table)
  const dmin = half(bytes, at + 82, table)
  for (let g = 0; g < 16; g++) {
    const packed = bytes[at + g] as number
    into.scales[g] = d * (packed & 15)
    into.minima[g] = -dmin * (packed >> 4)
  }
  // Each half of 128 has 32 bytes: bits 0–1 of them are its first 32 elements, and so on.
  for (let i = 0; i < 256; i++) {
    const b = bytes[at + 16 + ((i >> 7) << 5) + (i & 31)] as number
    into.q[i] = (b >> (((i >> 5) & 3) * 2)) & 3
  }
}

/**
 * 32 bytes of third bits; 64 bytes of the lower two, as in Q2_K; 12 bytes of 6-bit scales;
 * binary16 d: d·(scale − 32)·(q − 4), groups of 16.
 */
export const unpackQ3_K: Unpack = (bytes, at, into) => {
  const d = half(bytes, at + 108, halfTable())
  const s = at + 96
  for (let g = 0; g < 16; g++) {
    const low = g < 8 ? (bytes[s + g] as number) & 15 : (bytes[s + g - 8] as number) >> 4
    const high = ((bytes[s + 8 + (g & 3)] as number) >> ((g >> 2) * 2)) & 3
    into.scales[g] = d * ((low | (high << 4)) - 32)
  }
  for (let i = 0; i < 256; i++) {
    const b = bytes[at + 32 + ((i >> 7) << 5) + (i & 31)] as number
    const low = (b >> (((i >> 5) & 3) * 2)) & 3
    const third = ((bytes[at + (i & 31)] as number) >> (i >> 5)) & 1
    into.q[i] = (low | (third << 2)) - 4
  }
}

/** Eight 6-bit scales and eight 6-bit minima in 12 bytes, as Q4_K and Q5_K have them. */
const sixes = (bytes: Uint8Array, at: number, into: Unpacked): void => {
  const table = halfTable()
  const d = half(bytes, at, table)
  const dmin = half(bytes, at + 2, table)
  const s = at + 4
  for (let g = 0; g < 8; g++) {
    const own = bytes[s + g] as number
    const next = bytes[s + g + 4] as number
    const before = g < 4 ? 0 : (bytes[s + g - 4] as number)
    into.scales[g] = d * (g < 4 ? own & 63 : (next & 15) | ((before >> 6) << 4))
    into.minima[g] = -dmin * (g < 4 ? next & 63 : (next >> 4) | ((own >> 6) << 4))
  }
}

/** Each 32 bytes: low nibbles are 32 elements, high nibbles the next 32. */
const longNibbles = (bytes: Uint8Array, at: number, q: Int8Array): void => {
  for (let chunk = 0; chunk < 4; chunk++)
    for (let l = 0; l < 32; l++) {
      const b = bytes[at + chunk * 32 + l] as number
      q[chunk * 64 + l] = b & 15
      q[chunk * 64 + 32 + l] = b >> 4
    }
}

/** binary16 d, dmin; 12 bytes (`sixes`); 128 bytes of nibbles: d·scale·q − dmin·minimum. */
export const unpackQ4_K: Unpack = (bytes, at, into) => {
  sixes(bytes, at, into)
  longNibbles(bytes, at + 16, into.q)
}

/** As Q4_K, with 32 bytes of fifth bits before the nibbles: bit g of byte l for group g. */
export const unpackQ5_K: Unpack = (bytes, at, into) => {
  sixes(bytes, at, into)
  const { q } = into
  longNibbles(bytes, at + 48, q)
  for (let l = 0; l < 32; l++) {
    const bits = bytes[at + 16 + l] as number
    for (let g = 0; g < 8; g++) {
      const i = g * 32 + l
      q[i] = (q[i] as number) | (((bits >> g) & 1) << 4)
    }
  }
}

/**
 * 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed 8-bit scales, binary16 d:
 * d·scale·(q − 32), groups of 16.
 */
export const unpackQ6_K: Unpack = (bytes, at, into) => {
  const d = half(bytes, at + 208, halfTable())
  for (let g = 0; g < 16; g++) into.scales[g] = d * (((bytes[at + 192 + g] as number) << 24) >> 24)
  const { q } = into
  for (let part = 0; part < 2; part++) {
    const low = at + part * 64
    const high = at + 128 + part * 32
    const to = part * 128
    for (let l = 0; l < 32; l++) {
      const a = bytes[low + l] as number
      const b = bytes[low + 32 + l] as number
      const h = bytes[high + l] as number
      q[to + l] = ((a & 15) | ((h & 3) << 4)) - 32
      q[to + 32 + l] = ((b & 15) | (((h >> 2) & 3) << 4)) - 32
      q[to + 64 + l] = ((a >> 4) | (((h >> 4) & 3) << 4)) - 32
      q[to + 96 + l] = ((b >> 4) | ((h >> 6) << 4)) - 32
    }
  }
}
