import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MdiError } from '../../services/errors.ts'
import { openFile } from '../../services/io/file.ts'
import { readGguf } from '../../services/model/gguf.ts'
import { type NewTensor, type TypedValue, writeGguf } from '../../services/model/ggufwriter.ts'
import { typeByName } from '../../services/model/quants.ts'
import { memorySource } from '../../services/model/source.ts'
import { random } from '../fakes/random.ts'
import { realModel } from '../harness/shared.ts'

const fromHex = (text: string): Uint8Array =>
  new Uint8Array(Buffer.from(text.replace(/#.*$/gm, '').replace(/\s+/g, ''), 'hex'))
const read = (bytes: Uint8Array) => readGguf(memorySource(bytes, 'm.gguf'))

const u32 = (n: number): string => Buffer.from(Uint32Array.of(n).buffer).toString('hex')
const u64 = (n: number | bigint): string =>
  Buffer.from(BigUint64Array.of(BigInt(n)).buffer).toString('hex')
const text = (s: string): string => u64(Buffer.byteLength(s)) + Buffer.from(s).toString('hex')

/** A file of these parts, in hex; the data begins at the next multiple of 32. */
const file = (
  keys: readonly string[],
  tensors: readonly string[],
  data = 0,
  counts: { keys?: number | bigint; tensors?: number | bigint } = {},
): Uint8Array => {
  const head = fromHex(
    `47475546 03000000 ${u64(counts.tensors ?? tensors.length)} ${u64(counts.keys ?? keys.length)} ${keys.join('')} ${tensors.join('')}`,
  )
  const bytes = new Uint8Array(Math.ceil(head.length / 32) * 32 + data)
  bytes.set(head)
  return bytes
}
const tensor = (
  name: string,
  shape: readonly (number | bigint)[],
  type: number,
  offset: number | bigint,
): string => text(name) + u32(shape.length) + shape.map(u64).join('') + u32(type) + u64(offset)

const refused = async (bytes: Uint8Array, code: string, sentence: RegExp): Promise<void> => {
  await assert.rejects(read(bytes), (error) => {
    assert.ok(error instanceof MdiError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, sentence)
    assert.match(error.message, /^[^\n]+\.$/)
    return true
  })
}

const small = `
  47475546 02000000                     # "GGUF", version 2
  0100000000000000 0300000000000000     # one tensor, three keys
  0100000000000000 61  04000000 ffffffff            # a: u32
  0100000000000000 62  08000000 0300000000000000 efbbbf   # b: a byte-order mark
  0100000000000000 63  09000000 05000000 0200000000000000 feffffff 07000000  # c: i32[2]
  0100000000000000 74  02000000 2000000000000000 0200000000000000  # t: 32 × 2
  02000000 0000000000000000             # Q4_0, at the start of the data
`

test('a file reads as it is written', async () => {
  const head = fromHex(small)
  assert.equal(head.length, 139)
  const bytes = new Uint8Array(160 + 36)
  bytes.set(head)
  const gguf = await read(bytes)
  assert.equal(gguf.version, 2)
  assert.equal(gguf.dataOffset, 160)
  assert.deepEqual(
    [...gguf.metadata],
    [
      ['a', 4_294_967_295],
      ['b', '\ufeff'],
      ['c', Int32Array.of(-2, 7)],
    ],
  )
  assert.deepEqual(
    [...gguf.tensors.values()],
    [
      {
        name: 't',
        type: typeByName('Q4_0'),
        shape: [32, 2],
        rows: 2,
        columns: 32,
        offset: 160,
        bytes: 36,
      },
    ],
  )
})

test('every type of value', async () => {
  const value = async (type: number, hex: string) =>
    (await read(file([text('k') + u32(type) + hex], []))).metadata.get('k')
  assert.equal(await value(0, 'ff'), 255)
  assert.equal(await value(1, 'ff'), -1)
  assert.equal(await value(2, 'feff'), 65_534)
  assert.equal(await value(3, 'feff'), -2)
  assert.equal(await value(5, 'feffffff'), -2)
  assert.equal(await value(6, '0000c03f'), 1.5)
  assert.equal(await value(7, '01'), true)
  assert.equal(await value(7, '00'), false)
  assert.equal(await value(10, 'ffffffff00000000'), 4_294_967_295)
  assert.equal(await value(10, 'ffffffffffffffff'), 18_446_744_073_709_551_615n)
  assert.equal(await value(11, 'ffffffffffffffff'), -1)
  assert.equal(await value(12, '000000000000f83f'), 1.5)
  assert.deepEqual(await value(9, `07000000${u64(2)}0001`), Uint8Array.of(0, 1))
  assert.deepEqual(await value(9, `08000000${u64(2)}${text('é')}${text('')}`), ['é', ''])
  assert.deepEqual(await value(9, `0a000000${u64(1)}${u64(7)}`), BigUint64Array.of(7n))
})

test('what is no GGUF file of ours is refused by its kind', async () => {
  await refused(new Uint8Array(0), 'bad-file', /not a GGUF file/)
  await refused(fromHex('474755460300'), 'bad-file', /not a GGUF file/)
  await refused(new Uint8Array(64).fill(7), 'bad-file', /not a GGUF file/)
  await refused(fromHex(`47475546 00000003 ${u64(0)} ${u64(0)}`), 'unsupported', /big-endian/)
  await refused(fromHex(`47475546 01000000 ${u64(0)} ${u64(0)}`), 'unsupported', /version 1/)
  await refused(fromHex(`47475546 04000000 ${u64(0)} ${u64(0)}`), 'unsupported', /version 4/)
  await refused(fromHex(`746a6767 03000000 ${u64(0)} ${u64(0)}`), 'unsupported', /before GGUF/)
})

test('lengths beyond the file or beyond reason are refused before they are used', async () => {
  const huge = 2n ** 63n
  await refused(file([], [], 0, { keys: 10_000_000 }), 'bad-file', /10000000 keys/)
  await refused(file([], [], 0, { tensors: 10_000_000 }), 'bad-file', /10000000 tensors/)
  await refused(file([], [], 0, { keys: huge }), 'bad-file', /number of keys/)
  await refused(file([u64(huge)], []), 'bad-file', /name of key 0/)
  await refused(file([u64(5_000)], [], 8_000), 'bad-file', /string of 5000 bytes/)
  await refused(file([text('k') + u32(8) + u64(1_000_000)], []), 'bad-file', /"k".*beyond its end/)
  await refused(file([text('k') + u32(8) + u64(huge)], []), 'bad-file', /beyond its end/)
  const array = (type: number, count: number | bigint) =>
    text('k') + u32(9) + u32(type) + u64(count)
  await refused(file([array(4, 1_000_000)], []), 'bad-file', /beyond its end/)
  await refused(file([array(8, 1_000_000)], []), 'bad-file', /beyond its end/)
  await refused(file([array(0, 5_000_000)], [], 6_000_000), 'bad-file', /array of 5000000/)
  await refused(file([array(9, 1)], [], 64), 'unsupported', /array of arrays, which is not supp/)
  await refused(file([array(13, 1)], [], 64), 'bad-file', /array of unknown type 13/)
  await refused(file([text('k') + u32(13)], []), 'bad-file', /unknown type 13/)
})

test('a header longer than its bound is refused', async () => {
  // Sparse: one long string after the other, all zeros, never in memory.
  const key = (i: number) => fromHex(text(`k${i}`) + u32(8) + u64(16 * 1024 * 1024))
  const parts = new Map<number, Uint8Array>([[0, fromHex(`47475546 03000000 ${u64(0)} ${u64(8)}`)]])
  let at = 24
  for (let i = 0; i < 8; i++) {
    parts.set(at, key(i))
    at += key(i).length + 16 * 1024 * 1024
  }
  const source = {
    name: 'm.gguf',
    size: at,
    read: async (offset: number, length: number) => {
      const bytes = new Uint8Array(length)
      for (const [start, part] of parts)
        for (let i = 0; i < part.length; i++)
          if (start + i >= offset && start + i < offset + length)
            bytes[start + i - offset] = part[i] as number
      return bytes
    },
  }
  await assert.rejects(readGguf(source), /header longer than 67108864/)
})

test('tensors that make no sense are refused', async () => {
  const one = (hex: string, data = 64, keys: string[] = []) => file(keys, [hex], data)
  await refused(one(tensor('t', [32], 2, 64)), 'bad-file', /"t".*beyond its end/)
  await refused(one(tensor('t', [64], 0, 0)), 'bad-file', /"t".*beyond its end/)
  await refused(one(tensor('t', [2n ** 40n, 2n ** 40n], 0, 0)), 'bad-file', /beyond its end/)
  await refused(one(tensor('t', [2n ** 60n], 0, 0)), 'bad-file', /beyond its end/)
  await refused(one(tensor('t', [32], 2, 2n ** 60n)), 'bad-file', /beyond its end/)
  await refused(one(tensor('t', [32], 2, 8)), 'bad-file', /not aligned/)
  await refused(one(tensor('t', [33], 2, 0)), 'bad-file', /not whole blocks of Q4_0/)
  await refused(one(tensor('t', [0], 0, 0)), 'bad-file', /is empty/)
  await refused(one(tensor('t', [32, 0], 0, 0)), 'bad-file', /is empty/)
  await refused(one(tensor('t', [], 0, 0)), 'bad-file', /0 dimensions/)
  await refused(one(tensor('t', [1, 1, 1, 1, 1], 0, 0)), 'bad-file', /5 dimensions/)
  await refused(one(tensor('t', [256], 16, 0)), 'unsupported', /type IQ2_XXS/)
  await refused(one(tensor('t', [256], 4, 0)), 'unsupported', /type number 4/)
  const alignment = (n: number) => [text('general.alignment') + u32(4) + u32(n)]
  await refused(one(tensor('t', [8], 0, 0), 64, alignment(0)), 'bad-file', /alignment is 0/)
  await refused(one(tensor('t', [8], 0, 0), 64, alignment(12)), 'bad-file', /alignment is 12/)
  await refused(one(tensor('t', [8], 0, 0), 64, alignment(2 ** 31)), 'bad-file', /alignment/)
})

test('doubled names and overlapping tensors are refused', async () => {
  const key = `${text('k')}${u32(7)}01`
  await refused(file([key, key], []), 'bad-file', /"k" stands twice/)
  const two = (a: string, b: string) => file([], [a, b], 128)
  await refused(
    two(tensor('t', [8], 0, 0), tensor('t', [8], 0, 32)),
    'bad-file',
    /"t" stands twice/,
  )
  await refused(
    two(tensor('b', [9], 0, 32), tensor('a', [9], 0, 0)),
    'bad-file',
    /"a" and "b" overlap/,
  )
  await read(two(tensor('b', [8], 0, 32), tensor('a', [8], 0, 0)))
})

test('a file cut anywhere is refused', async () => {
  const whole = file([text('k') + u32(8) + text('value')], [tensor('t', [32], 2, 0)], 18)
  await read(whole)
  for (let length = 0; length < whole.length; length++)
    await assert.rejects(read(whole.subarray(0, length)), MdiError, `${length}`)
})

test('random damage is refused or read, and nothing else', async () => {
  const whole = file(
    [text('k') + u32(9) + u32(8) + u64(2) + text('a') + text('b')],
    [tensor('t', [32], 2, 0)],
    18,
  )
  const next = random(7)
  for (let i = 0; i < 2_000; i++) {
    const bytes = whole.slice()
    for (let n = 0; n < 3; n++) bytes[Math.floor(next() * bytes.length)] = next() * 256
    await read(bytes).catch((error) => assert.ok(error instanceof MdiError, String(error)))
  }
})

test('what the writer writes, the reader reads, strings across windows too', async () => {
  const next = random(3)
  const words = Array.from({ length: 60_000 }, (_, i) => 'ä'.repeat(next() * 40) + i)
  const metadata = new Map<string, TypedValue>([
    ['words', { type: 'strings', value: words }],
    ['scores', { type: 'f32s', value: [0.5, -1] }],
    ['big', { type: 'u64', value: 2n ** 60n }],
  ])
  const F32 = typeByName('F32')
  const data = (n: number) => () => [new Uint8Array(Float32Array.of(n).buffer)]
  const tensors: NewTensor[] = [
    { name: 'a', type: F32, shape: [1], data: data(1) },
    { name: 'b', type: F32, shape: [1, 1], data: data(2) },
  ]
  const parts: Uint8Array[] = []
  await writeGguf(async (bytes) => void parts.push(bytes), metadata, tensors)
  const bytes = new Uint8Array(Buffer.concat(parts))
  assert.ok(bytes.length > 2_000_000)
  const gguf = await read(bytes)
  assert.deepEqual(gguf.metadata.get('words'), words)
  assert.deepEqual(gguf.metadata.get('scores'), Float32Array.of(0.5, -1))
  assert.equal(gguf.metadata.get('big'), 2n ** 60n)
  const b = gguf.tensors.get('b')
  assert.equal(new DataView(bytes.buffer).getFloat32(b?.offset as number, true), 2)
})

const real = realModel()
test('the real file', { skip: real ? false : 'no model at hand' }, async () => {
  const source = await openFile(real as string)
  const gguf = await readGguf(source)
  await source.close()
  const counts: Record<string, number> = {}
  for (const { type } of gguf.tensors.values()) counts[type.name] = (counts[type.name] ?? 0) + 1
  assert.deepEqual(counts, { Q4_1: 210, Q8_0: 1, F32: 61 })
  assert.equal((gguf.metadata.get('tokenizer.ggml.tokens') as string[]).length, 49_152)
  assert.equal(gguf.metadata.get('llama.context_length'), 8_192)
})
