/**
 * Quick ways from the commonest tensor types into blocks: the same result as by `unpack`,
 * several codes at a time. Weights of a whole model pass here when a node loads, on a
 * small board too. All addresses are of 16-bit units; little-endian, as every platform
 * that Node and onnxruntime support together is.
 */
import { halfTable } from './half.ts'

/** Where a band of blocks comes from and goes to. */
export type Repacking = {
  source: Uint16Array
  blocks: number
  /** 4-byte units of `Blocks.codes`. */
  codes: Uint32Array
  scales: Float32Array
  offsets: Float32Array
}
export type Repack = (work: Repacking) => void

/**
 * Four source units have eight bytes b₀…b₇; their low nibbles, in order, make 4 bytes.
 * Called with the source shifted by 4 it takes the high ones.
 */
const pack = (a: number, b: number, c: number, d: number): number =>
  (a & 0x0f) |
  ((a >> 4) & 0xf0) |
  (((b & 0x0f) | ((b >> 4) & 0xf0)) << 8) |
  (((c & 0x0f) | ((c >> 4) & 0xf0)) << 16) |
  (((d & 0x0f) | ((d >> 4) & 0xf0)) << 24)

/** 8 units: 32 nibbles, low ones first. Writes 4 units of codes. */
const packShort = (source: Uint16Array, at: number, codes: Uint32Array, to: number): void => {
  for (let k = 0; k < 2; k++) {
    const a = source[at + k * 4] as number
    const b = source[at + k * 4 + 1] as number
    const c = source[at + k * 4 + 2] as number
    const d = source[at + k * 4 + 3] as number
    codes[to + k] = pack(a, b, c, d)
    codes[to + 2 + k] = pack(a >> 4, b >> 4, c >> 4, d >> 4)
  }
}

/** Q4_0: its codes are `q` as they stand, since the zero is 8 on both sides. */
export const repackQ4_0: Repack = ({ source, blocks, codes, scales }) => {
  const half = halfTable()
  for (let b = 0, at = 0; b < blocks; b++, at += 9) {
    scales[b] = half[source[at] as number] as number
    packShort(source, at + 1, codes, b * 4)
  }
}

/** Q4_1: d·q + m = d·(q − 8) + (m + 8d). */
export const repackQ4_1: Repack = ({ source, blocks, codes, scales, offsets }) => {
  const half = halfTable()
  for (let b = 0, at = 0; b < blocks; b++, at += 10) {
    const scale = half[source[at] as number] as number
    scales[b] = scale
    offsets[b] = (half[source[at + 1] as number] as number) + 8 * scale
    packShort(source, at + 2, codes, b * 4)
  }
}

/** Q8_0: signed bytes become bytes around 128. */
export const repackQ8_0: Repack = ({ source, blocks, codes, scales }) => {
  const half = halfTable()
  for (let b = 0, at = 0; b < blocks; b++, at += 17) {
    scales[b] = half[source[at] as number] as number
    for (let k = 0; k < 8; k++) {
      const low = source[at + 1 + 2 * k] as number
      const high = source[at + 2 + 2 * k] as number
      codes[b * 8 + k] = (low | (high << 16)) ^ 0x80808080
    }
  }
}

/** Q4_K: of each 32 bytes the low nibbles are one block and the high nibbles the next. */
export const repackQ4_K: Repack = ({ source, blocks, codes, scales, offsets }) => {
  const half = halfTable()
  for (let b = 0, at = 0; b < blocks; b++, at += 72) {
    const d = half[source[at] as number] as number
    const dmin = half[source[at + 1] as number] as number
    const byte = (i: number): number =>
      ((source[at + 2 + (i >> 1)] as number) >> ((i & 1) * 8)) & 255
    for (let g = 0; g < 8; g++) {
      const own = byte(g)
      const next = byte(g + 4)
      const before = g < 4 ? 0 : byte(g - 4)
      const scale = d * (g < 4 ? own & 63 : (next & 15) | ((before >> 6) << 4))
      const minimum = dmin * (g < 4 ? next & 63 : (next >> 4) | ((own >> 6) << 4))
      scales[b * 8 + g] = scale
      offsets[b * 8 + g] = 8 * scale - minimum
    }
    for (let chunk = 0; chunk < 4; chunk++)
      for (let k = 0; k < 4; k++) {
        const from = at + 8 + chunk * 16 + k * 4
        const to = b * 32 + chunk * 8 + k
        const w = source[from] as number
        const x = source[from + 1] as number
        const y = source[from + 2] as number
        const z = source[from + 3] as number
        codes[to] = pack(w, x, y, z)
        codes[to + 4] = pack(w >> 4, x >> 4, y >> 4, z >> 4)
      }
  }
}
