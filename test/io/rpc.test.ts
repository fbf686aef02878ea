import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageChannel } from 'node:worker_threads'
import { movable } from '../../services/io/rpc.ts'
import { encodeFrame, unpackActivations } from '../../services/wire/codec.ts'
import type { VisitFrame } from '../../services/wire/frame.ts'
import { FrameReader } from '../../services/wire/reader.ts'

test('visits without rows can be moved to the engine, one after the other', () => {
  const visit: VisitFrame = {
    kind: 'visit',
    epoch: 1,
    number: 1,
    wire: 'fp32',
    segments: [],
    operations: [{ kind: 'reset', sequence: 0 }],
    rows: 0,
    hidden: 4,
    body: new Uint8Array(0),
  }
  const bytes = Buffer.concat(encodeFrame(visit))
  const { port1 } = new MessageChannel()
  let read = 0
  const reader = new FrameReader(
    () => 1_000,
    (frame) => {
      assert.ok(frame.kind === 'visit')
      const x = unpackActivations(frame)
      port1.postMessage(x, movable(x))
      read += 1
    },
  )
  for (let i = 0; i < 3; i++) reader.push(bytes)
  port1.close()
  assert.equal(read, 3)
})

test('activations with a memory of their own move whole', () => {
  const x = new Float32Array(8)
  assert.deepEqual(movable(x), [x.buffer])
  assert.deepEqual(movable(x.subarray(4)), [])
})
