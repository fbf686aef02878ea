/** Finds a file's tensors for the records, and checks them against the spec. */
import { MdiError } from '../errors.ts'
import { type Family, missing, unsupported } from './family.ts'
import { type ExpectedRecord, modelRecords } from './layout.ts'
import type { Locate } from './names.ts'
import { typeBytes } from './quants.ts'
import type { ModelSpec } from './spec.ts'
import type { FoundTensor } from './writer.ts'

/** Tensors by their names in the file. */
export type TensorIndex = ReadonlyMap<string, FoundTensor>

/** Finds each record's tensors. */
export type Find = (record: ExpectedRecord, tensor: string) => FoundTensor

/**
 * Makes a finder. It checks everything first: each tensor is there with its shape, and the file
 * has no tensor that would not be used.
 * @param idle tensors that a file may hold beside the model's
 * @param lackOne whether norms are stored without their 1
 */
export const tensorFinder = (
  file: string,
  index: TensorIndex,
  spec: ModelSpec,
  family: Family,
  options: { locate: Locate; idle(name: string): boolean; lackOne: boolean },
): Find => {
  const used = new Set<string>()
  const find: Find = (record, tensor) => {
    const place = options.locate(record, tensor)
    const found = index.get(place.name)
    if (!found) throw missing(file, place.name)
    if (found.rows !== place.totalRows || found.columns !== place.columns)
      throw new MdiError(
        'bad-file',
        `${file}: the tensor ${JSON.stringify(place.name)} is ${found.rows} × ${found.columns}, but by its description it is ${place.totalRows} × ${place.columns}.`,
      )
    used.add(place.name)
    const rows = record.tensors.find((t) => t.name === tensor)?.rows ?? found.rows
    const offset = found.offset + typeBytes(found.type, place.firstRow, found.columns)
    const plus = options.lackOne && tensor.endsWith('norm') ? { plus: 1 } : {}
    return { ...found, offset, rows, ...plus }
  }
  for (const record of modelRecords(spec)) for (const t of record.tensors) find(record, t.name)
  for (const name of index.keys())
    if (!used.has(name) && !options.idle(name))
      throw unsupported(
        file,
        `the tensor ${JSON.stringify(name)} is not supported in a model of the family ${family.name}`,
      )
  return find
}
