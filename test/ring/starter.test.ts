import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MdiError } from '../../services/errors.ts'
import { limits } from '../../services/limits.ts'
import type { Job, KvOperation } from '../../services/ports.ts'
import { Starter, type StarterEffect, type StarterOptions } from '../../services/ring/starter.ts'
import { HIDDEN, openOf, segment, visit } from './fakes.ts'

const options: StarterOptions = {
  node: 'a',
  next: 'b',
  previous: 'c',
  epoch: 1,
  wire: 'fp32',
  hidden: HIDDEN,
  stages: 3,
  chunkRows: 8,
  sequences: 8,
  context: 16,
}

/** A starter that is driven by hand; every first stage's job is done at once. */
class Driven {
  readonly starter: Starter
  readonly sent: number[] = []
  readonly resets: number[] = []
  readonly heads: number[] = []
  readonly told: string[] = []
  readonly works: Job[] = []
  /** Of all frames sent. */
  readonly operations: KvOperation[] = []
  now = 0

  constructor(change: Partial<StarterOptions> = {}) {
    this.starter = new Starter({ ...options, ...change }, 100)
  }

  handle(event: Parameters<Starter['handle']>[0]): void {
    for (const effect of this.starter.handle(event, this.now)) this.#do(effect)
  }

  #do(effect: StarterEffect): void {
    if (effect.kind === 'send') {
      this.sent.push(effect.frame.number)
      this.operations.push(...effect.frame.operations)
      if (effect.frame.operations.some((o) => o.kind === 'reset'))
        this.resets.push(effect.frame.number)
    } else if (effect.kind === 'token') this.told.push(`${effect.token.id} ${effect.token.token}`)
    else if (effect.kind === 'end')
      this.told.push(`${effect.end.id} ${effect.end.error?.message ?? effect.end.reason}`)
    else if (effect.kind === 'ring') this.told.push(effect.whole ? 'whole' : 'broken')
    else if (effect.work.head && effect.work.segments.length === 0) {
      this.works.push(effect.work)
      this.heads.push(effect.job)
    } else {
      this.works.push(effect.work)
      const rows = effect.work.segments.reduce((sum, s) => sum + s.rows, 0)
      const { job, work } = effect
      const output = work.head
        ? { results: work.head.map(() => ({ token: 5 })) }
        : { x: new Float32Array(rows * HIDDEN) }
      this.handle({ kind: 'computed', job, output })
    }
  }

  /** Both links are up and the reset has come back. */
  whole(): this {
    this.handle({ kind: 'next', up: true })
    this.handle({ kind: 'previous', up: true })
    this.back(this.sent.at(-1) as number, 0)
    return this
  }

  /** A visit comes back with rows. */
  back(number: number, rows = 1): void {
    const segments = rows > 0 ? [segment(1, 0, rows)] : []
    this.handle({ kind: 'visit', frame: visit(number, { segments }) })
  }
}

test('nothing but a reset is sent until it has gone round', () => {
  const d = new Driven()
  d.handle({ kind: 'next', up: true })
  assert.deepEqual(d.sent, [])
  d.handle({ kind: 'previous', up: true })
  assert.deepEqual(d.sent, [100])
  d.handle({ kind: 'open', request: openOf('early') })
  assert.deepEqual(d.told, ['early The ring is not ready yet.'])
  d.back(100, 0)
  assert.equal(d.starter.whole, true)
  d.handle({ kind: 'open', request: openOf('r') })
  assert.deepEqual(d.sent, [100, 101])
})

test('a ring of one is whole by itself', () => {
  const d = new Driven({ next: null, previous: null, stages: 1 })
  d.handle({ kind: 'tick' })
  assert.equal(d.starter.whole, true)
  d.handle({ kind: 'open', request: openOf('r', { maxTokens: 2 }) })
  assert.deepEqual(d.told, ['whole', 'r 5', 'r 5', 'r length'])
  assert.deepEqual(d.sent, [])
})

test('a ring that is slower than the reset’s time becomes whole all the same', () => {
  const d = new Driven()
  d.handle({ kind: 'next', up: true })
  d.handle({ kind: 'previous', up: true })
  for (d.now = 250; d.now < 5_000; d.now += 250) {
    d.handle({ kind: 'tick' })
    // Each comes back 2.5 s after it was sent.
    if (d.now === 2_500) d.back(100, 0)
  }
  assert.equal(d.starter.whole, true)
  assert.deepEqual(new Set(d.resets), new Set([100]))
  d.back(100, 0)
  d.handle({ kind: 'open', request: openOf('r') })
  assert.equal(d.sent.at(-1), 101, 'no number is left out')
})

test('a lost link ends every request with one sentence that names the node', () => {
  for (const [link, name] of [
    ['next', 'b'],
    ['previous', 'c'],
  ] as const) {
    const d = new Driven().whole()
    d.handle({ kind: 'open', request: openOf('r') })
    d.handle({ kind: link, up: false, reason: 'it is silent' })
    assert.deepEqual(d.told.slice(1), [
      `r Node ${name} was lost (it is silent); the request was ended.`,
      'broken',
    ])
  }
})

test('a fault from the ring names the node that it is about; the ring is tried again', () => {
  const d = new Driven().whole()
  d.now = 5_000
  d.handle({ kind: 'open', request: openOf('r') })
  d.handle({ kind: 'fault', fault: { node: 'z', reason: 'it burns' } })
  assert.equal(d.told[1], 'r Node z was lost (it burns); the request was ended.')
  assert.deepEqual(d.sent, [100, 101, 102])
  d.back(101)
  assert.equal(d.starter.whole, false, 'what was sent before is stale')
  d.back(102, 0)
  assert.equal(d.starter.whole, true)
})

test('faults in a row bring no storm of resets', () => {
  const d = new Driven().whole()
  d.now = 5_000
  for (let i = 0; i < 50; i++) {
    d.handle({ kind: 'fault', fault: { node: 'b', reason: 'visit 9 never came' } })
    d.now += 2
  }
  assert.equal(d.resets.length, 2)
  d.now += 250
  d.handle({ kind: 'tick' })
  assert.equal(d.resets.length, 3)
})

test('a visit that comes back out of its order, or with other rows, is a fault', () => {
  const out = new Driven().whole()
  out.handle({ kind: 'open', request: openOf('r', { tokens: [1] }) })
  out.handle({ kind: 'open', request: openOf('s', { tokens: [1] }) })
  assert.deepEqual(out.sent, [100, 101, 102])
  out.back(102)
  assert.match(out.told[1] ?? '', /^r Node c was lost \(visit 101 never came back from it\)/)
  const rows = new Driven().whole()
  rows.handle({ kind: 'open', request: openOf('r', { tokens: [1] }) })
  rows.back(101, 3)
  assert.match(rows.told[1] ?? '', /^r Node c was lost \(it sent 3 rows of 2, not 1 of 2\)/)
})

test('a visit that comes back twice, or under another epoch, is passed over', () => {
  const d = new Driven().whole()
  d.handle({ kind: 'open', request: openOf('r', { tokens: [1], maxTokens: 1 }) })
  d.handle({ kind: 'visit', frame: { ...visit(101, { segments: [segment(1, 0)] }), epoch: 2 } })
  assert.equal(d.heads.length, 0)
  d.back(101)
  d.back(101)
  assert.equal(d.heads.length, 1)
  d.handle({ kind: 'computed', job: d.heads[0] as number, output: { results: [{ token: 6 }] } })
  assert.deepEqual(d.told, ['whole', 'r 6', 'r length'])
})

test('what comes out of a job from before a loss is not told', () => {
  const d = new Driven().whole()
  d.handle({ kind: 'open', request: openOf('r', { tokens: [1] }) })
  d.back(101)
  d.handle({ kind: 'fault', fault: { node: 'b', reason: 'it burns' } })
  d.handle({ kind: 'computed', job: d.heads[0] as number, output: { results: [{ token: 6 }] } })
  assert.deepEqual(d.told, [
    'whole',
    'r Node b was lost (it burns); the request was ended.',
    'broken',
  ])
})

test('a job that fails ends the requests and names this node', () => {
  const d = new Driven().whole()
  d.handle({ kind: 'open', request: openOf('r', { tokens: [1] }) })
  d.back(101)
  const error = new MdiError('out-of-memory', 'No memory.')
  d.handle({ kind: 'failed', job: d.heads[0] as number, error })
  assert.equal(d.told[1], 'r Node a was lost (No memory.); the request was ended.')
})

test('a model that computes nothing usable ends its requests with that sentence alone', () => {
  const d = new Driven().whole()
  d.handle({ kind: 'open', request: openOf('r', { tokens: [1] }) })
  d.back(101)
  const error = new MdiError('bad-file', 'Import it again.')
  d.handle({ kind: 'failed', job: d.heads[0] as number, error })
  assert.equal(d.told[1], 'r Import it again.')
})

test('a request that cannot be served is refused, and does no harm to the others', () => {
  const d = new Driven().whole()
  d.handle({ kind: 'open', request: openOf('good') })
  d.handle({ kind: 'open', request: openOf('long', { tokens: Array(17).fill(1) }) })
  const score = Array.from({ length: 4 }, () => ({ ids: [1], next: 1 }))
  d.handle({ kind: 'open', request: openOf('scored', { tokens: Array(14).fill(1), score }) })
  assert.deepEqual(d.told, [
    'whole',
    'long The prompt has 17 tokens; the context holds 16.',
    'scored The prompt and the steps to be scored have 17 tokens; the context holds 16.',
  ])
  for (let i = 0; i < limits.waitingRequests + 20; i++)
    d.handle({ kind: 'open', request: openOf(`r${i}`) })
  assert.match(d.told.at(-1) ?? '', /requests are waiting already; try again later/)
  assert.equal(d.starter.load.waiting, limits.waitingRequests)
})

test('a ring from which nothing comes back for a very long time is given up', () => {
  const d = new Driven().whole()
  d.handle({ kind: 'open', request: openOf('r') })
  d.now = limits.visitMs
  d.handle({ kind: 'tick' })
  assert.deepEqual(d.told, ['whole'])
  d.now += 1
  d.handle({ kind: 'tick' })
  assert.match(
    d.told[1] ?? '',
    /^r Node b was lost \(no visit came back from behind it for 300 s\)/,
  )
})

test('a cancelled request ends at once', () => {
  const d = new Driven().whole()
  d.handle({ kind: 'open', request: openOf('r', { tokens: [1] }) })
  d.handle({ kind: 'cancel', id: 'r' })
  d.handle({ kind: 'cancel', id: 'r' })
  d.back(101)
  d.handle({ kind: 'computed', job: d.heads[0] as number, output: { results: [{ token: 6 }] } })
  assert.deepEqual(d.told, ['whole', 'r cancelled'])
})

test('a ring that is left as planned says so, and loses no node', () => {
  for (const event of [
    { kind: 'leave', reason: 'the plan has changed' },
    { kind: 'fault', fault: { node: 'b', reason: 'the plan has changed', planned: true } },
  ] as const) {
    const d = new Driven().whole()
    d.handle({ kind: 'open', request: openOf('r') })
    d.told.length = 0
    d.handle(event)
    assert.equal(
      d.told[0],
      'r The ring is being changed (the plan has changed); the request was ended: ask again.',
    )
    assert.ok(d.told.includes('broken'))
    assert.ok(!d.starter.whole)
  }
})

/** A ring of two with one request whose prompt has come back once; its next row is on its way. */
const decoding = (change: Partial<Parameters<typeof openOf>[1]> = {}): Driven => {
  const d = new Driven({ stages: 2, next: 'b', previous: 'b' }).whole()
  d.handle({ kind: 'open', request: openOf('r', { tokens: [1], maxTokens: 9, ...change }) })
  d.back(101)
  d.handle({ kind: 'computed', job: d.heads[0] as number, output: { results: [{ token: 6 }] } })
  assert.deepEqual(d.sent.slice(-1), [102])
  return d
}

test('the row that follows the head is computed in the same job, and sent when it is done', () => {
  const d = decoding()
  d.back(102)
  const work = d.works.at(-1)
  assert.deepEqual(work?.next, [segment(1, 2)])
  const job = d.heads.at(-1) as number
  d.handle({ kind: 'results', job, results: [{ token: 7 }] })
  // The token is told at once, the row is not there yet.
  assert.deepEqual(d.told.slice(-1), ['r 7'])
  assert.deepEqual(d.sent.slice(-1), [102])
  d.handle({ kind: 'computed', job, output: { x: new Float32Array(HIDDEN) } })
  assert.deepEqual(d.sent.slice(-1), [103])
  assert.equal(d.works.at(-1), work, 'it is not computed once more')
})

test('a row computed ahead that is not wanted is taken back out of the cache', () => {
  const d = decoding({ endIds: [7] })
  d.back(102)
  const job = d.heads.at(-1) as number
  d.handle({ kind: 'results', job, results: [{ token: 7 }] })
  assert.deepEqual(d.told.slice(-2), ['r 7', 'r end'])
  d.handle({ kind: 'open', request: openOf('s', { tokens: [1] }) })
  d.handle({ kind: 'computed', job, output: { x: new Float32Array(HIDDEN) } })
  assert.deepEqual(
    d.works.flatMap((w) => w.operations).filter((o) => o.kind === 'truncate'),
    [{ kind: 'truncate', sequence: 1, length: 2 }],
  )
  // Only this node has that row: the others hear nothing of it.
  assert.ok(!d.operations.some((o) => o.kind === 'truncate'))
  assert.ok(d.sent.length > 2, 'what was drawn meanwhile is sent')
})

test('nothing is computed ahead where something else is to enter, or the request ends', () => {
  const last = decoding({ maxTokens: 2 })
  last.back(102)
  assert.equal(last.works.at(-1)?.next, undefined)
  const scored = decoding({
    maxTokens: 3,
    score: [8, 9, 4].map((next) => ({ ids: [], next })),
  })
  scored.back(102)
  assert.deepEqual(scored.works.at(-1)?.next, [{ ...segment(1, 2), token: 9 }])
})

test('a ring that breaks while a row is computed ahead sends nothing of it', () => {
  const d = decoding()
  d.back(102)
  const job = d.heads.at(-1) as number
  d.handle({ kind: 'results', job, results: [{ token: 7 }] })
  d.handle({ kind: 'fault', fault: { node: 'b', reason: 'it burns' } })
  d.handle({ kind: 'results', job, results: [{ token: 7 }] })
  d.now += 10_000
  d.handle({ kind: 'computed', job, output: { x: new Float32Array(HIDDEN) } })
  assert.deepEqual(d.sent.slice(-1), d.resets.slice(-1), 'a reset follows, and nothing else')
})
