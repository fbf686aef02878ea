/**
 * Plans a record's runtime form: which tensors are stacked into one product, in which form
 * each runs, and where every piece stands in the file that the runtime maps.
 */
import { MdiError } from '../errors.ts'
import { typeByName } from '../model/quants.ts'
import type { RecordTensor } from '../model/record.ts'
import {
  type BlockShape,
  FileLayout,
  type FormChoice,
  type MatrixPlan,
  planMatrix,
} from './forms.ts'

/** Integer blocks of a tensor's type, or plain float32. */
export const blockShape = (type: string): BlockShape | 'f32' => {
  const form = typeByName(type).form
  return form ? { bits: form.bits, block: form.block, offsets: form.offset } : 'f32'
}

/** Matrices of a record, by the name of the first tensor each of them holds. */
export type RecordPlan = {
  matrices: Map<string, MatrixPlan>
  /** Names of the vectors, which are carried inside the graph. */
  vectors: string[]
  /** Length of the runtime file. */
  bytes: number
}

/** Tensors that share their input and are stacked where their forms agree. */
export const stacks: readonly (readonly string[])[] = [
  ['attn_q', 'attn_k', 'attn_v'],
  ['attn_output'],
  ['ffn_gate', 'ffn_up'],
  ['ffn_down'],
  ['output'],
  ['token_embd'],
]

const sameShape = (a: BlockShape | 'f32', b: BlockShape | 'f32'): boolean =>
  a === 'f32' || b === 'f32'
    ? a === b
    : a.bits === b.bits && a.block === b.block && a.offsets === b.offsets

/** Plans the file of one record under a choice of forms. */
export const planRecord = (tensors: readonly RecordTensor[], choice: FormChoice): RecordPlan => {
  const byName = new Map(tensors.map((t) => [t.name, t]))
  const layout = new FileLayout()
  const matrices = new Map<string, MatrixPlan>()
  const used = new Set<string>()
  for (const stack of stacks) {
    const present = stack.flatMap((name) => byName.get(name) ?? [])
    for (const run of runsOfSameShape(present)) {
      const first = run[0] as RecordTensor
      const shape = blockShape(first.type)
      matrices.set(first.name, planMatrix(run, first.columns, shape, choice, layout))
      for (const t of run) used.add(t.name)
    }
  }
  const vectors = tensors.filter((t) => !used.has(t.name)).map((t) => t.name)
  return { matrices, vectors, bytes: layout.bytes }
}

const runsOfSameShape = (tensors: readonly RecordTensor[]): RecordTensor[][] => {
  const runs: RecordTensor[][] = []
  for (const t of tensors) {
    const last = runs.at(-1)?.[0]
    if (last && last.columns === t.columns && sameShape(blockShape(last.type), blockShape(t.type)))
      runs.at(-1)?.push(t)
    else runs.push([t])
  }
  return runs
}

/** The matrices that hold a stack's tensors, in order. Throws where one is missing. */
export const matricesOf = (plan: RecordPlan, stack: readonly string[]): MatrixPlan[] => {
  const found = stack.flatMap((name) => plan.matrices.get(name) ?? [])
  const held = found.flatMap((m) => m.tensors)
  const missing = stack.find((name) => !held.includes(name))
  if (missing !== undefined)
    throw new MdiError(
      'bad-file',
      `A weight record lacks its tensor ${missing}; import the model again.`,
    )
  return found
}
