/** Imports a model file: everything about it is checked first, then its records are written. */
import { createHash } from 'node:crypto'
import { MdiError } from '../errors.ts'
import { missing, specFromGguf } from './family.ts'
import { type GgufFile, type GgufMetadata, readGguf } from './gguf.ts'
import { type ExpectedRecord, ggufName, modelRecords } from './layout.ts'
import type { ByteSource } from './source.ts'
import type { ModelSpec, TextSpec } from './spec.ts'
import {
  type FoundTensor,
  type RecordStore,
  type WriteOptions,
  type WriteReport,
  writeModel,
} from './writer.ts'

export type ImportOptions = WriteOptions & {
  /** The name by which a person will call the model; from the file's name if absent. */
  name?: string
  /** Reads tokenizer and chat template from the file's keys. */
  textSpec(metadata: GgufMetadata): TextSpec
}

/** Bytes read at a time for the identity. */
const HASH_STEP = 1024 * 1024
/** Bytes of each tensor's start that count for the identity. */
const SAMPLE = 1024

/** A model's name from its file's: without the ending, of letters, digits and `. _ -`. */
export const modelName = (file: string): string =>
  file
    .replace(/\.(gguf|safetensors)$/i, '')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[-.]+/, '')
    .slice(0, 100) || 'model'

/**
 * Tells a file's content from any other without reading all of it: its length, and the
 * SHA-256 of its header and of each tensor's first bytes, since two trainings of one
 * model have equal headers.
 */
const identityOf = async (source: ByteSource, gguf: GgufFile): Promise<string> => {
  const hash = createHash('sha256')
  const header = Math.min(gguf.dataOffset, source.size)
  for (let at = 0; at < header; at += HASH_STEP)
    hash.update(await source.read(at, Math.min(HASH_STEP, header - at)))
  for (const tensor of gguf.tensors.values())
    hash.update(await source.read(tensor.offset, Math.min(SAMPLE, tensor.bytes)))
  return `${source.size}-${hash.digest('hex')}`
}

const finder =
  (source: ByteSource, gguf: GgufFile) =>
  (record: ExpectedRecord, name: string): FoundTensor => {
    const expected = record.tensors.find((t) => t.name === name)
    const full = ggufName(record, name)
    const found = gguf.tensors.get(full)
    if (!found || !expected) throw missing(source.name, full)
    if (found.rows !== expected.rows || found.columns !== expected.columns)
      throw new MdiError(
        'bad-file',
        `${source.name}: the tensor ${JSON.stringify(full)} is ${found.rows} × ${found.columns}, but its keys make it ${expected.rows} × ${expected.columns}.`,
      )
    const { offset, type, rows, columns } = found
    return { source, offset, type, rows, columns }
  }

/** Tensors that a file may hold beside the records'. */
const idle = (name: string): boolean =>
  name === 'rope_freqs.weight' ||
  name.endsWith('.attn_rot_embd') ||
  name.endsWith('.rope_freqs.weight')

/** A tensor that nothing would compute with means a model that would speak nonsense. */
const refuseUnknown = (source: ByteSource, gguf: GgufFile, spec: ModelSpec): void => {
  const known = new Set(
    modelRecords(spec).flatMap((record) => record.tensors.map((t) => ggufName(record, t.name))),
  )
  for (const name of gguf.tensors.keys())
    if (!known.has(name) && !idle(name))
      throw new MdiError(
        'unsupported',
        `${source.name}: the tensor ${JSON.stringify(name)} is not supported in a model of the family ${spec.family}.`,
      )
}

/**
 * Imports a GGUF file into the store.
 * Errors: `bad-file`, `unsupported`, and those of the store; the store then holds no model
 * of this file, and an import of the same file goes on where this one stopped.
 */
export const importGguf = async (
  source: ByteSource,
  store: RecordStore,
  options: ImportOptions,
): Promise<WriteReport> => {
  const gguf = await readGguf(source)
  const spec = await specFromGguf(source, gguf)
  const find = finder(source, gguf)
  for (const record of modelRecords(spec)) for (const t of record.tensors) find(record, t.name)
  refuseUnknown(source, gguf, spec)
  return writeModel(
    {
      name: options.name ?? modelName(source.name),
      spec,
      text: options.textSpec(gguf.metadata),
      source: { file: source.name, bytes: source.size },
      identity: await identityOf(source, gguf),
      find,
    },
    store,
    options,
  )
}
