import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../../services/limits.ts'
import {
  KEPT_MS,
  Ledger,
  TOKEN_BYTES,
  type TokenListener,
  UNHEARD_MS,
} from '../../services/ring/ledger.ts'

const ear = () => {
  const heard: string[] = []
  const listener: TokenListener = {
    token: (t) => heard.push(`${t.id} ${t.step}`),
    end: (e) => heard.push(`${e.id} ${e.reason}`),
  }
  return { heard, listener }
}
const token = (id: string, step: number) => ({ id, step, token: 1 })

test('an owner that attaches again is told what it missed, and the end', () => {
  const [first, second] = [ear(), ear()]
  const ledger = new Ledger()
  assert.equal(ledger.open('r', first.listener, 0), true)
  ledger.token(token('r', 0))
  ledger.detach(first.listener, 1)
  ledger.token(token('r', 1))
  ledger.end({ id: 'r', reason: 'length' }, 2)
  ledger.end({ id: 'r', reason: 'cancelled' }, 3)
  assert.deepEqual(first.heard, ['r 0'])
  assert.equal(ledger.attach('r', 1, second.listener), true)
  assert.deepEqual(second.heard, ['r 1', 'r length'])
  assert.equal(ledger.attach('unknown', 0, second.listener), false)
})

test('an id is in use while its request runs, and free when it has ended', () => {
  const { listener, heard } = ear()
  const ledger = new Ledger()
  ledger.open('r', listener, 0)
  ledger.token(token('r', 0))
  assert.equal(ledger.open('r', listener, 0), false)
  ledger.end({ id: 'r', reason: 'error' }, 1)
  assert.equal(ledger.open('r', listener, 2), true)
  const again = ear()
  ledger.attach('r', 0, again.listener)
  assert.deepEqual(again.heard, [])
  assert.deepEqual(heard, ['r 0', 'r error', 'r error'], 'its end, and that another took it over')
})

test('an owner that is still there is told when another takes its request over', () => {
  const [first, second] = [ear(), ear()]
  const ledger = new Ledger()
  ledger.open('r', first.listener, 0)
  ledger.token(token('r', 0))
  // The same owner over the same link: nothing is taken over.
  ledger.attach('r', 1, first.listener)
  assert.equal(ledger.attach('r', 0, second.listener), true)
  ledger.token(token('r', 1))
  assert.deepEqual(first.heard, ['r 0', 'r error'])
  assert.deepEqual(second.heard, ['r 0', 'r 1'])
})

test('what was told to its end is kept for a while; what runs for nobody is named', () => {
  const { listener } = ear()
  const ledger = new Ledger()
  ledger.open('ended', listener, 0)
  ledger.end({ id: 'ended', reason: 'end' }, 0)
  const owner = ear()
  ledger.open('runs', owner.listener, 0)
  ledger.open('heard', ear().listener, 0)
  ledger.detach(owner.listener, 10)
  assert.deepEqual(ledger.expire(KEPT_MS - 1), [])
  assert.equal(ledger.attach('ended', 0, listener), true)
  assert.deepEqual(ledger.expire(KEPT_MS + 10), ['runs'])
  assert.equal(ledger.attach('ended', 0, listener), false)
})

test('an end that nobody heard waits for its owner much longer', () => {
  const [gone, back] = [ear(), ear()]
  const ledger = new Ledger()
  for (const id of ['before', 'after']) ledger.open(id, gone.listener, 0)
  // Told into a link that was broken already, and to nobody.
  ledger.end({ id: 'before', reason: 'end' }, 0)
  ledger.detach(gone.listener, 10)
  ledger.end({ id: 'after', reason: 'length' }, 20)
  assert.deepEqual(ledger.expire(UNHEARD_MS - 1), [])
  for (const id of ['before', 'after']) assert.equal(ledger.attach(id, 0, back.listener), true)
  assert.deepEqual(back.heard, ['before end', 'after length'])
  assert.deepEqual(ledger.expire(UNHEARD_MS + 20), [])
  assert.equal(ledger.size, 0)
})

test('a request that was given up for want of an owner leaves no answer behind', () => {
  const { listener, heard } = ear()
  const ledger = new Ledger()
  ledger.open('r', listener, 0)
  ledger.detach(listener, 0)
  assert.deepEqual(ledger.expire(KEPT_MS), ['r'])
  ledger.end({ id: 'r', reason: 'cancelled' }, KEPT_MS)
  assert.equal(ledger.attach('r', 0, listener), false)
  assert.deepEqual(heard, [])
})

test('ended answers are bounded in bytes: those that were heard go first, then the oldest', () => {
  const { listener } = ear()
  const gone = ear()
  const ledger = new Ledger()
  const tokens = Math.ceil(limits.keptAnswerBytes / TOKEN_BYTES / 4)
  const run = (id: string, to: TokenListener) => {
    ledger.open(id, to, 0)
    for (let step = 0; step < tokens; step++) ledger.token(token(id, step))
    ledger.end({ id, reason: 'length' }, 0)
  }
  run('unheard', gone.listener)
  ledger.detach(gone.listener, 0)
  for (const id of ['a', 'b', 'c', 'd']) run(id, listener)
  const has = ['unheard', 'a', 'b', 'c', 'd'].filter((id) => ledger.attach(id, 0, listener))
  assert.deepEqual(has, ['unheard', 'c', 'd'])
  ledger.open('r', listener, 0)
  assert.equal(ledger.size, 4, 'what runs is not counted, and never dropped')
})
