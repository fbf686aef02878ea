/** 16-bit floats: conversion by table, since a weight file holds one for every few weights. */

let table: Float32Array | undefined

/** The value of each IEEE 754 binary16 pattern, at its index: 256 KiB, made at first use. */
export const halfTable = (): Float32Array => {
  if (!table) {
    const patterns = Uint16Array.from({ length: 65_536 }, (_, i) => i)
    table = Float32Array.from(new Float16Array(patterns.buffer))
  }
  return table
}

const one = new Float16Array(1)
const oneBits = new Uint16Array(one.buffer)

/** The binary16 pattern nearest to `value` (ties to even). */
export const toHalf = (value: number): number => {
  one[0] = value
  return oneBits[0] as number
}
