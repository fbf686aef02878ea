import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MdiError } from '../../services/errors.ts'
import { limits } from '../../services/limits.ts'
import { Stage, type StageEffect, type StageOptions } from '../../services/ring/stage.ts'
import { HIDDEN, reset, segment, visit } from './fakes.ts'

const stageOf = (change: Partial<StageOptions> = {}): Stage => {
  const stage = new Stage({
    node: 'b',
    previous: 'a',
    epoch: 1,
    wire: 'fp32',
    hidden: HIDDEN,
    last: false,
    ...change,
  })
  stage.handle({ kind: 'next', up: true })
  return stage
}
const rows = (n: number) => ({ x: new Float32Array(n * HIDDEN) })
const kinds = (effects: StageEffect[]) =>
  effects.map((e) => (e.kind === 'send' ? `send ${e.frame.number}` : e.kind))
const reasons = (effects: StageEffect[]) =>
  effects.map((e) => (e.kind === 'fault' ? `${e.fault.node}: ${e.fault.reason}` : e.kind))
/** A visit of one row of sequence 1. */
const row = (number: number) => visit(number, { segments: [segment(1, number)] })

test('visits are computed one at a time, and go on in their order', () => {
  const stage = stageOf()
  assert.deepEqual(kinds(stage.handle({ kind: 'visit', frame: row(1) })), ['compute'])
  assert.deepEqual(stage.handle({ kind: 'visit', frame: row(2) }), [])
  assert.equal(stage.held, 2)
  const first = stage.handle({ kind: 'computed', job: 1, output: rows(1) })
  assert.deepEqual(kinds(first), ['send 1', 'compute'])
  assert.deepEqual(kinds(stage.handle({ kind: 'computed', job: 2, output: rows(1) })), ['send 2'])
  assert.equal(stage.held, 0)
})

test('the last stage asks for the rows wanted only', () => {
  const outputs = [true, false].map((last) => {
    const [effect] = stageOf({ last }).handle({ kind: 'visit', frame: row(1) })
    assert.ok(effect?.kind === 'compute')
    return effect.work.output
  })
  assert.deepEqual(outputs, ['wanted', 'rows'])
})

test('a visit of another epoch is neither computed nor counted', () => {
  const stage = stageOf()
  assert.deepEqual(stage.handle({ kind: 'visit', frame: { ...row(1), epoch: 2 } }), [])
  assert.deepEqual(stage.handle({ kind: 'visit', frame: { ...row(1), epoch: 0 } }), [])
  assert.deepEqual(kinds(stage.handle({ kind: 'visit', frame: row(1) })), ['compute'])
})

test('a doubled or stale visit is passed over; one that is missing is a fault', () => {
  const stage = stageOf()
  stage.handle({ kind: 'visit', frame: visit(7, { operations: [reset] }) })
  stage.handle({ kind: 'visit', frame: row(8) })
  assert.deepEqual(stage.handle({ kind: 'visit', frame: row(8) }), [])
  assert.deepEqual(stage.handle({ kind: 'visit', frame: row(3) }), [])
  assert.deepEqual(reasons(stage.handle({ kind: 'visit', frame: row(10) })), [
    'b: visit 9 never came',
  ])
  assert.equal(stage.held, 0)
})

test('a reset drops what is older, whatever its number: another starter begins anywhere', () => {
  for (const number of [3, 100, 101, 4_000_000_000]) {
    const stage = stageOf()
    stage.handle({ kind: 'visit', frame: visit(100, { operations: [reset] }) })
    stage.handle({ kind: 'visit', frame: row(101) })
    const again = visit(number, { operations: [reset] })
    assert.deepEqual(kinds(stage.handle({ kind: 'visit', frame: again })), ['compute'])
    // The job that was dropped answers in vain; the reset's own goes on.
    assert.deepEqual(stage.handle({ kind: 'computed', job: 1, output: rows(0) }), [])
    const done = stage.handle({ kind: 'computed', job: 2, output: rows(0) })
    assert.deepEqual(kinds(done), [`send ${number}`])
    assert.deepEqual(kinds(stage.handle({ kind: 'visit', frame: row(number + 1) })), ['compute'])
  }
})

test('rows that do not fit the segments or the model are a fault', () => {
  const wide = { ...row(1), hidden: HIDDEN + 1, body: new Uint8Array(12) }
  assert.deepEqual(reasons(stageOf().handle({ kind: 'visit', frame: wide })), [
    'b: it got 1 rows of 3, not 1 of 2',
  ])
  const few = visit(1, { segments: [segment(1, 0, 3)], rows: 1, body: new Uint8Array(8) })
  assert.deepEqual(reasons(stageOf().handle({ kind: 'visit', frame: few })), [
    'b: it got 1 rows of 2, not 3 of 2',
  ])
})

test('a lost link behind, a failed job and a fault from behind are told forward', () => {
  const stage = stageOf()
  assert.deepEqual(stage.handle({ kind: 'previous', up: true }), [])
  const down = stage.handle({ kind: 'previous', up: false, reason: 'it is silent' })
  assert.deepEqual(reasons(down), ['a: it is silent'])
  stage.handle({ kind: 'visit', frame: row(1) })
  const error = new MdiError('out-of-memory', 'No memory.')
  assert.deepEqual(reasons(stage.handle({ kind: 'failed', job: 1, error })), ['b: No memory.'])
  assert.deepEqual(stage.handle({ kind: 'failed', job: 1, error }), [])
  const fault = { node: 'z', reason: 'it burns' }
  assert.deepEqual(reasons(stage.handle({ kind: 'fault', fault })), ['z: it burns'])
})

test('what was computed before the next link is up waits for it; a lost link drops all', () => {
  const stage = stageOf()
  stage.handle({ kind: 'visit', frame: row(1) })
  stage.handle({ kind: 'next', up: false })
  assert.equal(stage.held, 0)
  assert.deepEqual(stage.handle({ kind: 'computed', job: 1, output: rows(1) }), [])
  stage.handle({ kind: 'visit', frame: visit(9, { operations: [reset] }) })
  assert.deepEqual(stage.handle({ kind: 'computed', job: 2, output: rows(0) }), [])
  assert.equal(stage.held, 1)
  assert.deepEqual(kinds(stage.handle({ kind: 'next', up: true })), ['send 9'])
})

test('more frames than a queue holds are a fault, and never held', () => {
  const stage = stageOf()
  for (let number = 1; number <= limits.queueFrames; number++)
    assert.ok(
      !reasons(stage.handle({ kind: 'visit', frame: row(number) }))
        .join()
        .includes('full'),
    )
  assert.equal(stage.held, limits.queueFrames)
  const [fault] = reasons(stage.handle({ kind: 'visit', frame: row(limits.queueFrames + 1) }))
  assert.equal(fault, 'b: its queue is full')
  assert.equal(stage.held, 0)
})
