/**
 * Reads the header of a safetensors file: a length of 64 bits, JSON that names each
 * tensor's type, shape and place, then the data.
 * The format: https://github.com/huggingface/safetensors#format.
 */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { Cursor } from './cursor.ts'
import { type TensorType, typeByName, typeBytes } from './quants.ts'
import { SNIFFED, whatIs } from './sniff.ts'
import type { ByteSource } from './source.ts'
import type { FoundTensor } from './writer.ts'

/** What a safetensors file's header says. */
export type SafetensorsFile = {
  source: ByteSource
  /** Bytes before the data. */
  header: number
  tensors: ReadonlyMap<string, FoundTensor>
}

const types: Readonly<Record<string, TensorType>> = {
  F32: typeByName('F32'),
  F16: typeByName('F16'),
  BF16: typeByName('BF16'),
}

type Entry = { dtype?: unknown; shape?: unknown; data_offsets?: unknown } | null

const whole = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0

const wholes = (value: unknown): value is number[] => Array.isArray(value) && value.every(whole)

const damaged = (source: ByteSource, what: string): MdiError =>
  new MdiError('bad-file', `${source.name} is damaged: ${what}.`)

const parseTensor = (
  source: ByteSource,
  name: string,
  entry: Entry,
  dataStart: number,
): FoundTensor => {
  const what = `the tensor ${JSON.stringify(name)}`
  const { dtype, shape, data_offsets: place } = entry ?? {}
  if (typeof dtype !== 'string' || !wholes(shape) || !wholes(place) || place.length !== 2)
    throw damaged(source, `${what} is not described`)
  const type = Object.hasOwn(types, dtype) ? types[dtype] : undefined
  if (!type)
    throw new MdiError(
      'unsupported',
      `${source.name}: ${what} has the type ${JSON.stringify(dtype.slice(0, 40))}, which is not supported.`,
    )
  const columns = shape.at(-1) ?? 1
  const rows = shape.slice(0, -1).reduce((product, n) => product * n, 1)
  const [start, end] = place as [number, number]
  if (rows * columns === 0) throw damaged(source, `${what} is empty`)
  if (end - start !== typeBytes(type, rows, columns))
    throw damaged(source, `${what} has another length than its shape`)
  if (dataStart + end > source.size)
    throw new MdiError(
      'bad-file',
      `${source.name} is cut short or damaged: ${what} would reach beyond its end.`,
    )
  return { source, offset: dataStart + start, type, rows, columns }
}

const parseHeader = (source: ByteSource, json: Uint8Array): Record<string, Entry> => {
  let parsed: unknown
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json))
  } catch {
    throw damaged(source, 'its header is not JSON')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw damaged(source, 'its header is not a table of tensors')
  return parsed as Record<string, Entry>
}

/**
 * Reads a file's table of tensors.
 * @param idle tensors that are left out, whatever their type
 * Errors: `bad-file` (not safetensors, cut short, damaged), `unsupported` (a type, by name).
 */
export const readSafetensors = async (
  source: ByteSource,
  idle: (name: string) => boolean,
): Promise<SafetensorsFile> => {
  const what = whatIs(await source.read(0, Math.min(SNIFFED, source.size)))
  if (what !== undefined && !what.startsWith('a safetensors'))
    throw new MdiError('bad-file', `${source.name} is no safetensors file: it is ${what}.`)
  const cursor = new Cursor(source, limits.safetensorsHeaderBytes)
  const length = await cursor.u64('its header')
  const entries = Object.entries(parseHeader(source, await cursor.bytes(length, 'its header')))
  const header = cursor.position
  const tensors = new Map<string, FoundTensor>()
  for (const [name, entry] of entries)
    if (name !== '__metadata__' && !idle(name))
      tensors.set(name, parseTensor(source, name, entry, header))
  if (tensors.size > limits.ggufTensors)
    throw damaged(source, `it declares ${tensors.size} tensors`)
  let end = 0
  for (const [name, tensor] of [...tensors].sort((a, b) => a[1].offset - b[1].offset)) {
    if (tensor.offset < end)
      throw damaged(source, `the tensor ${JSON.stringify(name)} overlaps another`)
    end = tensor.offset + typeBytes(tensor.type, tensor.rows, tensor.columns)
  }
  return { source, header, tensors }
}
