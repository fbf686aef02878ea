import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KvCache } from '../../../services/io/ort/kv.ts'
import type { Segment } from '../../../services/ports.ts'
import { random } from '../../fakes/random.ts'

const shape = { layers: 2, kvHeads: 2, headDim: 4, context: 512 }
const ROW_BYTES = shape.layers * 2 * 4 * shape.kvHeads * shape.headDim
const LIVE = 8
const LONGEST = 128

test('a thousand sequences come and go: buffers follow those that live, and nothing is kept', () => {
  const next = random(7)
  const kv = new KvCache(shape)
  const live = new Map<number, { length: number; end: number }>()
  const visit = (segments: Segment[]) => {
    kv.plan(segments)
    kv.advance(segments)
  }
  let opened = 0
  let most = 0
  while (opened < 1_000 || live.size > 0) {
    while (live.size < LIVE && opened < 1_000) {
      const sequence = ++opened
      kv.apply([{ kind: 'open', sequence }])
      const rows = 2 + Math.floor(next() * 60)
      visit([{ sequence, branch: 0, position: 0, rows, wanted: 1 }])
      live.set(sequence, { length: rows, end: rows + Math.floor(next() * (LONGEST - rows)) })
    }
    visit(
      [...live].map(([sequence, { length: position }]) => ({
        ...{ sequence, branch: 0, position, rows: 1, wanted: 1 },
      })),
    )
    for (const [sequence, s] of live) {
      s.length += 1
      if (s.length < s.end) continue
      live.delete(sequence)
      kv.apply([{ kind: 'close', sequence }])
    }
    most = Math.max(most, kv.bytes)
  }
  assert.equal(kv.bytes, 0)
  // Every sequence at the longest, with a quarter and a step of room, and pools being changed.
  assert.ok(most <= 2 * LIVE * (LONGEST * 1.25 + 32) * ROW_BYTES, `${most} bytes at most`)
})
