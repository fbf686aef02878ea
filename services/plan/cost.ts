/** What a model's parts cost at run time: bytes of memory, and bytes read for a token. */
import type { ModelSpec, RecordRef } from '../model/spec.ts'

export type ModelCost = {
  /** Runtime bytes of each layer's weights. */
  layers: number[]
  /** Runtime bytes of the head (read for every token), on the starter. */
  head: number
  /** KV bytes of one layer for one position of one sequence (fp32). */
  kvPosition: number
}

/**
 * A layer's memory besides its weights: session, graph and the runtime's buffers.
 * Measured on models of 135M to 1.1B; see ARCHITECTURE.md.
 */
export const LAYER_OVERHEAD = 2 << 20

/** Positions reserved for each sequence when a split is planned; caches grow as needed. */
export const PLANNED_POSITIONS = 1_024

/** What the costs follow from; a manifest has it. */
export type Costed = {
  spec: ModelSpec
  records: readonly Pick<RecordRef, 'kind' | 'layer' | 'runtimeBytes'>[]
}

/** KV bytes of one layer for one position: K and V of every head, in fp32. */
export const kvPosition = (spec: ModelSpec): number => spec.kvHeads * spec.headDim * 2 * 4

/** Costs from the manifest. The embedding is read row by row from its file: no memory. */
export const modelCost = ({ spec, records }: Costed): ModelCost => {
  const layers = Array.from({ length: spec.layers }, (_, i) => {
    const ref = records.find((r) => r.kind === 'layer' && r.layer === i)
    return (ref?.runtimeBytes ?? 0) + LAYER_OVERHEAD
  })
  const bytesOf = (kind: 'head' | 'embedding') =>
    records.find((r) => r.kind === kind)?.runtimeBytes ?? 0
  return {
    layers,
    head: bytesOf('head') + (spec.tiedHead ? bytesOf('embedding') : 0),
    kvPosition: kvPosition(spec),
  }
}
