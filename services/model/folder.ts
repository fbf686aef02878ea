/** A folder as model hubs have it: config.json, a tokenizer, safetensors files. */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { readSafetensors, type SafetensorsFile } from './safetensors.ts'
import { SNIFFED, whatIs } from './sniff.ts'
import type { ByteSource } from './source.ts'

/** The files of one folder, by their names; none below it. */
export interface Folder {
  /** The folder's own name, for messages. */
  readonly name: string
  /** Opens a file; undefined where there is none of that name. */
  open(file: string): Promise<ByteSource | undefined>
}

export type Json = Record<string, unknown>

/** Whether a value of a JSON file is an object. */
export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A text file's content, or undefined where there is no such file. */
export const readText = async (
  folder: Folder,
  file: string,
  maximum: number,
): Promise<string | undefined> => {
  const source = await folder.open(file)
  if (!source) return undefined
  if (source.size > maximum)
    throw new MdiError('bad-file', `${folder.name}: ${file} is longer than ${maximum} bytes.`)
  const bytes = await source.read(0, source.size)
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes)
  return new TextDecoder().decode(bytes)
}

/** A JSON file's object, or undefined where there is no such file. */
export const readFolderJson = async (
  folder: Folder,
  file: string,
  maximum: number = limits.modelConfigBytes,
): Promise<Json | undefined> => {
  const text = await readText(folder, file, maximum)
  if (text === undefined) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    const what = whatIs(new TextEncoder().encode(text.slice(0, SNIFFED)))
    const why = what === undefined || what.startsWith('a JSON') ? '' : `: it is ${what}`
    throw new MdiError('bad-file', `${folder.name}: ${file} is not JSON${why}.`)
  }
  if (!isObject(value)) throw new MdiError('bad-file', `${folder.name}: ${file} is no object.`)
  return value
}

/** The safetensors files that the index names, or the one there is without an index. */
const shardNames = async (folder: Folder): Promise<string[]> => {
  const index = await readFolderJson(folder, 'model.safetensors.index.json')
  if (!index) return ['model.safetensors']
  const { weight_map: map } = index
  const names = isObject(map) ? [...new Set(Object.values(map))] : []
  // A plain name: an index is a stranger's and must not lead out of the folder.
  const plain = (name: unknown): name is string =>
    typeof name === 'string' && /^[A-Za-z0-9_][A-Za-z0-9._-]*\.safetensors$/.test(name)
  if (names.length === 0 || names.length > limits.safetensorsFiles || !names.every(plain))
    throw new MdiError('bad-file', `${folder.name}: model.safetensors.index.json is damaged.`)
  return names.sort()
}

/** The error for a folder without its weights: what would work, where they are of another kind. */
const lacking = async (folder: Folder, name: string): Promise<MdiError> => {
  for (const pickled of ['pytorch_model.bin', 'pytorch_model.bin.index.json'])
    if (await folder.open(pickled))
      return new MdiError(
        'unsupported',
        `${folder.name} has its weights in ${pickled}, which is not read, since such files are programs: convert it to safetensors, or get the model as safetensors or GGUF.`,
      )
  return new MdiError('bad-file', `${folder.name} lacks the file ${name}.`)
}

/** Reads the headers of all safetensors files of a folder. */
export const readShards = async (
  folder: Folder,
  idle: (name: string) => boolean,
): Promise<SafetensorsFile[]> => {
  const shards: SafetensorsFile[] = []
  const seen = new Set<string>()
  for (const name of await shardNames(folder)) {
    const source = await folder.open(name)
    if (!source) throw await lacking(folder, name)
    const shard = await readSafetensors(source, idle)
    for (const tensor of shard.tensors.keys()) {
      if (seen.has(tensor))
        throw new MdiError(
          'bad-file',
          `${folder.name}: the tensor ${JSON.stringify(tensor)} stands in two files.`,
        )
      seen.add(tensor)
    }
    shards.push(shard)
  }
  return shards
}
