/** Imports a model file or folder: everything about it is checked first, then its records are written. */
import { createHash } from 'node:crypto'
import { MdiError } from '../errors.ts'
import { specFromGguf } from './architecture.ts'
import { familyOfConfig, specFromConfig } from './config.ts'
import { missing } from './family.ts'
import { type Folder, readFolderJson, readShards } from './folder.ts'
import { textSpecFromFolder } from './foldertext.ts'
import { type GgufFile, type GgufMetadata, type GgufTensor, readGguf } from './gguf.ts'
import { freeName } from './modelname.ts'
import { locateGguf, locateSafetensors } from './names.ts'
import { typeBytes } from './quants.ts'
import { type ByteSource, joined } from './source.ts'
import type { Manifest, TextSpec } from './spec.ts'
import { tensorFinder } from './tensors.ts'
import { type RecordStore, type WriteOptions, type WriteReport, writeModel } from './writer.ts'

export type ImportOptions = WriteOptions & {
  /** The name by which a person will call the model; absent: its file's (`freeName`). */
  name?: string
  /** The file's SHA-256, where it was computed; for the manifest. */
  sha256?: string
  /** Reads tokenizer and chat template from a GGUF file's keys. */
  textSpec(metadata: GgufMetadata): TextSpec
  /**
   * Tries the text side before anything is written, and may amend it; absent: it is not tried.
   * @param keys a GGUF file's
   */
  prepareText?(name: string, text: TextSpec, vocab: number, keys?: GgufMetadata): Promise<TextSpec>
}

/** Bytes read at a time for the identity. */
const HASH_STEP = 1024 * 1024
/** Bytes of each tensor's start that count for the identity. */
const SAMPLE = 1024

/** A file of tensors: what counts for its identity. */
export type Sampled = {
  source: ByteSource
  /** Bytes before the tensors' data. */
  header: number
  tensors: Iterable<{ offset: number; bytes: number }>
}

/**
 * Identifies files by their content without reading all of it: by their lengths, and a SHA-256 of
 * their headers and of each tensor's first bytes. Headers alone would not do: two trainings of
 * one model have the same.
 */
export const identityOf = async (files: readonly Sampled[]): Promise<string> => {
  const hash = createHash('sha256')
  let size = 0
  for (const { source, header, tensors } of files) {
    size += source.size
    hash.update(`${source.size}\n`)
    const end = Math.min(header, source.size)
    for (let at = 0; at < end; at += HASH_STEP)
      hash.update(await source.read(at, Math.min(HASH_STEP, end - at)))
    for (const tensor of tensors)
      hash.update(await source.read(tensor.offset, Math.min(SAMPLE, tensor.bytes)))
  }
  return `${size}-${hash.digest('hex')}`
}

/** Whether a model of the store has that content. */
const ofIdentity =
  (identity: string) =>
  ({ source }: Manifest): boolean =>
    source.identity === identity

/** Tensors of rotary constants, which files may hold beside the records'. */
const idle = (name: string): boolean =>
  /(^|\.)(rope_freqs|rope_factors_(long|short))\.weight$/.test(name) ||
  name.endsWith('.attn_rot_embd')

const indexOf = (source: ByteSource, gguf: GgufFile) =>
  new Map([...gguf.tensors].map(([name, tensor]) => [name, { ...tensor, source }]))

type Parts = { source: ByteSource; gguf: GgufFile; sampled: Sampled[] }

/** A model's files as one: keys of the first, tensors of all. */
const readParts = async (sources: readonly ByteSource[]): Promise<Parts> => {
  const ggufs = await Promise.all(sources.map(readGguf))
  const [first] = ggufs
  const source = joined(sources)
  if (!first) throw new Error('a model has one file at least')
  const tensors = new Map<string, GgufTensor>()
  let start = 0
  for (const [i, gguf] of ggufs.entries()) {
    const part = sources[i] as ByteSource
    const count = gguf.metadata.get('split.count') ?? 1
    const number = gguf.metadata.get('split.no') ?? 0
    if (count !== sources.length && !(count === 0 && sources.length === 1))
      throw new MdiError(
        'bad-file',
        `${part.name} is one of ${count} files of a model; all of them must stand beside each other under their names.`,
      )
    if (number !== i)
      throw new MdiError('bad-file', `${part.name} says that it is file ${Number(number) + 1}.`)
    for (const [name, tensor] of gguf.tensors) {
      if (tensors.has(name))
        throw new MdiError(
          'bad-file',
          `${part.name}: the tensor ${JSON.stringify(name)} stands in two files.`,
        )
      tensors.set(name, { ...tensor, offset: tensor.offset + start })
    }
    start += part.size
  }
  const sampled = ggufs.map((gguf, i) => ({
    source: sources[i] as ByteSource,
    header: gguf.dataOffset,
    tensors: gguf.tensors.values(),
  }))
  return { source, gguf: { ...first, tensors }, sampled }
}

/**
 * Imports a GGUF file into the store, or a model that is split over several, in their order.
 * Errors: `bad-file`, `unsupported`, and those of the store; the store then holds no model
 * of this file, and an import of the same file goes on where this one stopped.
 */
export const importGguf = async (
  files: ByteSource | readonly ByteSource[],
  store: RecordStore,
  options: ImportOptions,
): Promise<WriteReport> => {
  const { source, gguf, sampled } = await readParts('read' in files ? [files] : files)
  const { spec, family } = await specFromGguf(source, gguf)
  const find = tensorFinder(source.name, indexOf(source, gguf), spec, family, {
    locate: locateGguf(spec, family),
    idle,
    lackOne: false,
  })
  const { sha256 } = options
  const read = options.textSpec(gguf.metadata)
  const text = (await options.prepareText?.(source.name, read, spec.vocab, gguf.metadata)) ?? read
  const identity = await identityOf(sampled)
  const work = {
    name: options.name ?? (await freeName(store, source.name, ofIdentity(identity))),
    spec,
    text,
    source: { file: source.name, bytes: source.size, ...(sha256 && { sha256 }) },
    identity,
    version: source.version ?? '',
    find,
  }
  return writeModel(work, store, options)
}

/** Tensors that are not the text model's, or are constants. */
const foreign = (name: string): boolean =>
  /(^|\.)(vision_tower|vision_model|vision_embed_tokens|multi_modal_projector)\./.test(name) ||
  name.endsWith('rotary_emb.inv_freq')

const EMBEDDING = 'embed_tokens.weight'

/**
 * Imports a folder with config.json, a tokenizer and safetensors files.
 * Errors: as `importGguf`.
 */
export const importSafetensors = async (
  folder: Folder,
  store: RecordStore,
  options: ImportOptions,
): Promise<WriteReport> => {
  const config = await readFolderJson(folder, 'config.json')
  if (!config) throw new MdiError('bad-file', `${folder.name} has no config.json.`)
  const { family, text } = familyOfConfig(folder.name, config)
  const shards = await readShards(folder, foreign)
  const index = new Map(shards.flatMap((shard) => [...shard.tensors]))
  const embedding = [...index.keys()].find((name) => name.endsWith(EMBEDDING))
  if (embedding === undefined) throw missing(folder.name, `model.${EMBEDDING}`)
  const prefix = embedding.slice(0, -EMBEDDING.length)
  const head = [...index.keys()].find((name) => name.endsWith('lm_head.weight')) ?? 'lm_head.weight'
  const spec = specFromConfig(folder.name, family, text, {
    vocab: index.get(embedding)?.rows ?? 0,
    head: index.has(head),
    qkvBias: index.has(`${prefix}layers.0.self_attn.q_proj.bias`),
  })
  const find = tensorFinder(folder.name, index, spec, family, {
    locate: locateSafetensors(spec, family, prefix, head),
    // A tied model's file may hold the embedding a second time.
    idle: (name) => spec.tiedHead && name === head,
    lackOne: family.normsLackOne ?? false,
  })
  const sampled = shards.map(({ source, header, tensors }) => ({
    source,
    header,
    tensors: [...tensors.values()].map((t) => ({
      offset: t.offset,
      bytes: typeBytes(t.type, t.rows, t.columns),
    })),
  }))
  const bytes = shards.reduce((sum, shard) => sum + shard.source.size, 0)
  const read = await textSpecFromFolder(folder, text, spec.vocab, options.textSpec)
  const textSpec = (await options.prepareText?.(folder.name, read, spec.vocab)) ?? read
  const identity = await identityOf(sampled)
  const work = {
    name: options.name ?? (await freeName(store, folder.name, ofIdentity(identity))),
    spec,
    text: textSpec,
    source: { file: folder.name, bytes },
    identity,
    version: shards.map(({ source }) => source.version ?? '').join(),
    find,
  }
  return writeModel(work, store, options)
}
