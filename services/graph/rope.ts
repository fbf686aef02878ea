/** Tables of the rotary position embedding (RoFormer, arXiv 2104.09864; Llama 3's scaling). */
import type { RopeSpec } from '../model/spec.ts'

/** cos and sin, `[positions, dim / 2]` row-major. */
export type RopeTables = { cos: Float32Array; sin: Float32Array; half: number }

/**
 * Computes cos and sin for positions 0 to `positions − 1`, in float64 before rounding.
 * They are inputs of every layer's graph, one table a node: as constants each session
 * would hold a copy.
 */
export const ropeTables = (rope: RopeSpec, positions: number): RopeTables => {
  const half = rope.dim / 2
  const magnitude = rope.magnitude ?? 1
  const cos = new Float32Array(positions * half)
  const sin = new Float32Array(positions * half)
  const frequency = Float64Array.from(
    { length: half },
    (_, i) => rope.theta ** ((-2 * i) / rope.dim) / (rope.factors?.[i] ?? 1),
  )
  for (let p = 0; p < positions; p++) {
    for (let i = 0; i < half; i++) {
      const angle = p * (frequency[i] as number)
      cos[p * half + i] = magnitude * Math.cos(angle)
      sin[p * half + i] = magnitude * Math.sin(angle)
    }
  }
  return { cos, sin, half }
}
