import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Request } from './requests.ts'
import { Ring, type RingOptions } from './ring.ts'
import { World } from './world.ts'

const options: RingOptions = {
  nodes: 4,
  layers: 16,
  context: 4_096,
  chunkRows: 16,
  wire: 'fp32',
  delay: [0.05, 0.1],
  kernelFrames: 100,
  speed: { job: 1, row: 2 },
  spread: 1,
  even: true,
}

const ringOf = (change: Partial<RingOptions>): Ring => {
  const ring = new Ring(new World(1), { ...options, ...change })
  assert.ok(ring.world.runUntil(5_000, () => ring.starter.ring.whole))
  return ring
}

/** Opens a request of a prompt's length that goes on for a while. */
const openOf = (ring: Ring, prompt: number, maxTokens: number): Request =>
  ring.request((open) => {
    open.tokens = Array.from({ length: prompt }, (_, i) => i % 32)
    open.maxTokens = maxTokens
    open.endIds = []
    delete open.score
  })

/** Share of the time that the busiest stage computes, and tokens a second. */
const measure = (ring: Ring, ms: number): { share: number; tokensPerSecond: number } => {
  const { world, nodes, requests } = ring
  const told = () => requests.reduce((sum, r) => sum + r.told, 0)
  const busy = nodes.map((n) => n.engine.busy)
  const before = told()
  world.runUntil(world.now + ms)
  const share = Math.max(...nodes.map((n, i) => n.engine.busy - (busy[i] as number))) / ms
  return { share, tokensPerSecond: ((told() - before) * 1_000) / ms }
}

const assertBusy = (ring: Ring): void => {
  const { share } = measure(ring, 3_000)
  assert.ok(share > 0.92, `the busiest stage computes ${(100 * share).toFixed(1)} % of the time`)
}

for (const nodes of [1, 2, 4, 8])
  test(`no stage idles: ${nodes} stages, as many sequences`, () => {
    const ring = ringOf({ nodes, layers: 4 * nodes })
    for (let i = 0; i < nodes; i++) openOf(ring, 4, 400)
    ring.world.runUntil(ring.world.now + 500)
    assertBusy(ring)
  })

for (const nodes of [1, 2, 4])
  test(`no stage idles while sequences end, begin and are chunked: ${nodes} stages`, () => {
    const ring = ringOf({ nodes, layers: 4 * nodes })
    for (let i = 0; i < 16 * nodes; i++)
      openOf(ring, ring.world.integer(1, 60), ring.world.integer(10, 40))
    ring.world.runUntil(ring.world.now + 300)
    assertBusy(ring)
  })

test('several sequences go in one visit of a lane', () => {
  const speed = { job: 8, row: 0.1 }
  const rate = (sequences: number) => {
    const ring = ringOf({ nodes: 2, layers: 8, speed })
    for (let i = 0; i < sequences; i++) openOf(ring, 4, 400)
    ring.world.runUntil(ring.world.now + 500)
    return measure(ring, 2_000).tokensPerSecond
  }
  const [two, eight] = [rate(2), rate(8)]
  assert.ok(eight > 3 * two, `${eight} tokens a second with 8 sequences, ${two} with 2`)
})

for (const nodes of [1, 3])
  test(`a prompt does not wait until others have ended: ${nodes} stages`, () => {
    const ring = ringOf({ nodes, layers: 4 * nodes })
    for (let i = 0; i < nodes; i++) openOf(ring, 4, 1_000)
    ring.world.runUntil(ring.world.now + 500)
    const late = openOf(ring, 64, 4)
    ring.world.runUntil(ring.world.now + 3_000, () => late.told > 0)
    assert.ok(late.told > 0, 'no token of it after 3 s')
    const before = ring.requests.map((r) => r.told)
    openOf(ring, 640, 4)
    ring.world.runUntil(ring.world.now + 2_000)
    ring.requests.slice(0, nodes).forEach((r, i) => {
      assert.ok(r.told > (before[i] as number), 'a long prompt stops the others')
    })
  })

test('chunks of one prompt follow each other through the stages', () => {
  const ring = ringOf({ speed: { job: 1, row: 1 } })
  const request = openOf(ring, 256, 1)
  const began = ring.world.now
  assert.ok(ring.world.runUntil(began + 20_000, () => request.told > 0))
  // 16 chunks of 16 rows, 65 ms a stage: one after the other would be 4.2 s.
  const took = ring.world.now - began
  assert.ok(took < 1.3 * (16 + 3) * 65, `the first token came after ${took} ms`)
})
