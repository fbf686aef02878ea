import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../../services/limits.ts'
import { type Outcome, Scheduler } from '../../services/ring/scheduler.ts'
import type { Visit } from '../../services/ring/visit.ts'
import { openOf } from './fakes.ts'

const schedulerOf = (stages = 1, change: { sequences?: number; context?: number } = {}) =>
  new Scheduler({ stages, chunkRows: 4, sequences: 8 * stages, context: 64, ...change })
const shape = (v: Visit | undefined) =>
  v && {
    operations: v.operations.map((o) => `${o.kind} ${o.sequence}`),
    segments: v.segments.map((s) => `${s.sequence}@${s.position}+${s.rows}/${s.wanted}`),
    tokens: [...v.tokens],
  }
const answer = (s: Scheduler, v: Visit | undefined, token = 9): Outcome[] => {
  assert.ok(v)
  return s.complete(
    v.number,
    v.head.map(() => ({ token })),
  )
}
const told = (outcomes: Outcome[]) =>
  outcomes.map((o) => (o.kind === 'token' ? `${o.token.id} ${o.token.step}` : `${o.end.reason}`))

test('a prompt goes in chunks; its last row is wanted; then one row at a time', () => {
  const s = schedulerOf()
  s.open(openOf('r', { tokens: [1, 2, 3, 4, 5], maxTokens: 2 }))
  const first = s.next()
  assert.deepEqual(shape(first), {
    operations: ['open 1'],
    segments: ['1@0+4/0'],
    tokens: [1, 2, 3, 4],
  })
  assert.deepEqual(told(answer(s, first)), [])
  const second = s.next()
  assert.deepEqual(shape(second), { operations: [], segments: ['1@4+1/1'], tokens: [5] })
  assert.deepEqual(told(answer(s, second, 6)), ['r 0'])
  const third = s.next()
  assert.deepEqual(shape(third), { operations: [], segments: ['1@5+1/1'], tokens: [6] })
  assert.deepEqual(told(answer(s, third)), ['r 1', 'length'])
  assert.deepEqual(shape(s.next()), { operations: ['close 1'], segments: [], tokens: [] })
  assert.equal(s.next(), undefined)
})

test('it ends at an end token, at its maximum and where the context is full', () => {
  for (const [change, context, reason] of [
    [{ endIds: [9] }, 64, 'end'],
    [{ maxTokens: 1 }, 64, 'length'],
    [{ maxTokens: 9 }, 3, 'context'],
  ] as const) {
    const s = schedulerOf(1, { context })
    s.open(openOf('r', { ...change, endIds: [...('endIds' in change ? change.endIds : [])] }))
    assert.deepEqual(told(answer(s, s.next())), ['r 0', reason])
  }
})

test('a request that was carried over goes on counting its steps', () => {
  const s = schedulerOf()
  s.open(openOf('r', { tokens: [1, 2, 3], generated: 2 }))
  const v = s.next()
  const [request] = v?.head ?? []
  assert.ok(request?.kind === 'sample' && request.step === 2)
  assert.deepEqual(told(answer(s, v)), ['r 2'])
})

test('scored steps feed the reference and end with it', () => {
  const s = schedulerOf()
  const score = [
    { ids: [1, 2], next: 7 },
    { ids: [3], next: 8 },
  ]
  s.open(openOf('r', { tokens: [1], score, endIds: [7, 9], maxTokens: 1 }))
  const first = s.next()
  assert.deepEqual(first?.head, [{ kind: 'score', ids: [1, 2] }])
  assert.deepEqual(told(answer(s, first)), ['r 0'])
  const second = s.next()
  assert.deepEqual([...(second?.tokens ?? [])], [7])
  assert.deepEqual(told(answer(s, second)), ['r 1', 'length'])
})

test('the sampler is given history only where it looks at it, and no more than its window', () => {
  const sampling = { ...openOf('r').sampling, frequencyPenalty: 1, penaltyWindow: 2 }
  const s = schedulerOf()
  s.open(openOf('plain'))
  s.open(openOf('penalized', { sampling }))
  const histories = [s.next(), s.next()].map((v) => {
    const [h] = v?.head ?? []
    return h?.kind === 'sample' ? [...h.history] : undefined
  })
  assert.deepEqual(histories, [[], [2, 3]])
})

/** Sends and answers whatever may be sent, until every prompt is in. */
const settle = (s: Scheduler, requests: number): void => {
  for (let done = 0; done < requests; ) {
    const visits: Visit[] = []
    for (let v = s.next(); v; v = s.next()) visits.push(v)
    for (const v of visits) {
      done += v.segments.filter((x) => x.position === 0 && x.wanted > 0).length
      answer(s, v)
    }
  }
}
const sequences = (v: Visit | undefined) => v?.segments.map((x) => x.sequence)

test('ready sequences of a lane go in one visit, each lane in a visit of its own', () => {
  const s = schedulerOf(2)
  for (const id of ['a', 'b', 'c', 'd']) s.open(openOf(id, { tokens: [1], maxTokens: 50 }))
  settle(s, 4)
  const visits = [s.next(), s.next()]
  assert.equal(s.next(), undefined, 'a lane has one visit on its way')
  const lanes = visits.map(sequences).sort((a, b) => (a?.[0] ?? 0) - (b?.[0] ?? 0))
  assert.deepEqual(lanes, [
    [1, 3],
    [2, 4],
  ])
  const [one] = visits
  answer(s, one)
  assert.deepEqual(sequences(s.next()), sequences(one))
})

test('a lane that has become much fuller than another gives some away', () => {
  const s = schedulerOf(2)
  for (const id of ['a', 'b', 'c', 'd']) s.open(openOf(id, { tokens: [1], maxTokens: 9 }))
  for (let i = 0; i < 4; i++) answer(s, s.next())
  s.cancel('b')
  s.cancel('d')
  const visits = [s.next(), s.next()]
  assert.deepEqual(
    visits.map((v) => v?.segments.length),
    [1, 1],
  )
})

test('a visit has no more segments than it may, and those left out come next', () => {
  const s = new Scheduler({ stages: 1, chunkRows: 4, sequences: 20, context: 64 })
  for (let i = 0; i < 12; i++) s.open(openOf(`r${i}`, { tokens: [1], maxTokens: 50 }))
  settle(s, 12)
  const first = s.next()
  answer(s, first)
  const second = s.next()
  assert.deepEqual(
    [first, second].map((v) => v?.segments.length),
    [8, limits.segments],
  )
  const left = Array.from({ length: 12 }, (_, i) => i + 1).filter(
    (n) => !sequences(first)?.includes(n),
  )
  assert.ok(left.every((n) => sequences(second)?.includes(n)))
})

test('in a ring of one a prompt enters between the steps of those that decode', () => {
  const s = schedulerOf()
  s.open(openOf('old', { tokens: [1], maxTokens: 60 }))
  answer(s, s.next())
  s.open(openOf('new', { tokens: Array.from({ length: 12 }, () => 1) }))
  const order: string[] = []
  for (let i = 0; i < 6; i++) {
    const v = s.next()
    order.push(v?.segments[0]?.sequence === 1 ? 'old' : 'new')
    answer(s, v)
  }
  assert.deepEqual(order, ['old', 'new', 'old', 'new', 'old', 'new'])
})

test('a cancelled request is closed with the next visit, and its answer on the way is dropped', () => {
  const s = schedulerOf(2)
  s.open(openOf('r', { tokens: [1] }))
  s.open(openOf('waits'))
  const v = s.next()
  assert.equal(s.cancel('r'), true)
  assert.equal(s.cancel('r'), false)
  assert.equal(s.cancel('waits'), true)
  assert.deepEqual(told(answer(s, v)), [])
  assert.deepEqual(shape(s.next())?.operations.at(0), 'close 1')
  assert.deepEqual(s.load, { running: 0, waiting: 0, visits: 1 })
})

test('requests beyond the places wait, and start when one is free', () => {
  const s = schedulerOf(1, { sequences: 1 })
  s.open(openOf('a', { maxTokens: 1 }))
  s.open(openOf('b', { maxTokens: 1 }))
  const first = s.next()
  assert.deepEqual(shape(first)?.operations, ['open 1'])
  assert.deepEqual(s.load, { running: 1, waiting: 1, visits: 1 })
  answer(s, first)
  assert.deepEqual(shape(s.next())?.operations, ['close 1', 'open 2'])
})

test('visits on their way never exceed the bound, however much could be sent', () => {
  const s = new Scheduler({ stages: 500, chunkRows: 1, sequences: 256, context: 500 })
  for (let i = 0; i < 256; i++) s.open(openOf(`r${i}`, { tokens: Array(100).fill(1) }))
  let count = 0
  while (s.next()) count += 1
  assert.equal(count, limits.framesInFlight)
})

test('clear names every request and forgets what is on its way', () => {
  const s = schedulerOf(1, { sequences: 1 })
  s.open(openOf('a'))
  s.open(openOf('b'))
  const v = s.next()
  assert.deepEqual(s.clear(), ['a', 'b'])
  assert.deepEqual(answer(s, v), [])
  assert.equal(s.next(), undefined)
  assert.equal(s.takeNumber(), (v?.number ?? 0) + 1)
})

test('what follows a visit is told ahead only where nothing else may enter', () => {
  const s = schedulerOf(2)
  const follows = (v: Visit | undefined) =>
    s.follow(v?.number ?? 0)?.map((r) => `${r.sequence}@${r.position}+${r.rows}/${r.wanted}`)
  for (const id of ['a', 'b', 'c']) s.open(openOf(id, { tokens: [1], maxTokens: 8 }))
  const prompts = [s.next(), s.next(), s.next()]
  assert.deepEqual(prompts.map(follows), [undefined, undefined, undefined])
  for (const v of prompts) answer(s, v)
  const [one, other] = [s.next(), s.next()]
  assert.deepEqual([follows(one), follows(other)], [['1@2+1/1', '3@2+1/1'], ['2@2+1/1']])
  // It is what enters.
  answer(s, one)
  const next = s.next()
  assert.deepEqual(shape(next)?.segments, ['1@2+1/1', '3@2+1/1'])
  s.open(openOf('d', { tokens: [1] }))
  assert.equal(follows(next), undefined, 'a prompt waits')
  const prompt = s.next()
  assert.deepEqual(follows(next), ['1@3+1/1', '3@3+1/1'], 'it is on its way')
  answer(s, prompt)
  assert.equal(follows(other), undefined, 'its next row is to join this lane')
  assert.deepEqual(follows(next), ['1@3+1/1', '3@3+1/1'], 'and not that one')
  s.cancel('b')
  assert.equal(follows(next), undefined, 'a sequence is to be closed')
})
