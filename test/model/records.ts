/** The plain forward pass over an imported model: its spec as documented, and its records. */
import { dequantize, typeByName } from '../../services/model/quants.ts'
import { layerRope, layerWindow, type Manifest } from '../../services/model/spec.ts'
import type { MemoryRecords } from '../fakes/records.ts'
import { type Matrix, ReferenceModel } from './forward.ts'

/** @returns a model that computes what the manifest and its records say */
export const referenceOf = (manifest: Manifest, store: MemoryRecords): ReferenceModel => {
  const { spec } = manifest
  const tensors = new Map<string, Matrix>()
  for (const ref of manifest.records) {
    const { bytes, tensors: found } = store.record(ref.sha256)
    for (const { name, type, rows, columns, offset, bytes: length } of found) {
      const part = bytes.subarray(offset, offset + length)
      const values = dequantize(typeByName(type), part, rows * columns)
      const file = name.endsWith('_bias') ? `${name.slice(0, -5)}.bias` : `${name}.weight`
      const prefix = ref.kind === 'layer' ? `blk.${ref.layer}.` : ''
      tensors.set(prefix + file, { rows, columns, values })
    }
  }
  return new ReferenceModel({
    layers: spec.layers,
    heads: spec.heads,
    kvHeads: spec.kvHeads,
    headDim: spec.headDim,
    epsilon: spec.normEpsilon,
    gelu: spec.activation === 'gelu',
    embeddingScale: spec.embeddingScale ?? 1,
    attentionScale: spec.attentionScale ?? 1 / Math.sqrt(spec.headDim),
    attentionSoftcap: spec.attentionSoftcap ?? 0,
    logitSoftcap: spec.logitSoftcap ?? 0,
    window: (layer) => layerWindow(spec, layer) ?? Number.POSITIVE_INFINITY,
    rotation: (layer) => {
      const { theta, dim, interleaved, factors, magnitude } = layerRope(spec, layer)
      const factor = (i: number) => factors?.[i] ?? 1
      return { theta, dim, neighbours: interleaved, magnitude: magnitude ?? 1, factor }
    },
    tensors,
  })
}
