import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MdiError } from '../../services/errors.ts'
import type { ModelCost } from '../../services/plan/cost.ts'
import { type PlanNode, type PlanStage, partition } from '../../services/plan/partition.ts'

const MB = 1_000_000
const GB = 1_000 * MB
const cost = (layers: number[], head = 0, kvPosition = 0, layerWork = 0): ModelCost => ({
  layers,
  head,
  kvPosition,
  layerWork,
})
const node = (id: string, change: Partial<PlanNode> = {}): PlanNode => ({
  id,
  memoryBytes: 8 * GB,
  speed: 1 * GB,
  host: id,
  ...change,
})
const plan = (c: ModelCost, nodes: PlanNode[], layers?: number[], positions = 100) =>
  partition('tiny', c, nodes, { positions, ...(layers && { layers }) })
const ranges = (stages: PlanStage[]) => stages.map((s) => `${s.node} ${s.first}-${s.end}`)
const refusal = (run: () => unknown): MdiError => {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof MdiError, String(error))
    return error
  }
  assert.fail('it was not refused')
}

test('one node holds everything', () => {
  assert.deepEqual(plan(cost([10, 10], 5), [node('a')]), [
    { node: 'a', first: 0, end: 2, memoryBytes: 25 },
  ])
})

test('equal nodes get equal shares, in the order in which they came', () => {
  const c = cost(Array.from({ length: 12 }, () => 10 * MB))
  assert.deepEqual(ranges(plan(c, [node('a'), node('b'), node('c')])), ['a 0-4', 'b 4-8', 'c 8-12'])
})

test('the head counts on the starter', () => {
  const c = cost(
    Array.from({ length: 10 }, () => 10 * MB),
    40 * MB,
  )
  assert.deepEqual(ranges(plan(c, [node('a'), node('b')])), ['a 0-3', 'b 3-10'])
})

test('a slower node gets fewer layers, and the quickest starts where the head is heavy', () => {
  const c = cost(Array.from({ length: 9 }, () => 10 * MB))
  const nodes = [node('slow', { speed: GB / 2 }), node('quick')]
  assert.deepEqual(ranges(plan(c, nodes)), ['slow 0-3', 'quick 3-9'])
  const heavy = cost([10 * MB, 10 * MB], 100 * MB)
  assert.deepEqual(ranges(plan(heavy, nodes)), ['quick 0-1', 'slow 1-2'])
})

test('memory bounds a share: weights, head, and KV for a sequence of each stage', () => {
  const c = cost(
    Array.from({ length: 4 }, () => 100 * MB),
    0,
    1_000,
  )
  // Each layer: 100 MB, and 1,000 bytes × 1,000 positions × 2 sequences.
  const small = node('small', { memoryBytes: 102 * MB })
  assert.deepEqual(plan(c, [small, node('big')], undefined, 1_000), [
    { node: 'small', first: 0, end: 1, memoryBytes: 102 * MB },
    { node: 'big', first: 1, end: 4, memoryBytes: 306 * MB },
  ])
})

test('nodes of one machine share its memory', () => {
  const c = cost([60 * MB, 60 * MB])
  const memoryBytes = 100 * MB
  const nodes = ['a', 'b'].map((id) => node(id, { host: 'one', memoryBytes }))
  const { code, message } = refusal(() => plan(c, nodes))
  assert.equal(code, 'out-of-memory')
  assert.match(message, /tiny needs 120 MB .* the nodes can give 100 MB: a 50 MB, b 50 MB\./)
  assert.equal(plan(c, [node('a', { memoryBytes }), node('b', { memoryBytes })]).length, 2)
})

test('a node’s own limit is its own; only its machine’s memory is shared', () => {
  const c = cost(Array.from({ length: 12 }, () => 100 * MB))
  const on = (id: string, memoryBytes: number, hostBytes = 16 * GB) =>
    node(id, { host: 'one', memoryBytes, hostBytes })
  const three = ['a', 'b', 'd'].map((id) => on(id, 400 * MB))
  assert.deepEqual(ranges(plan(c, three)), ['a 0-4', 'b 4-8', 'd 8-12'])
  // What the small one may not take falls to the others.
  const uneven = [on('a', 200 * MB, 1_200 * MB), on('b', GB, 1_200 * MB)]
  assert.deepEqual(ranges(plan(c, uneven)), ['a 0-2', 'b 2-12'])
  assert.match(
    refusal(() =>
      plan(
        c,
        three.map((n) => ({ ...n, hostBytes: 900 * MB })),
      ),
    ).message,
    /the nodes can give 900 MB: a 300 MB, b 300 MB, d 300 MB/,
  )
})

test('a slow node is left out where the ring is quicker without, unless it was named', () => {
  const c = cost(Array.from({ length: 4 }, () => 10 * MB))
  const quick = node('quick')
  const slow = node('slow', { speed: GB / 10 })
  const nodes = [slow, quick, node('slower', { speed: GB / 20 })]
  assert.deepEqual(ranges(plan(c, nodes)), ['quick 0-4'])
  const named = partition('tiny', c, nodes, { positions: 100, named: true })
  assert.equal(named.length, 3)
  // Where the quick one has no room for all, the slow ones that help most are used.
  const tight = node('quick', { memoryBytes: 30 * MB })
  assert.deepEqual(ranges(plan(c, [tight, ...nodes.filter((n) => n !== quick)])), [
    'quick 0-3',
    'slow 3-4',
  ])
  // A slow one that makes the slowest stage quicker stays.
  const many = cost(Array.from({ length: 40 }, () => 10 * MB))
  assert.deepEqual(ranges(plan(many, [quick, slow])), ['quick 0-37', 'slow 37-40'])
})

test('nodes beyond the number of layers are left out, the slowest first', () => {
  const nodes = [node('a'), node('slow', { speed: 1 }), node('b')]
  assert.deepEqual(ranges(plan(cost([1, 1]), nodes)), ['a 0-1', 'b 1-2'])
})

test('a node that has no room for one layer is left out', () => {
  const c = cost([50 * MB, 50 * MB, 50 * MB])
  const nodes = [node('a'), node('tiny', { memoryBytes: 10 * MB }), node('b')]
  assert.deepEqual(ranges(plan(c, nodes)), ['a 0-1', 'b 1-3'])
})

test('what does not fit is refused with the figures', () => {
  const c = cost([1 * GB, 1 * GB], 500 * MB)
  const nodes = [node('pi1', { memoryBytes: GB }), node('pi2', { memoryBytes: 900 * MB })]
  const { code, message } = refusal(() => plan(c, nodes))
  assert.equal(code, 'out-of-memory')
  assert.equal(
    message,
    'tiny needs 2,500 MB (weights, working memory, and 100 positions for 2 sequences); the nodes can give 1,900 MB: pi1 1,000 MB, pi2 900 MB. Add a board, or load a smaller model or context.',
  )
  // Enough altogether, but no layer fits into what is left beside the others.
  const odd = cost([60 * MB, 60 * MB, 60 * MB])
  const three = ['a', 'b'].map((id) => node(id, { memoryBytes: 100 * MB }))
  assert.match(refusal(() => plan(odd, three)).message, /No split fits every node; add a board/)
  assert.equal(refusal(() => plan(c, [])).code, 'not-ready')
})

test('by hand: as given, or refused with what is wrong', () => {
  const c = cost(Array.from({ length: 6 }, () => 10 * MB))
  const nodes = [node('b'), node('a')]
  assert.deepEqual(ranges(plan(c, nodes, [1, 5])), ['b 0-1', 'a 1-6'])
  assert.equal(
    refusal(() => plan(c, nodes, [1, 4])).message,
    'tiny has 6 layers; 1 + 4 is 5. Every node needs one at least.',
  )
  assert.match(refusal(() => plan(c, nodes, [0, 6])).message, /Every node needs one at least/)
  assert.equal(
    refusal(() => plan(c, nodes, [6])).message,
    'Layers are given for 1 nodes, but 2 nodes are named.',
  )
  const small = [node('b'), node('a', { memoryBytes: 49 * MB })]
  assert.equal(
    refusal(() => plan(c, small, [1, 5])).message,
    '5 layers of tiny need 50 MB on node a, which can give 49 MB.',
  )
})

/** Every way to cut `layers` into `parts`. */
const cuts = (layers: number, parts: number): number[][] => {
  if (parts === 1) return [[layers]]
  const all: number[][] = []
  for (let n = 1; n <= layers - (parts - 1); n++)
    for (const rest of cuts(layers - n, parts - 1)) all.push([n, ...rest])
  return all
}

/** Time of the slowest stage; undefined where a node's memory does not hold its part. */
const timeOf = (
  c: ModelCost,
  ring: PlanNode[],
  counts: number[],
  positions: number,
): number | undefined => {
  let first = 0
  let slowest = 0
  for (const [i, n] of ring.entries()) {
    const end = first + (counts[i] as number)
    const head = i === 0 ? c.head : 0
    const weights = c.layers.slice(first, end).reduce((a, b) => a + b, 0) + head
    const beside = c.layerWork + c.kvPosition * positions * ring.length
    if (weights + (end - first) * beside > n.memoryBytes) return undefined
    slowest = Math.max(slowest, weights / n.speed)
    first = end
  }
  return slowest
}

test('no other split is quicker, whichever node starts', () => {
  const whole = (max: number) => fc.integer({ min: 1, max })
  fc.assert(
    fc.property(
      fc.array(whole(20), { minLength: 1, maxLength: 7 }),
      whole(30),
      whole(2),
      fc.array(fc.record({ memoryBytes: whole(200), speed: whole(9) }), {
        minLength: 1,
        maxLength: 4,
      }),
      fc.nat(5),
      (layers, head, kvPosition, profiles, layerWork) => {
        const c = cost(layers, head, kvPosition, layerWork)
        const nodes = profiles
          .slice(0, layers.length)
          .map((p, i) => node(`n${i}`, { ...p, host: `h${i}` }))
        const times = nodes.flatMap((starter) => {
          const ring = [starter, ...nodes.filter((n) => n !== starter)]
          return cuts(layers.length, nodes.length).map((counts) => timeOf(c, ring, counts, 2))
        })
        const best = Math.min(...times.filter((t) => t !== undefined))
        if (best === Number.POSITIVE_INFINITY) {
          try {
            assert.ok(plan(c, nodes, undefined, 2).length < nodes.length)
          } catch (error) {
            assert.ok(error instanceof MdiError, String(error))
          }
          return
        }
        const stages = plan(c, nodes, undefined, 2)
        const ring = stages.map((s) => nodes.find((n) => n.id === s.node) as PlanNode)
        const found = timeOf(
          c,
          ring,
          stages.map((s) => s.end - s.first),
          2,
        )
        assert.ok(found !== undefined && found <= best * 1.001 + 1e-9, `${found} against ${best}`)
        assert.equal(stages[0]?.first, 0)
        assert.equal(stages.at(-1)?.end, layers.length)
        stages.forEach((s, i) => {
          assert.equal(s.first, i === 0 ? 0 : stages[i - 1]?.end)
        })
      },
    ),
    { numRuns: 300, seed: 1 },
  )
})

test('30 nodes and 30 layers are planned without trying every split', () => {
  const c = cost(
    Array.from({ length: 30 }, (_, i) => (10 + (i % 3)) * MB),
    20 * MB,
    1_000,
  )
  const nodes = Array.from({ length: 30 }, (_, i) => node(`n${i}`, { speed: GB * (1 + (i % 4)) }))
  assert.equal(partition('tiny', c, nodes, { positions: 100, named: true }).length, 30)
  // Those of the lowest speed, of which each holds one layer, would set the pace.
  assert.equal(plan(c, nodes).length, 22)
})
