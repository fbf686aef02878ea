/**
 * A model's sizes before there is a file of it, from its shapes and the tensor types that
 * files of its kind have.
 */
import { runtimeBytes } from './blocks.ts'
import { type ExpectedRecord, modelRecords } from './layout.ts'
import { type TensorType, typeByName, typeBytes } from './quants.ts'
import type { ModelSpec, RecordRef } from './spec.ts'

/** Which types a file's matrices have: one for all, or llama.cpp's mixture of that name. */
export type Mix = 'Q8_0' | 'Q4_1' | 'Q4_K_M'

/** What is known of a model from its shapes. */
export type Sketch = {
  spec: ModelSpec
  parameters: number
  /** All tensors in their types; a file has its keys and tokens besides. */
  bytes: number
  records: Pick<RecordRef, 'kind' | 'layer' | 'runtimeBytes'>[]
}

const F32 = typeByName('F32')

/** Layers that keep two of their matrices in more bits: the outer ones and each third. */
const finer = (layer: number, layers: number): boolean => {
  const eighth = Math.floor(layers / 8)
  return layer < eighth || layer >= Math.floor((7 * layers) / 8) || (layer - eighth) % 3 === 2
}

const mixedType = (spec: ModelSpec, record: ExpectedRecord, tensor: string): string => {
  const { layer } = record
  if (layer === undefined) return tensor === 'output' || spec.tiedHead ? 'Q6_K' : 'Q4_K'
  const more = tensor === 'attn_v' || tensor === 'ffn_down'
  return more && finer(layer, spec.layers) ? 'Q6_K' : 'Q4_K'
}

/** Rows that are not whole blocks of 256 use the next larger type, with blocks of 32. */
const fallback: Readonly<Record<string, string>> = { Q4_K: 'Q5_0', Q6_K: 'Q8_0' }

const typeOf = (mix: Mix, spec: ModelSpec, record: ExpectedRecord, tensor: string): TensorType => {
  if (mix === 'Q8_0') return typeByName('Q8_0')
  // llama.cpp keeps 8 bits for an embedding that is also the head.
  if (mix === 'Q4_1') return typeByName(record.layer === undefined ? 'Q8_0' : 'Q4_1')
  const type = typeByName(mixedType(spec, record, tensor))
  const { columns = 0 } = record.tensors.find((t) => t.name === tensor) ?? {}
  return columns % type.elements === 0 ? type : typeByName(fallback[type.name] ?? 'Q8_0')
}

/** Sizes of a model of these shapes and types. */
export const sketch = (spec: ModelSpec, mix: Mix): Sketch => {
  let parameters = 0
  let bytes = 0
  const records = modelRecords(spec).map((record) => {
    let running = 0
    for (const { name, rows, columns } of record.tensors) {
      const type = rows === 1 ? F32 : typeOf(mix, spec, record, name)
      parameters += rows * columns
      bytes += typeBytes(type, rows, columns)
      running += runtimeBytes(type, rows, columns)
    }
    const { kind, layer } = record
    return { kind, ...(layer !== undefined && { layer }), runtimeBytes: running }
  })
  return { spec, parameters, bytes, records }
}
