/**
 * Random numbers by counter: the n-th number of a seed without the n − 1 before it.
 * Philox 4×32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", 2011), which passes BigCrush.
 */
const M0 = 0xd2511f53
const M1 = 0xcd9e8d57
const W0 = 0x9e3779b9
const W1 = 0xbb67ae85

/** The high 32 bits of the 64-bit product. */
const mulHigh = (a: number, b: number): number => {
  const a0 = a & 0xffff
  const a1 = a >>> 16
  const b0 = b & 0xffff
  const b1 = b >>> 16
  const middle = a1 * b0 + ((a0 * b0) >>> 16)
  const low = a0 * b1 + (middle % 0x10000)
  return (a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(low / 0x10000)) >>> 0
}

type Words = [number, number, number, number]

/** Four 32-bit words from a counter of four and a key of two. */
export const philox = (counter: Readonly<Words>, key: readonly [number, number]): Words => {
  let [c0, c1, c2, c3] = counter
  let [k0, k1] = key
  for (let round = 0; round < 10; round++) {
    const h0 = mulHigh(M0, c0)
    const l0 = Math.imul(M0, c0) >>> 0
    const h1 = mulHigh(M1, c2)
    const l1 = Math.imul(M1, c2) >>> 0
    c0 = (h1 ^ c1 ^ k0) >>> 0
    c1 = l1
    c2 = (h0 ^ c3 ^ k1) >>> 0
    c3 = l0
    k0 = (k0 + W0) >>> 0
    k1 = (k1 + W1) >>> 0
  }
  return [c0, c1, c2, c3]
}

const low = (n: number): number => n >>> 0
const high = (n: number): number => Math.floor(n / 0x100000000) >>> 0

/** A number in [0, 1) with 53 random bits, from two non-negative safe integers. */
export const uniform = (seed: number, step: number): number => {
  const [a, b] = philox([low(step), high(step), 0, 0], [low(seed), high(seed)])
  return ((a >>> 5) * 0x4000000 + (b >>> 6)) / 0x20000000000000
}
