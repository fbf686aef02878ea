/**
 * A model outside of a store, for carrying it to boards without a network: a folder with
 * `mdi-model.json`, which holds the manifest, and each weight record in a file of its own
 * under its SHA-256. It comes from strangers' sticks, so all of it is checked.
 */
import { z } from 'zod'
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { modelRecords } from './layout.ts'
import { typeByName, typeBytes } from './quants.ts'
import type { RecordTensor } from './record.ts'
import type { Manifest, RecordRef } from './spec.ts'

/** The file that makes a folder an exported model. */
export const EXPORT_FILE = 'mdi-model.json'
/** 2: records are named by their chunks' hashes. */
const FORMAT = 2

const count = (most: number) => z.int().min(1).max(most)
const positive = z.number().positive()

const ropeSchema = z.strictObject({
  theta: positive,
  dim: count(limits.modelHidden).multipleOf(2),
  interleaved: z.boolean(),
  factors: z.array(positive).max(limits.modelHidden).optional(),
  magnitude: positive.optional(),
})

const flag = z.literal(true).optional()

const specSchema = z.strictObject({
  family: z.string().min(1).max(40),
  layers: count(limits.modelLayers),
  hidden: count(limits.modelHidden),
  heads: count(limits.modelHidden),
  kvHeads: count(limits.modelHidden),
  headDim: count(limits.modelHidden),
  feedForward: count(limits.modelFeedForward),
  vocab: count(limits.modelVocab),
  context: count(limits.modelContext),
  normEpsilon: positive,
  rope: ropeSchema,
  tiedHead: z.boolean(),
  qkvBias: flag,
  headNorms: flag,
  postNorms: flag,
  activation: z.literal('gelu').optional(),
  embeddingScale: positive.optional(),
  attentionScale: positive.optional(),
  attentionSoftcap: positive.optional(),
  logitSoftcap: positive.optional(),
  window: z
    .strictObject({
      size: count(limits.modelContext),
      layers: z.array(z.int().min(0)).max(limits.modelLayers),
      rope: ropeSchema.optional(),
    })
    .optional(),
})

const token = z.int().min(0).max(limits.modelVocab)
const textSchema = z.strictObject({
  tokenizer: z.unknown(),
  tokenizerConfig: z.unknown(),
  chatTemplate: z.string().optional(),
  plainChat: z.boolean().optional(),
  bosToken: z.string().optional(),
  eosToken: z.string().optional(),
  endIds: z.array(token).max(64),
  addBos: z.boolean(),
  bosId: token.optional(),
  besideNames: z.array(z.string()).max(limits.modelBesideNames).optional(),
  intentProbability: z.number().min(0).max(1).optional(),
})

const hash = z.string().regex(/^[0-9a-f]{64}$/)
const bytes = z.int().min(0)
const manifestSchema = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/),
  spec: specSchema,
  text: textSchema,
  records: z.array(
    z.strictObject({
      kind: z.enum(['embedding', 'layer', 'head']),
      layer: z.int().min(0).optional(),
      sha256: hash,
      bytes: count(limits.recordBytes),
      runtimeBytes: bytes,
    }),
  ),
  source: z.strictObject({
    file: z.string().max(1_024),
    sha256: hash.optional(),
    identity: z.string().max(100).optional(),
    bytes,
  }),
  parameters: bytes,
  types: z.record(z.string().max(40), bytes),
})

const exportSchema = z.strictObject({ format: z.literal(FORMAT), manifest: manifestSchema })

/** The content of `EXPORT_FILE`. */
export const writeExport = (manifest: Manifest): string =>
  `${JSON.stringify({ format: FORMAT, manifest })}\n`

const damaged = (name: string, what: string): MdiError =>
  new MdiError('bad-file', `${name} is no exported model, or it is damaged: ${what}.`)

/**
 * Reads `EXPORT_FILE`. @param name the folder's, for sentences
 * @throws MdiError `bad-file`, `unsupported` (made by another version)
 */
export const readExport = (name: string, text: string): Manifest => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw damaged(name, `${EXPORT_FILE} is not JSON`)
  }
  const format = (value as { format?: unknown } | null)?.format
  if (typeof format === 'number' && format > FORMAT)
    throw new MdiError('unsupported', `${name} was exported by a later version of mdi: update it.`)
  if (typeof format === 'number' && format < FORMAT)
    throw new MdiError(
      'unsupported',
      `${name} was exported by an earlier version of mdi: import the model's file and export it again.`,
    )
  const result = exportSchema.safeParse(value)
  if (!result.success) {
    const [issue] = result.error.issues
    throw damaged(name, `${issue?.path.join('.')}: ${issue?.message}`)
  }
  const manifest = result.data.manifest as Manifest
  const { spec, records } = manifest
  if (spec.heads % spec.kvHeads !== 0 || spec.rope.dim > spec.headDim)
    throw damaged(name, 'its heads make no sense')
  for (const { dim, factors } of [spec.rope, ...(spec.window?.rope ? [spec.window.rope] : [])])
    if (factors && factors.length !== dim / 2) throw damaged(name, 'its rope factors make no sense')
  if (spec.window?.layers.some((layer) => layer >= spec.layers))
    throw damaged(name, 'it has a window in a layer that it has not')
  const expected = modelRecords(spec)
  const fits =
    records.length === expected.length &&
    expected.every((e, i) => records[i]?.kind === e.kind && records[i]?.layer === e.layer)
  if (!fits) throw damaged(name, 'it does not list the records of its layers')
  return manifest
}

/** Checks that a record holds the tensors that its place in the model needs. */
export const checkRecord = (
  name: string,
  manifest: Manifest,
  ref: RecordRef,
  tensors: readonly RecordTensor[],
): void => {
  const expected = modelRecords(manifest.spec)[manifest.records.indexOf(ref)]
  const sane = (t: RecordTensor): boolean => {
    try {
      const type = typeByName(t.type)
      return t.columns % type.elements === 0 && t.bytes === typeBytes(type, t.rows, t.columns)
    } catch {
      return false
    }
  }
  const fits =
    expected?.tensors.length === tensors.length &&
    expected.tensors.every((e) =>
      tensors.some((t) => t.name === e.name && t.rows === e.rows && t.columns === e.columns),
    ) &&
    tensors.every(sane)
  if (!fits) throw damaged(name, `the record ${ref.sha256} is of another model`)
}
