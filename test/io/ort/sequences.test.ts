/** Sequences, their caches, and parts of a model: every way to the same row gives the same. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, test } from 'node:test'
import type { OrtEngine } from '../../../services/io/ort/engine.ts'
import type { KvOperation, Segment } from '../../../services/ports.ts'
import {
  activations,
  largestDifference,
  open,
  rows,
  score,
  type TestModel,
  testModel,
  withEngine,
} from '../../fakes/engine.ts'

const LAYERS = 4
const VOCAB = 300
/** Log-probabilities of the same row by another way, in the exact arithmetic. */
const NEAR = 1e-4

let model: TestModel
let engine: OrtEngine
let done: () => void
let ended: Promise<void>

// One engine for all tests: each opens sequences of its own.
before(async () => {
  model = await testModel({ layers: LAYERS }, { type: 'Q4_1' })
  await new Promise<void>((resolve) => {
    ended = withEngine(model, {}, (made) => {
      engine = made
      resolve()
      return new Promise<void>((end) => {
        done = end
      })
    })
  })
})
after(async () => {
  done()
  await ended
})

const tokens = (length: number, seed = 1): number[] =>
  Array.from({ length }, (_, i) => (i * 37 + seed * 101) % VOCAB)

/** Log-probabilities after the last of `ids`, run at once in a new sequence that is closed. */
const alone = async (ids: readonly number[]): Promise<number[]> => {
  const segments = [rows(900, 0, ids.length, 1)]
  const [row] = await score(engine, VOCAB, [open(900)], segments, ids)
  await engine.run({
    operations: [{ kind: 'close', sequence: 900 }],
    segments: [],
    input: new Int32Array(0),
    output: 'rows',
  })
  return row as number[]
}

const near = (have: readonly number[] | undefined, want: readonly number[], what = ''): void => {
  assert.ok(have)
  const worst = largestDifference(have, want)
  assert.ok(worst <= NEAR, `${what} differs by ${worst}`)
}

const close = (...sequences: number[]): KvOperation[] =>
  sequences.map((sequence) => ({ kind: 'close', sequence }))

test('a prompt in chunks of any size ends as it does at once', async () => {
  const ids = tokens(40)
  const want = await alone(ids)
  for (const chunk of [1, 7, 16, 39, 40]) {
    let last: number[][] = []
    for (let at = 0; at < ids.length; at += chunk) {
      const part = ids.slice(at, at + chunk)
      const operations = at === 0 ? [open(1)] : []
      last = await score(engine, VOCAB, operations, [rows(1, at, part.length, 1)], part)
    }
    near(last[0], want, `chunks of ${chunk}`)
  }
})

test('every wanted row of a chunk is given, and only those', async () => {
  const ids = tokens(9)
  const all = await score(engine, VOCAB, [open(1)], [rows(1, 0, 9)], ids)
  assert.equal(all.length, 9)
  for (const wanted of [1, 4]) {
    const some = await score(engine, VOCAB, [open(1)], [rows(1, 0, 9, wanted)], ids)
    assert.equal(some.length, wanted)
    for (const [i, row] of some.entries()) near(row, all[9 - wanted + i] as number[])
  }
  const none = await activations(
    engine,
    [open(1)],
    [rows(1, 0, 9, 0)],
    Int32Array.from(ids),
    'wanted',
  )
  assert.equal(none.length, 0)
})

test('sequences of different lengths decode in one visit as each does alone', async () => {
  const prompts = [tokens(3, 1), tokens(60, 2), tokens(17, 3), tokens(1, 4), tokens(100, 5)]
  for (const [i, ids] of prompts.entries())
    await score(engine, VOCAB, [open(i)], [rows(i, 0, ids.length, 1)], ids)
  // Several steps, so that caches grow while they stand side by side.
  for (let step = 0; step < 40; step++) {
    const next = prompts.map((_, i) => (step * 13 + i * 7) % VOCAB)
    const segments = prompts.map((ids, i) => rows(i, ids.length, 1))
    const together = await score(engine, VOCAB, [], segments, next)
    for (const [i, ids] of prompts.entries()) {
      ids.push(next[i] as number)
      if (step % 13 === 0) near(together[i], await alone(ids), `sequence ${i} at step ${step}`)
    }
  }
  // One leaves, two go on, in another order.
  const two = await score(
    engine,
    VOCAB,
    close(1),
    [rows(4, prompts[4]?.length as number, 1), rows(0, prompts[0]?.length as number, 1)],
    [5, 6],
  )
  near(two[0], await alone([...(prompts[4] as number[]), 5]), 'the fifth')
  near(two[1], await alone([...(prompts[0] as number[]), 6]), 'the first')
  await score(engine, VOCAB, close(0, 2, 3, 4), [], [])
})

test('a chunk of a prompt and rows of other sequences share a visit', async () => {
  const a = tokens(12, 1)
  const b = tokens(20, 2)
  const c = tokens(5, 3)
  await score(engine, VOCAB, [open(1), open(2)], [rows(1, 0, 12, 1)], a)
  await score(engine, VOCAB, [], [rows(2, 0, 20, 1)], b)
  const mixed = await score(
    engine,
    VOCAB,
    [open(3)],
    [rows(1, 12, 1), rows(3, 0, 5, 1), rows(2, 20, 3, 2)],
    [9, ...c, 10, 11, 12],
  )
  assert.equal(mixed.length, 4)
  near(mixed[0], await alone([...a, 9]))
  near(mixed[1], await alone(c))
  near(mixed[2], await alone([...b, 10, 11]))
  near(mixed[3], await alone([...b, 10, 11, 12]))
  await score(engine, VOCAB, close(1, 2, 3), [], [])
})

test('truncating, copying, closing and resetting', async () => {
  const ids = tokens(30)
  await score(engine, VOCAB, [open(1)], [rows(1, 0, 30, 1)], ids)
  // Another end from position 20 on, in the same sequence and in a copy.
  const end = [1, 2, 3]
  const want = await alone([...ids.slice(0, 20), ...end])
  const copied: KvOperation[] = [{ kind: 'copy', sequence: 2, from: 1, length: 20 }]
  const [copy] = await score(engine, VOCAB, copied, [rows(2, 20, 3, 1)], end)
  near(copy, want, 'the copy')
  const cut: KvOperation[] = [{ kind: 'truncate', sequence: 1, length: 20 }]
  const [same] = await score(engine, VOCAB, cut, [rows(1, 20, 3, 1)], end)
  near(same, want, 'the cut sequence')
  // The original of a copy goes, the copy stays.
  const [after] = await score(engine, VOCAB, close(1), [rows(2, 23, 1)], [4])
  near(after, await alone([...ids.slice(0, 20), ...end, 4]), 'after closing')
  // Closing and truncating what is not there is no error, a longer truncation changes nothing.
  await score(engine, VOCAB, [...close(1), { kind: 'truncate', sequence: 77, length: 0 }], [], [])
  const [longer] = await score(
    engine,
    VOCAB,
    [{ kind: 'truncate', sequence: 2, length: 1000 }],
    [rows(2, 24, 1)],
    [5],
  )
  near(longer, await alone([...ids.slice(0, 20), ...end, 4, 5]))
  await score(engine, VOCAB, [{ kind: 'reset', sequence: 0 }], [], [])
  await assert.rejects(score(engine, VOCAB, [], [rows(2, 25, 1)], [5]), { code: 'not-found' })
})

test('what does not follow its sequence is refused, and nothing is changed by it', async () => {
  const ids = tokens(10)
  await score(engine, VOCAB, [open(1)], [rows(1, 0, 10, 1)], ids)
  for (const position of [0, 9, 11]) {
    await assert.rejects(score(engine, VOCAB, [], [rows(1, position, 1)], [5]), {
      code: 'bad-value',
      message: `Sequence 1 stands at position 10, not ${position}.`,
    })
  }
  await assert.rejects(score(engine, VOCAB, [], [rows(8, 0, 1)], [5]), { code: 'not-found' })
  await assert.rejects(score(engine, VOCAB, [], [rows(1, 10, 1)], [VOCAB]), {
    code: 'bad-value',
    message: "Token 300 is not in the model's vocabulary of 300.",
  })
  await assert.rejects(score(engine, VOCAB, [], [rows(1, 10, 247)], tokens(247)), {
    code: 'too-long',
    message: 'Sequence 1 needs 257 positions; the context holds 256.',
  })
  const [row] = await score(engine, VOCAB, [], [rows(1, 10, 1)], [5])
  near(row, await alone([...ids, 5]))
})

test('a sequence fills its context to the last position', async () => {
  const ids = tokens(256)
  await score(engine, VOCAB, [open(1)], [rows(1, 0, 255, 1)], ids.slice(0, 255))
  const [row] = await score(engine, VOCAB, [], [rows(1, 255, 1)], ids.slice(255))
  near(row, await alone(ids))
  await assert.rejects(score(engine, VOCAB, [], [rows(1, 256, 1)], [5]), { code: 'too-long' })
})

/** Activations through consecutive parts of the model, each in an engine of its own. */
const chained = async (ends: readonly number[], input: Int32Array): Promise<Float32Array> => {
  let x: Int32Array | Float32Array = input
  let first = 0
  for (const end of ends) {
    const part = { first, end, ends: first === 0 }
    const given: Int32Array | Float32Array = x
    x = await withEngine(model, part, (own) =>
      activations(own, [open(1)], [rows(1, 0, input.length)], given),
    )
    first = end
  }
  return x as Float32Array
}

test('every split of the layers gives the same bits', async () => {
  const input = Int32Array.from(tokens(23))
  const whole = await chained([LAYERS], input)
  for (const ends of [
    [1, 4],
    [2, 4],
    [3, 4],
    [1, 2, 3, 4],
  ])
    assert.deepEqual(await chained(ends, input), whole, `split at ${ends}`)
})

test('no layers at all pass the rows on: an engine of ends only', async () => {
  await withEngine(model, { first: 0, end: 0 }, async (own) => {
    const input = Int32Array.from(tokens(5))
    const embedded = await activations(own, [], [], input)
    assert.equal(embedded.length, 5 * 256)
    const head = await own.run({
      operations: [],
      segments: [],
      input: embedded,
      output: 'wanted',
      head: Array.from({ length: 5 }, () => ({ kind: 'score' as const, ids: [1] })),
    })
    assert.ok('results' in head && head.results.length === 5)
  })
})

test('layers are dropped and added one by one, with the same results; sequences are closed', async () => {
  const input = Int32Array.from(tokens(11))
  const { manifest } = model
  const part = (first: number, end: number, ends: boolean) =>
    ({ manifest, first, end, ends, arithmetic: 'exact', context: 256 }) as const
  await withEngine(model, {}, async (own, folder) => {
    const whole = await activations(own, [open(1)], [rows(1, 0, 11)], input)
    const files = readdirSync(folder).length
    const report = await own.load(part(0, 2, true))
    assert.equal(report.layers, 2)
    await assert.rejects(activations(own, [], [rows(1, 11, 1)], input.subarray(0, 1)), {
      code: 'not-found',
    })
    const half = await activations(own, [open(1)], [rows(1, 0, 11)], input)
    assert.deepEqual(half, await chained([2], input))
    await own.load(part(2, 4, false))
    assert.deepEqual(await activations(own, [open(1)], [rows(1, 0, 11)], half), whole)
    await assert.rejects(activations(own, [], [], input), { code: 'not-ready' })
    await own.load(part(0, 4, true))
    assert.deepEqual(await activations(own, [open(1)], [rows(1, 0, 11)], input), whole)
    assert.equal(readdirSync(folder).length, files, 'runtime files are made once')
  })
})

test('a row that follows the head at once is the one that a job of its own computes', async () => {
  const ids = [tokens(9), tokens(14, 2)]
  const { spec } = model.manifest
  const head = { kind: 'score' as const, ids: [] }
  const run = async (sequences: readonly [number, number], ahead: boolean) => {
    const prompts = ids.map((own, i) => rows(sequences[i] as number, 0, own.length, 1))
    const x = await activations(
      engine,
      sequences.map(open),
      prompts,
      Int32Array.from(ids.flat()),
      'wanted',
    )
    const next = ids.map((own, i) => rows(sequences[i] as number, own.length, 1, 1))
    const job = {
      operations: [],
      segments: [],
      input: x,
      output: 'wanted' as const,
      head: [head, head],
    }
    if (!ahead) {
      const out = await engine.run(job)
      assert.ok('results' in out)
      const chosen = out.results.map((r) => r.token)
      return {
        chosen,
        x: await activations(engine, [], next, Int32Array.from([chosen[0] as number, 5])),
      }
    }
    let chosen: number[] = []
    // The second one's token is given, whatever the head chooses.
    const out = await engine.run(
      { ...job, next: [next[0] as Segment, { ...(next[1] as Segment), token: 5 }] },
      (results) => {
        chosen = results.map((r) => r.token)
      },
    )
    assert.ok('x' in out)
    return { chosen, x: out.x }
  }
  const apart = await run([70, 71], false)
  const together = await run([80, 81], true)
  assert.deepEqual(together.chosen, apart.chosen)
  assert.deepEqual(together.x, apart.x)
  assert.equal(together.x.length, 2 * spec.hidden)
  await engine.run({
    operations: close(70, 71, 80, 81),
    segments: [],
    input: new Int32Array(0),
    output: 'rows',
  })
})
