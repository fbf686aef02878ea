import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { WyomingReader, writeEvent } from '../../../services/api/wyoming/codec.ts'
import { MdiError } from '../../../services/errors.ts'
import { limits } from '../../../services/limits.ts'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const read = (...chunks: (string | Uint8Array)[]) => {
  const reader = new WyomingReader()
  return chunks.flatMap((c) => reader.push(typeof c === 'string' ? Buffer.from(c) : c))
}
const refuses = (bytes: string | Uint8Array, why: RegExp) =>
  assert.throws(
    () => read(bytes),
    (e) => e instanceof MdiError && e.code === 'bad-value' && why.test(e.message),
  )

test('an event is a header line and a data block', () => {
  assert.equal(
    hex(writeEvent('handled', { text: 'é' })),
    '7b2274797065223a2268616e646c6564222c2276657273696f6e223a22312e382e30222c22646174615f6c656e677468223a31337d0a' +
      '7b2274657874223a22c3a9227d',
  )
  assert.equal(
    Buffer.from(writeEvent('handled-stop')).toString(),
    '{"type":"handled-stop","version":"1.8.0"}\n',
  )
})

test('data in the header and in the block are merged, the block over the header', () => {
  const block = '{"a":1}'
  const header = `{"type":"x","data":{"a":0,"b":2},"data_length":${block.length},"payload_length":3}\n`
  assert.deepEqual(read(`${header}${block}abc{"type":"y"}\n`), [
    { type: 'x', data: { a: 1, b: 2 } },
    { type: 'y', data: {} },
  ])
})

test('any cut of the bytes gives the same events', () => {
  const bytes = Buffer.concat([
    writeEvent('describe'),
    writeEvent('transcript', { text: 'grüße 😀', context: { conversation_id: 'x' } }),
    Buffer.from('{"type":"audio","payload_length":5}\n\n\n\n\n\n\n{"type":"end"}\n'),
  ])
  const whole = read(bytes)
  assert.equal(whole.length, 4)
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 8 }), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length]
      assert.deepEqual(read(...at.slice(1).map((to, i) => bytes.subarray(at[i], to))), whole)
    }),
  )
})

test('hostile bytes are refused before they are kept', () => {
  refuses('GET / HTTP/1.1\r\n', /no JSON/)
  refuses('[]\n', /no object/)
  refuses('{"data":{}}\n', /no type/)
  refuses('{"type":"x","data":[1]}\n', /data is no object/)
  refuses('{"type":"x","data_length":-1}\n', /no length/)
  refuses('{"type":"x","data_length":1e18}\n', /too long/)
  refuses('{"type":"x","data_length":"9"}\n', /no length/)
  refuses(`{"type":"x","payload_length":${limits.wyomingPayloadBytes + 1}}\n`, /too long/)
  refuses('{"type":"x","data_length":2}\nxx', /no JSON/)
  refuses('{"type":"x","data_length":4}\nnull', /no object/)
  refuses(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d, 0x0a]), /no JSON/)
  refuses(Buffer.alloc(limits.wyomingHeaderBytes + 1, 0x20), /header line is too long/)
  const reader = new WyomingReader()
  assert.equal(reader.midway, false)
  for (let i = 0; i < 64; i++) reader.push(Buffer.alloc(1_024, 0x20))
  assert.equal(reader.midway, true)
  assert.throws(() => reader.push(Buffer.alloc(1, 0x20)), /too long/)
})
