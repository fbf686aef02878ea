import type { Folder } from '../../services/model/folder.ts'
import { memorySource } from '../../services/model/source.ts'

/** A tensor of a safetensors file. */
export type PlainTensor = { dtype: 'F32' | 'F16' | 'BF16'; shape: number[]; values: Float32Array }

const encode = ({ dtype, values }: PlainTensor): Uint8Array => {
  if (dtype === 'F32') return new Uint8Array(values.slice().buffer)
  if (dtype === 'F16') return new Uint8Array(new Float16Array(values).buffer)
  const bits = new Uint32Array(values.slice().buffer)
  return new Uint8Array(Uint16Array.from(bits, (b) => b >>> 16).buffer)
}

/** A safetensors file of these header and data. */
export const safetensorsOf = (header: unknown, data: Uint8Array): Uint8Array => {
  const json = new TextEncoder().encode(
    typeof header === 'string' ? header : JSON.stringify(header),
  )
  const bytes = new Uint8Array(8 + json.length + data.length)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true)
  bytes.set(json, 8)
  bytes.set(data, 8 + json.length)
  return bytes
}

/** A safetensors file of these tensors. */
export const safetensorsFile = (tensors: Readonly<Record<string, PlainTensor>>): Uint8Array => {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } }
  const parts: Uint8Array[] = []
  let at = 0
  for (const [name, tensor] of Object.entries(tensors)) {
    const bytes = encode(tensor)
    header[name] = {
      dtype: tensor.dtype,
      shape: tensor.shape,
      data_offsets: [at, at + bytes.length],
    }
    at += bytes.length
    parts.push(bytes)
  }
  return safetensorsOf(header, new Uint8Array(Buffer.concat(parts)))
}

/** A folder in memory; objects are written as JSON. */
export const memoryFolder = (
  files: Readonly<Record<string, Uint8Array | object | string>>,
): Folder => ({
  name: 'some model',
  open: async (file) => {
    const content = Object.hasOwn(files, file) ? files[file] : undefined
    if (content === undefined) return undefined
    if (content instanceof Uint8Array) return memorySource(content, file)
    const text = typeof content === 'string' ? content : JSON.stringify(content)
    return memorySource(new TextEncoder().encode(text), file)
  },
})
