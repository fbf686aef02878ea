import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MdiError } from '../../services/errors.ts'
import { readSafetensors } from '../../services/model/safetensors.ts'
import { memorySource } from '../../services/model/source.ts'
import { random } from '../fakes/random.ts'
import { safetensorsOf } from '../harness/folder.ts'

const read = (bytes: Uint8Array, idle: (name: string) => boolean = () => false) =>
  readSafetensors(memorySource(bytes, 'm.safetensors'), idle)

const refused = async (bytes: Uint8Array, code: string, sentence: RegExp): Promise<void> => {
  await assert.rejects(read(bytes), (error) => {
    assert.ok(error instanceof MdiError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, sentence)
    assert.match(error.message, /^m\.safetensors[^\n]+\.$/)
    return true
  })
}

test('a file reads as it is written', async () => {
  const json = '{"a":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]},"__metadata__":{}}'
  assert.equal(json.length, 0x4b)
  const head = `4b00000000000000${Buffer.from(json).toString('hex')}`
  const bytes = new Uint8Array(Buffer.from(`${head}803f0040`, 'hex'))
  const { header, tensors } = await read(bytes)
  assert.equal(header, 83)
  const { source, ...a } = tensors.get('a') ?? assert.fail()
  assert.equal(source.name, 'm.safetensors')
  assert.deepEqual([a.type.name, a.rows, a.columns, a.offset], ['BF16', 2, 1, 83])
})

test('vectors, scalars and more dimensions', async () => {
  const entry = (shape: number[], start: number, end: number) => ({
    dtype: 'F32',
    shape,
    data_offsets: [start, end],
  })
  const header = { v: entry([3], 0, 12), s: entry([], 12, 16), t: entry([2, 3, 4], 16, 112) }
  const { tensors } = await read(safetensorsOf(header, new Uint8Array(112)))
  const shape = (name: string) => [tensors.get(name)?.rows, tensors.get(name)?.columns]
  assert.deepEqual(
    [shape('v'), shape('s'), shape('t')],
    [
      [1, 3],
      [1, 1],
      [6, 4],
    ],
  )
})

test('damage is refused, each kind by its sentence', async () => {
  const data = new Uint8Array(64)
  const one = (entry: unknown) => safetensorsOf({ t: entry }, data)
  const sound = { dtype: 'F32', shape: [4, 4], data_offsets: [0, 64] }
  await read(one(sound))
  await refused(new Uint8Array(0), 'bad-file', /is empty/)
  await refused(new Uint8Array(8).fill(255), 'bad-file', /beyond its end/)
  await refused(safetensorsOf('[]', data), 'bad-file', /not a table/)
  await refused(safetensorsOf('{"t":', data), 'bad-file', /not JSON/)
  await refused(one(null), 'bad-file', /"t" is not described/)
  await refused(one({ ...sound, shape: [-4, 4] }), 'bad-file', /not described/)
  await refused(one({ ...sound, shape: [4.5, 4] }), 'bad-file', /not described/)
  await refused(one({ ...sound, data_offsets: [0] }), 'bad-file', /not described/)
  await refused(one({ ...sound, shape: [4, 5] }), 'bad-file', /another length/)
  await refused(one({ ...sound, data_offsets: [64, 0] }), 'bad-file', /another length/)
  await refused(one({ ...sound, shape: [2 ** 40, 2 ** 40] }), 'bad-file', /another length/)
  await refused(one({ ...sound, shape: [0, 4], data_offsets: [0, 0] }), 'bad-file', /empty/)
  await refused(one({ ...sound, data_offsets: [4, 68] }), 'bad-file', /beyond its end/)
  await refused(one({ ...sound, dtype: 'F8_E4M3' }), 'unsupported', /"F8_E4M3"/)
  await refused(one({ ...sound, dtype: '__proto__' }), 'unsupported', /"__proto__"/)
  const half = { dtype: 'F32', shape: [8], data_offsets: [0, 32] }
  const late = { dtype: 'F32', shape: [8], data_offsets: [28, 60] }
  await refused(safetensorsOf({ a: late, b: half }, data), 'bad-file', /overlaps/)
})

test('what is left out may be of any type', async () => {
  const entry = { dtype: 'I64', shape: [8], data_offsets: [0, 64] }
  const bytes = safetensorsOf({ 'vision.ids': entry }, new Uint8Array(64))
  assert.equal((await read(bytes, (name) => name.startsWith('vision.'))).tensors.size, 0)
})

test('a header longer than its bound is refused before it is read', async () => {
  const head = new Uint8Array(8)
  new DataView(head.buffer).setBigUint64(0, 2n ** 30n, true)
  const source = {
    name: 'm.safetensors',
    size: 2 ** 32,
    read: async (_: number, length: number) => {
      assert.ok(length <= 1024 * 1024)
      const bytes = new Uint8Array(length)
      bytes.set(head)
      return bytes
    },
  }
  await assert.rejects(
    readSafetensors(source, () => false),
    /header longer than 67108864/,
  )
})

test('random damage is refused or read, and nothing else', async () => {
  const sound = { dtype: 'F32', shape: [4, 4], data_offsets: [0, 64] }
  const whole = safetensorsOf({ t: sound }, new Uint8Array(64))
  const next = random(11)
  for (let i = 0; i < 1_000; i++) {
    const bytes = whole.slice(0, next() < 0.2 ? next() * whole.length : whole.length)
    for (let n = 0; n < 2; n++) bytes[Math.floor(next() * 80)] = next() * 256
    await read(bytes).catch((error) => assert.ok(error instanceof MdiError, String(error)))
  }
})
