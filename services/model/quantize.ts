/**
 * Rounds fp32 weights to Q8_0 or Q4_1 blocks and says what that loses. Only for files that
 * have no quantized weights: a quantized type is carried over as it is.
 */
import { halfTable, toHalf } from './half.ts'

/** Types that weights can be rounded to. */
export type RoundedType = 'Q8_0' | 'Q4_1'

/** Sums over what was rounded; the relative rms error is `sqrt(error / power)`. */
export type Loss = { error: number; power: number }

/** Relative rms error, 0 where nothing was rounded. */
export const relativeError = ({ error, power }: Loss): number =>
  power > 0 ? Math.sqrt(error / power) : 0

const BLOCK = 32
const HALF_MAX = 65_504
/** Adding and subtracting it rounds a double to an integer, faster than Math.round. */
const ROUND = 1.5 * 2 ** 52

/** A binary16 d for values up to `peak`: none of them rounds beyond 127. */
const scaleFor = (peak: number, half: Float32Array): number => {
  const pattern = toHalf(Math.min(peak / 127, HALF_MAX))
  // For subnormals, rounding to the nearest could give a number that is much too small.
  return (half[pattern] as number) * 127.5 <= peak && peak > 0 ? pattern + 1 : pattern
}

/** Beyond what a block can hold: no model has such weights. */
const PEAK = 127 * HALF_MAX
const clamp = (values: Float32Array, from: number): void => {
  for (let j = from; j < from + BLOCK; j++)
    values[j] = Math.max(-PEAK, Math.min(PEAK, values[j] as number))
}

/**
 * Q8_0: binary16 d and 32 signed bytes a block.
 * @param values whole blocks of 32; those that are too large are clamped in place
 */
export const roundToQ8_0 = (values: Float32Array, loss: Loss): Uint8Array => {
  const half = halfTable()
  const out = new Int8Array((values.length / BLOCK) * 34)
  let { error, power } = loss
  for (let i = 0, at = 0; i < values.length; i += BLOCK, at += 34) {
    let peak = 0
    for (let j = i; j < i + BLOCK; j++) {
      const size = Math.abs(values[j] as number)
      if (size > peak) peak = size
    }
    if (peak > PEAK) {
      if (peak === Number.POSITIVE_INFINITY) power = peak
      clamp(values, i)
    }
    const pattern = scaleFor(Math.min(peak, PEAK), half)
    out[at] = pattern
    out[at + 1] = pattern >> 8
    const d = half[pattern] as number
    const inverse = d > 0 ? 1 / d : 0
    for (let j = 0; j < BLOCK; j++) {
      const v = values[i + j] as number
      const q = v * inverse + ROUND - ROUND
      const off = v - d * q
      out[at + 2 + j] = q
      error += off * off
      power += v * v
    }
  }
  loss.error = error
  loss.power = power
  return new Uint8Array(out.buffer)
}

/** Codes for a scale and a minimum, and the squared error that remains. */
const code = (v: Float32Array, at: number, d: number, m: number, q: Uint8Array): number => {
  const inverse = d > 0 ? 1 / d : 0
  let error = 0
  for (let j = 0; j < BLOCK; j++) {
    const value = v[at + j] as number
    const level = Math.max(0, Math.min(15, (value - m) * inverse + ROUND - ROUND))
    q[j] = level
    const off = value - d * level - m
    error += off * off
  }
  return error
}

/** The scale and minimum that fit the codes best, by least squares. */
const refit = (v: Float32Array, at: number, q: Uint8Array): [number, number] | undefined => {
  let sq = 0
  let sqq = 0
  let sv = 0
  let sqv = 0
  for (let j = 0; j < BLOCK; j++) {
    const level = q[j] as number
    const value = v[at + j] as number
    sq += level
    sqq += level * level
    sv += value
    sqv += level * value
  }
  const determinant = BLOCK * sqq - sq * sq
  if (determinant === 0) return undefined
  const d = (BLOCK * sqv - sq * sv) / determinant
  return d > 0 ? [d, (sv - d * sq) / BLOCK] : undefined
}

/**
 * Q4_1: binary16 d and m and 32 nibbles a block. Starts from the block's least and greatest
 * value and keeps two rounds of least squares where they help.
 * @param values whole blocks of 32
 */
export const roundToQ4_1 = (values: Float32Array, loss: Loss): Uint8Array => {
  const half = halfTable()
  const out = new Uint8Array((values.length / BLOCK) * 20)
  let q = new Uint8Array(BLOCK)
  let trial = new Uint8Array(BLOCK)
  for (let i = 0, at = 0; i < values.length; i += BLOCK, at += 20) {
    let low = Number.POSITIVE_INFINITY
    let high = Number.NEGATIVE_INFINITY
    for (let j = i; j < i + BLOCK; j++) {
      const v = values[j] as number
      loss.power += v * v
      if (v < low) low = v
      if (v > high) high = v
    }
    let d = toHalf(Math.min((high - low) / 15, HALF_MAX))
    let m = toHalf(Math.max(Math.min(low, HALF_MAX), -HALF_MAX))
    let error = code(values, i, half[d] as number, half[m] as number, q)
    for (let round = 0; round < 2; round++) {
      const fit = refit(values, i, q)
      if (!fit) break
      const d2 = toHalf(fit[0])
      const m2 = toHalf(fit[1])
      const error2 = code(values, i, half[d2] as number, half[m2] as number, trial)
      if (!(error2 < error)) break
      ;[d, m, error] = [d2, m2, error2]
      ;[q, trial] = [trial, q]
    }
    loss.error += error
    out[at] = d
    out[at + 1] = d >> 8
    out[at + 2] = m
    out[at + 3] = m >> 8
    for (let j = 0; j < 16; j++) out[at + 4 + j] = (q[j] as number) | ((q[j + 16] as number) << 4)
  }
  return out
}
