/** Engines over small random models, in the test's own process. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { OrtEngine } from '../../services/io/ort/engine.ts'
import { writeForms } from '../../services/io/ort/keptforms.ts'
import type { RecordSource } from '../../services/io/ort/materialize.ts'
import { importGguf } from '../../services/model/import.ts'
import { memorySource } from '../../services/model/source.ts'
import type { Manifest } from '../../services/model/spec.ts'
import type { RandomOptions, RandomShape } from '../../services/model/synthetic.ts'
import { textSpecFromGguf } from '../../services/model/text.ts'
import type { WriteOptions } from '../../services/model/writer.ts'
import type { Arithmetic, Engine, KvOperation, Segment } from '../../services/ports.ts'
import { randomModel } from './model.ts'
import { MemoryRecords } from './records.ts'

/** Small, and wide enough for blocks of 256. */
export const engineShape: Partial<RandomShape> = {
  layers: 2,
  hidden: 256,
  heads: 8,
  kvHeads: 2,
  headDim: 32,
  feedForward: 512,
  vocab: 300,
  context: 256,
}

export type TestModel = { file: Uint8Array; manifest: Manifest; source: RecordSource }

/** A random model, imported. */
export const testModel = async (
  shape: Partial<RandomShape> = {},
  options: RandomOptions = {},
  rounding: WriteOptions['rounding'] = 'keep',
): Promise<TestModel> => {
  const file = await randomModel({ ...engineShape, ...shape }, options)
  const store = new MemoryRecords()
  const { manifest } = await importGguf(memorySource(file), store, {
    textSpec: textSpecFromGguf,
    ...(rounding !== undefined && { rounding }),
  })
  const source: RecordSource = {
    header: (sha256) => store.record(sha256).tensors,
    read: (sha256, offset, length) => store.record(sha256).bytes.slice(offset, offset + length),
    release: () => undefined,
  }
  return { file, manifest, source }
}

/** A folder for runtime files in which the choice of forms is made already. */
export const runtimeFolder = (q8: 'q8' | 'q8split' = 'q8split'): string => {
  const folder = mkdtempSync(join(tmpdir(), 'mdi-engine-'))
  const cpu = `${process.arch} ${cpus()[0]?.model ?? ''}`
  for (const arithmetic of ['exact', 'fast'] as const)
    writeFileSync(
      join(folder, `forms-${arithmetic}.json`),
      writeForms({ cpu, choice: { arithmetic, q8 }, times: { q4: 1, q8: 1, q8split: 1 } }),
    )
  return folder
}

export type Part = {
  first?: number
  end?: number
  ends?: boolean
  arithmetic?: Arithmetic
  context?: number
  q8?: 'q8' | 'q8split'
}

/** Runs `use` with an engine that has the model's layers loaded. */
export const withEngine = async <T>(
  { manifest, source }: TestModel,
  part: Part,
  use: (engine: OrtEngine, folder: string) => Promise<T>,
): Promise<T> => {
  const folder = runtimeFolder(part.q8)
  const engine = new OrtEngine({ source, folder, threads: 1 })
  try {
    const { first = 0, end = manifest.spec.layers, ends = true } = part
    const { arithmetic = 'exact', context = manifest.spec.context } = part
    await engine.load({ manifest, first, end, ends, arithmetic, context })
    return await use(engine, folder)
  } finally {
    await engine.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** One sequence's rows in a visit. */
export const rows = (sequence: number, position: number, rows: number, wanted = rows): Segment => ({
  sequence,
  branch: 0,
  position,
  rows,
  wanted,
})

export const open = (sequence: number): KvOperation => ({ kind: 'open', sequence })

/** Log-probabilities of every token, after each wanted row. */
export const score = async (
  engine: Engine,
  vocab: number,
  operations: readonly KvOperation[],
  segments: readonly Segment[],
  tokens: readonly number[],
): Promise<number[][]> => {
  const ids = Array.from({ length: vocab }, (_, i) => i)
  const wanted = segments.reduce((sum, s) => sum + s.wanted, 0)
  const out = await engine.run({
    operations,
    segments,
    input: Int32Array.from(tokens),
    output: 'wanted',
    head: Array.from({ length: wanted }, () => ({ kind: 'score' as const, ids })),
  })
  if (!('results' in out)) throw new Error('no results')
  return out.results.map((r) => r.logprobs as number[])
}

/** Activations that come out of layers. */
export const activations = async (
  engine: Engine,
  operations: readonly KvOperation[],
  segments: readonly Segment[],
  input: Int32Array | Float32Array,
  output: 'rows' | 'wanted' = 'rows',
): Promise<Float32Array> => {
  const out = await engine.run({ operations, segments, input, output })
  if (!('x' in out)) throw new Error('no activations')
  return out.x
}

/** The largest difference of two lists of numbers. */
export const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  if (a.length !== b.length) throw new Error(`${a.length} numbers against ${b.length}`)
  let most = 0
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs((a[i] as number) - (b[i] as number))
    // Not a number is as wrong as can be.
    if (!(d <= most)) most = Number.isNaN(d) ? Number.POSITIVE_INFINITY : d
  }
  return most
}
