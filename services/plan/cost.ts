/**
 * What a model's parts cost at run time: bytes of memory, and bytes read for a token. The
 * figures were measured on x64 (anonymous memory: what maps a file is not counted, since the
 * system may drop it) on models of 135M to 1.1B; see scripts/MEASUREMENTS.md.
 */
import type { Manifest, ModelSpec, RecordRef } from '../model/spec.ts'

export type ModelCost = {
  /** Runtime bytes of each layer's weights. */
  layers: number[]
  /** Runtime bytes of the head (read for every token), on the starter. */
  head: number
  /** KV bytes of one layer for one position of one sequence (fp32). */
  kvPosition: number
  /** A layer's working memory: its session and its arena. */
  layerWork: number
}

/** A layer's session and graph. */
const SESSION_BYTES = 1_000_000

/**
 * A layer's arena after a visit of 64 rows, for each element of the widths that it computes
 * (residual stream, Q with K and V, feed-forward): some 4.5 floats a row.
 */
const ARENA_BYTES = 64 * 4.5 * 4

/** The program with its threads and libraries, before there is a model. */
export const processBytes = 100_000_000

/** A token or a merge in the process that has the tokenizer, with what making it leaves behind. */
const TOKENIZER_ENTRY_BYTES = 240

/** Positions reserved for each sequence when a split is planned; caches grow as needed. */
export const PLANNED_POSITIONS = 1_024

/** What the costs are computed from. A manifest has it. */
export type Costed = {
  spec: ModelSpec
  records: readonly Pick<RecordRef, 'kind' | 'layer' | 'runtimeBytes'>[]
  text?: Pick<Manifest['text'], 'tokenizer'>
}

/** KV bytes of one layer for one position: K and V of every head, in fp32. */
export const kvPosition = (spec: ModelSpec): number => spec.kvHeads * spec.headDim * 2 * 4

const layerWork = ({ hidden, heads, kvHeads, headDim, feedForward }: ModelSpec): number =>
  SESSION_BYTES + ARENA_BYTES * (hidden + (heads + 2 * kvHeads) * headDim + feedForward)

/** Costs from the manifest. The embedding takes no memory: it is read row by row from its file. */
export const modelCost = ({ spec, records }: Costed): ModelCost => {
  const layers = Array.from({ length: spec.layers }, (_, i) => {
    const ref = records.find((r) => r.kind === 'layer' && r.layer === i)
    return ref?.runtimeBytes ?? 0
  })
  const bytesOf = (kind: 'head' | 'embedding') =>
    records.find((r) => r.kind === kind)?.runtimeBytes ?? 0
  return {
    layers,
    head: bytesOf('head') + (spec.tiedHead ? bytesOf('embedding') : 0),
    kvPosition: kvPosition(spec),
    layerWork: layerWork(spec),
  }
}

const mergesOf = (tokenizer: unknown): number | undefined => {
  const merges = (tokenizer as { model?: { merges?: unknown } } | null | undefined)?.model?.merges
  return Array.isArray(merges) ? merges.length : undefined
}

/**
 * Memory beside the model's in the process that owns the requests (a ring of one, a
 * coordinator, a gateway): the program, and the tokenizer. Where the tokenizer is not known
 * yet, it has as many merges as tokens.
 */
export const ownerBytes = ({ spec, text }: Costed): number =>
  processBytes + TOKENIZER_ENTRY_BYTES * (spec.vocab + (mergesOf(text?.tokenizer) ?? spec.vocab))

/** Memory of a whole model in one process, with the cache of one sequence. */
export const aloneBytes = (model: Costed, positions: number): number => {
  const { layers, head, kvPosition, layerWork } = modelCost(model)
  const weights = layers.reduce((a, b) => a + b, 0) + head
  return ownerBytes(model) + weights + layers.length * (layerWork + kvPosition * positions)
}
