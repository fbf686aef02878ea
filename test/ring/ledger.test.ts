import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KEPT_MS, Ledger, type Listener } from '../../services/ring/ledger.ts'

const ear = () => {
  const heard: string[] = []
  const listener: Listener = {
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
  assert.deepEqual(heard, ['r 0', 'r error'])
})

test('what has ended is kept for a while; what runs for nobody is named', () => {
  const { listener } = ear()
  const ledger = new Ledger()
  ledger.open('ended', listener, 0)
  ledger.end({ id: 'ended', reason: 'end' }, 0)
  ledger.open('runs', listener, 0)
  ledger.open('heard', ear().listener, 0)
  ledger.detach(listener, 10)
  assert.deepEqual(ledger.expire(KEPT_MS - 1), [])
  assert.equal(ledger.attach('ended', 0, listener), true)
  assert.deepEqual(ledger.expire(KEPT_MS + 10), ['runs'])
  assert.equal(ledger.attach('ended', 0, listener), false)
})
