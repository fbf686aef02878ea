/** Checks that weights are finite, without unpacking quantized blocks. */
import type { TensorType } from './quants.ts'

/** Bytes from a block's start to the high byte of each of its binary16 numbers. */
const halves: Readonly<Record<string, readonly number[]>> = {
  F16: [1],
  Q4_0: [1],
  Q4_1: [1, 3],
  Q5_0: [1],
  Q5_1: [1, 3],
  Q8_0: [1],
  Q2_K: [81, 83],
  Q3_K: [109],
  Q4_K: [1, 3],
  Q5_K: [1, 3],
  Q6_K: [209],
  IQ4_NL: [1],
}

/** An exponent of all ones is infinite or no number. */
const HALF_ONES = 0x7c

const wideFinite = (bytes: Uint8Array, size: number): boolean => {
  // The upper two bytes of an fp32 are a BF16: sign, 8 bits of exponent, 7 of fraction.
  for (let at = size - 2; at < bytes.length; at += size)
    if (((bytes[at + 1] as number) & 0x7f) === 0x7f && (bytes[at] as number) >= 0x80) return false
  return true
}

/** Whether every number is finite, of values or of the scales and minima of whole blocks. */
export const allFinite = (type: TensorType, bytes: Uint8Array): boolean => {
  const places = halves[type.name]
  if (!places) return wideFinite(bytes, type.bytes)
  for (const place of places)
    for (let at = place; at < bytes.length; at += type.bytes)
      if (((bytes[at] as number) & HALF_ONES) === HALF_ONES) return false
  return true
}
