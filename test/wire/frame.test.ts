import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { limits } from '../../services/limits.ts'
import { defineLayout } from '../../services/wire/bytes.ts'
import {
  encodeFrame,
  packActivations,
  readHeader,
  unpackActivations,
} from '../../services/wire/codec.ts'
import type { Frame, PlainDraft, VisitFrame } from '../../services/wire/frame.ts'
import { describeFrames, FrameError, kinds } from '../../services/wire/frame.ts'
import { FrameReader } from '../../services/wire/reader.ts'

const hex = (text: string): Buffer => Buffer.from(text.replace(/[^0-9a-f]/g, ''), 'hex')
const joined = (frame: VisitFrame | PlainDraft): Buffer => Buffer.concat(encodeFrame(frame))

/** Reads all frames of some slices. */
const read = (...slices: Uint8Array[]): Frame[] => {
  const frames: Frame[] = []
  const reader = new FrameReader(
    () => limits.frameBodyBytes,
    (frame) => frames.push(frame),
  )
  for (const slice of slices) reader.push(slice)
  return frames
}

const visit: VisitFrame = {
  kind: 'visit',
  epoch: 7,
  number: 258,
  wire: 'fp32',
  segments: [{ sequence: 3, branch: 1, position: 65_536, rows: 2, wanted: 1 }],
  operations: [
    { kind: 'open', sequence: 4 },
    { kind: 'truncate', sequence: 5, length: 9 },
    { kind: 'copy', sequence: 6, from: 5, length: 8 },
    { kind: 'close', sequence: 0xffff_ffff },
  ],
  rows: 2,
  hidden: 1,
  body: hex('0000803f 000000c0'),
}

// Worked out by hand from the tables; both checksums by Python's zlib.
const visitHex = `
  4d444946 0100 06 01 07000000 02010000 0100 0400 02000000 01000000 08000000 c2186384 38e08e54
  03000000 0100 00000100 0200 0100
  01 04000000 00000000 00000000
  02 05000000 00000000 09000000
  03 06000000 05000000 08000000
  04 ffffffff 00000000 00000000
  0000803f 000000c0`

test('a visit has the bytes of the table', () => {
  assert.equal(joined(visit).toString('hex'), hex(visitHex).toString('hex'))
})

test('a probe has the bytes of the table', () => {
  const bytes = joined({ kind: 'probe', epoch: 1, number: 2 })
  assert.equal(
    bytes.toString('hex'),
    hex(`4d444946 0100 04 00 01000000 02000000 0000 0000 00000000 00000000 00000000
      00000000 772edc1a`).toString('hex'),
  )
})

test('a visit comes back as it was, two in one slice, and byte by byte', () => {
  const bytes = joined(visit)
  const twice = Buffer.concat([bytes, bytes])
  for (const frames of [read(twice), read(...[...twice].map((b) => Uint8Array.of(b)))]) {
    assert.equal(frames.length, 2)
    for (const frame of frames) assert.deepEqual({ ...frame, body: Buffer.from(frame.body) }, visit)
  }
})

const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
// Plain objects, as the reader makes them.
const plain = { noNullPrototype: true } as const
const visits: fc.Arbitrary<VisitFrame> = fc
  .record({
    epoch: u32,
    number: u32,
    wire: fc.constantFrom('fp32' as const, 'fp16' as const),
    hidden: fc.integer({ min: 1, max: 9 }),
    only: fc.boolean(),
    segments: fc.array(
      fc.record({
        sequence: u32,
        branch: fc.integer({ min: 0, max: 0xffff }),
        position: u32,
        rows: fc.integer({ min: 1, max: 20 }),
        wanted: fc.integer({ min: 0, max: 20 }),
      }),
      { maxLength: limits.segments },
    ),
    operations: fc.array(
      fc.oneof(
        fc.record(
          { kind: fc.constantFrom('open' as const, 'close' as const), sequence: u32 },
          plain,
        ),
        fc.record({ kind: fc.constant('truncate' as const), sequence: u32, length: u32 }, plain),
        fc.record(
          { kind: fc.constant('copy' as const), sequence: u32, from: u32, length: u32 },
          plain,
        ),
      ),
      { maxLength: 30 },
    ),
  })
  .map(({ only, segments: drawn, ...rest }) => {
    const segments = drawn.map((s) => ({ ...s, wanted: Math.min(s.wanted, s.rows) }))
    const rows = segments.reduce((sum, s) => sum + (only ? s.wanted : s.rows), 0)
    const bytes = rows * rest.hidden * (rest.wire === 'fp32' ? 4 : 2)
    return { kind: 'visit', ...rest, segments, rows, body: Buffer.alloc(bytes, 0xa5) }
  })

const cut = (bytes: Uint8Array, cuts: number[]): Uint8Array[] => {
  const at = [0, ...cuts.map((c) => c % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end))
}

test('any visits in any slices come back as they were', () => {
  fc.assert(
    fc.property(
      fc.array(visits, { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      (list, cuts) => {
        const frames = read(...cut(Buffer.concat(list.flatMap(encodeFrame)), cuts))
        assert.deepEqual(
          frames.map((f) => ({ ...f, body: Buffer.from(f.body) })),
          list,
        )
      },
    ),
    { numRuns: 200 },
  )
})

test('one changed bit is always noticed', () => {
  const bytes = joined(visit)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = Buffer.from(bytes)
    damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7))
    assert.throws(() => read(damaged), FrameError, `bit ${bit}`)
  }
})

test('garbage ends in a FrameError at its first byte that differs, and never in a frame', () => {
  assert.throws(() => read(hex('47')), { reason: 'garbage' })
  assert.throws(() => read(hex('4d4449 00')), { reason: 'garbage' })
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
      let frames: Frame[] = []
      try {
        frames = read(bytes)
      } catch (error) {
        assert.ok(error instanceof FrameError)
      }
      assert.equal(frames.length, 0)
    }),
    { numRuns: 1000 },
  )
})

test('after an error nothing more is read', () => {
  const frames: Frame[] = []
  const reader = new FrameReader(
    () => 1_000,
    (frame) => frames.push(frame),
  )
  assert.throws(() => reader.push(hex('00')), FrameError)
  reader.push(joined(visit))
  assert.equal(frames.length, 0)
})

/** A header with some fields changed and its checksum made right again. */
const forged = (change: (view: DataView) => void): Buffer => {
  const bytes = joined(visit)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  change(view)
  view.setUint32(36, crc(bytes.subarray(0, 36)), true)
  return bytes
}
// Bit by bit after its definition (reflected 0x04c11db7), apart from zlib.
const crc = (bytes: Uint8Array): number => {
  let c = 0xffff_ffff
  for (const b of bytes) {
    c ^= b
    for (let i = 0; i < 8; i++) c = (c >>> 1) ^ (c & 1 ? 0xedb8_8320 : 0)
  }
  return ~c >>> 0
}

test('hostile headers with a right checksum are refused before anything is allocated', () => {
  const cases: [string, (view: DataView) => void, FrameError['reason'], RegExp][] = [
    ['protocol', (v) => v.setUint16(4, 9, true), 'protocol', /version 9 .* version 1/],
    ['kind', (v) => v.setUint8(6, 200), 'damaged', /unknown kind 200/],
    ['wire', (v) => v.setUint8(7, 3), 'damaged', /wire type 3/],
    ['segments', (v) => v.setUint16(16, 0xffff, true), 'too-large', /65535 segments/],
    ['operations', (v) => v.setUint16(18, 0xffff, true), 'too-large', /65535 KV/],
    ['rows', (v) => v.setUint32(20, 0xffff_ffff, true), 'damaged', /rows/],
    ['hidden', (v) => v.setUint32(24, 0xffff_ffff, true), 'damaged', /8 bytes for 2 rows/],
    ['body', (v) => v.setUint32(28, 0xffff_ffff, true), 'too-large', /4294967295 bytes/],
  ]
  for (const [name, change, reason, message] of cases)
    assert.throws(() => read(forged(change).subarray(0, 40)), { reason, message }, name)
})

test('a kind that is not expected is refused by its header', () => {
  const bytes = joined({ kind: 'token', epoch: 0, number: 0, body: Buffer.from('{}') })
  const only = (kind: string) => (kind === 'hello' ? 100 : undefined)
  assert.throws(() => readHeader(bytes, only), { reason: 'unexpected', message: /token/ })
  const long = joined({ kind: 'hello', epoch: 0, number: 0, body: Buffer.alloc(101) })
  assert.throws(() => readHeader(long, only), { reason: 'too-large', message: /at most 100/ })
})

test('what contradicts itself is neither sent nor taken', () => {
  const wrong: [Partial<VisitFrame>, RegExp][] = [
    [{ rows: 3 }, /3 rows, but its segments have 2 and want 1/],
    [{ hidden: 2 }, /8 bytes for 2 rows of 2 fp32/],
    [
      { segments: [{ sequence: 0, branch: 0, position: 0, rows: 2, wanted: 3 }] },
      /wants more rows/,
    ],
    [{ segments: [{ sequence: 0, branch: 0, position: 0, rows: 0, wanted: 0 }] }, /no rows/],
    [
      { segments: [{ sequence: 0, branch: 0, position: 0, rows: 513, wanted: 2 }] },
      /513 rows in one visit/,
    ],
    [{ epoch: -1 }, /header\.epoch is -1/],
    [{ number: 2 ** 32 }, /header\.number/],
  ]
  for (const [change, message] of wrong)
    assert.throws(() => encodeFrame({ ...visit, ...change }), { name: 'RangeError', message })
  assert.throws(
    () => encodeFrame({ kind: 'probe', epoch: 0, number: 0, body: Buffer.alloc(1) }),
    RangeError,
  )
})

test('a body goes out without a copy, and comes in with a memory of its own', () => {
  const x = Float32Array.of(1, -2)
  const [, body] = encodeFrame({ ...visit, body: packActivations(x, 'fp32') })
  assert.equal(body?.buffer, x.buffer)
  const [frame] = read(joined(visit))
  assert.equal(frame?.body.byteOffset, 0)
  assert.equal(unpackActivations(frame as VisitFrame).buffer, frame?.body.buffer)
})

test('half precision: known values, and what is beyond its range is held at its ends', () => {
  const x = Float32Array.of(0, 1, -2, 65_504, 1e9, -1e9, 6e-8)
  const body = packActivations(x, 'fp16')
  assert.equal(
    Buffer.from(body).toString('hex'),
    hex('0000 003c 00c0 ff7b ff7b fffb 0100').toString('hex'),
  )
  assert.deepEqual(
    [...unpackActivations({ wire: 'fp16', body })],
    [0, 1, -2, 65_504, 65_504, -65_504, 2 ** -24],
  )
  // From any offset, odd too.
  const shifted = Buffer.concat([Buffer.alloc(1), body]).subarray(1)
  assert.equal(unpackActivations({ wire: 'fp16', body: shifted })[2], -2)
  assert.ok(Number.isNaN(unpackActivations({ wire: 'fp16', body: hex('007e') })[0]))
})

test('a layout whose fields do not follow each other is a mistake told at load', () => {
  const field = { name: 'a', type: 'u16', about: '' } as const
  assert.throws(() => defineLayout('x', 2, [{ ...field, offset: 1 }]), /stands at 1, expected 0/)
  assert.throws(() => defineLayout('x', 3, [{ ...field, offset: 0 }]), /takes 2 bytes, not 3/)
})

test('codes of kinds are unique and the document names each', () => {
  const codes = Object.values(kinds).map((k) => k.code)
  assert.equal(new Set(codes).size, codes.length)
  const document = describeFrames()
  for (const name of Object.keys(kinds)) assert.ok(document.includes(`| ${name} |`), name)
  assert.ok(document.includes('| 36 | u32 | headerCrc |'))
})
