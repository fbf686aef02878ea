/** Seeded random tensors of any type, fast enough for a gigabyte. */
import { toHalf } from './half.ts'
import { dequantize, type TensorType } from './quants.ts'

/** Fills an array with random 32-bit words. */
export type Noise = (into: Uint32Array) => void

/** A stream of words that depends on the seed and on a name (xorshift128 of Marsaglia). */
export const noise = (seed: number, name: string): Noise => {
  // FNV-1a, so that each tensor has a stream of its own.
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  let x = (seed ^ 0x9e3779b9) | 0
  let y = hash | 0
  let z = Math.imul(seed | 1, 0x85ebca6b)
  let w = ~hash | 1
  const next = (): number => {
    const t = x ^ (x << 11)
    x = y
    y = z
    z = w
    w = w ^ (w >>> 19) ^ t ^ (t >>> 8)
    return w
  }
  for (let i = 0; i < 16; i++) next()
  return (into) => {
    for (let i = 0; i < into.length; i++) into[i] = next()
  }
}

/** Elements made at a time: whole blocks of every type. */
const STEP = 1024 * 1024
/** Standard deviation of the sum of four random bytes. */
const DEVIATION = Math.sqrt((4 * (256 * 256 - 1)) / 12)

/** About normally distributed numbers in F32, F16 or BF16. */
export function* randomFloats(
  type: TensorType,
  count: number,
  words: Noise,
  { mean, deviation }: { mean: number; deviation: number },
): Generator<Uint8Array> {
  for (let done = 0; done < count; done += STEP) {
    const random = new Uint32Array(Math.min(STEP, count - done))
    words(random)
    const values = new Float32Array(random.length)
    for (let i = 0; i < values.length; i++) {
      const r = random[i] as number
      // The sum of four uniform bytes.
      const sum = (r & 255) + ((r >>> 8) & 255) + ((r >>> 16) & 255) + (r >>> 24)
      values[i] = mean + ((sum - 510) / DEVIATION) * deviation
    }
    if (type.name === 'F32') yield new Uint8Array(values.buffer)
    else if (type.name === 'F16') yield new Uint8Array(new Float16Array(values).buffer)
    else yield upperHalves(values)
  }
}

/** BF16 by cutting, which is good enough for noise. */
const upperHalves = (values: Float32Array): Uint8Array => {
  const bits = new Uint32Array(values.buffer)
  const halves = new Uint16Array(bits.length)
  for (let i = 0; i < bits.length; i++) halves[i] = (bits[i] as number) >>> 16
  return new Uint8Array(halves.buffer)
}

/**
 * Where a type's block has its binary16 scale, and its minimum with the factor that
 * centres the block's values on zero.
 */
const halves: Readonly<Record<string, { scale: number; minimum?: [at: number, factor: number] }>> =
  {
    Q4_1: { scale: 0, minimum: [2, -7.5] },
    Q5_1: { scale: 0, minimum: [2, -15.5] },
    Q2_K: { scale: 80, minimum: [82, 1.5] },
    Q3_K: { scale: 108 },
    Q4_K: { scale: 0, minimum: [2, 7.5] },
    Q5_K: { scale: 0, minimum: [2, 15.5] },
    Q6_K: { scale: 208 },
  }

const setScales = (type: TensorType, bytes: Uint8Array, scale: number): void => {
  const { scale: at, minimum } = halves[type.name] ?? { scale: 0 }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const d = toHalf(scale)
  const m = minimum ? toHalf(scale * minimum[1]) : 0
  for (let block = 0; block < bytes.length; block += type.bytes) {
    view.setUint16(block + at, d, true)
    if (minimum) view.setUint16(block + minimum[0], m, true)
  }
}

/** Random codes, scales and minima in any quantized type, of the deviation asked for. */
export function* randomQuantized(
  type: TensorType,
  count: number,
  words: Noise,
  deviation: number,
): Generator<Uint8Array> {
  const sample = new Uint32Array((64 * type.bytes) / 2)
  words(sample)
  const probe = new Uint8Array(sample.buffer).subarray(0, 128 * type.bytes)
  setScales(type, probe, 1)
  const values = dequantize(type, probe, 128 * type.elements)
  const power = values.reduce((sum, v) => sum + v * v, 0) / values.length
  const scale = deviation / Math.sqrt(power)
  for (let done = 0; done < count; done += STEP) {
    const length = (Math.min(STEP, count - done) / type.elements) * type.bytes
    const random = new Uint32Array(Math.ceil(length / 4))
    words(random)
    const bytes = new Uint8Array(random.buffer, 0, length)
    setScales(type, bytes, scale)
    yield bytes
  }
}
