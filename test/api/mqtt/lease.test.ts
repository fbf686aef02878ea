/** Who answers at the home's broker, and whether that is the ring's own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HomeLease, type Role } from '../../../services/api/mqtt/lease.ts'
import { RebasedBus } from '../../../services/api/mqtt/rebased.ts'
import { limits } from '../../../services/limits.ts'
import { FakeClock } from '../../fakes/clock.ts'
import { MemoryBroker, MemoryBus, settled } from '../../fakes/memorybroker.ts'

const offline = (instance: string) => JSON.stringify({ state: 'offline', instance })

const gateway = (home: MemoryBroker, ring: MemoryBroker, instance: string, base = 'mdi') => {
  const clock = new FakeClock()
  const roles: Role[] = []
  const bus = {
    home: new MemoryBus(home, { topic: `${base}/bridge/state`, payload: offline(instance) }),
    ring: new MemoryBus(ring),
  }
  const claim = new HomeLease({
    ...{ home: new RebasedBus(bus.home, base), ring: bus.ring, sameNames: base === 'mdi' },
    ...{ instance, clock, onRole: (role) => roles.push(role) },
  })
  claim.start()
  return { claim, roles, clock, ...bus }
}
const brokers = () => ({ home: new MemoryBroker(), ring: new MemoryBroker() })

test('two brokers: it answers, and says which one it is', async () => {
  const { home, ring } = brokers()
  const a = gateway(home, ring, 'a')
  a.ring.connect()
  a.home.connect()
  await settled()
  assert.deepEqual(a.roles, ['answers'])
  assert.deepEqual(home.last('mdi/bridge/state'), { state: 'online', instance: 'a' })
  assert.equal(ring.retained.size, 0)
  a.claim.stop()
  await settled()
  assert.deepEqual(home.last('mdi/bridge/state'), { state: 'offline', instance: 'a' })
})

test('one broker and the same names: it is found out in whatever order they connect', async () => {
  for (const order of [
    ['ring', 'home'],
    ['home', 'ring'],
  ] as const) {
    const one = new MemoryBroker()
    one.publish('mdi/bridge/state', '{"state":"online"}', { qos: 1, retain: true })
    const a = gateway(one, one, 'a')
    for (const which of order) a[which].connect()
    await settled()
    assert.equal(a.claim.role, 'shared')
    assert.ok(!a.roles.includes('answers'))
    assert.deepEqual(one.last('mdi/bridge/state'), { state: 'online' }, 'it is not ours')
  }
  // The ring's connection comes late: what was begun is ended.
  const one = new MemoryBroker()
  const late = gateway(one, one, 'a')
  late.home.connect()
  await settled()
  assert.equal(late.claim.role, 'unknown')
  late.clock.advance(limits.claimMs)
  assert.equal(late.claim.role, 'answers')
  late.ring.connect()
  await settled()
  assert.equal(late.claim.role, 'shared')
})

test('one broker under another base is nothing special', async () => {
  const one = new MemoryBroker()
  const a = gateway(one, one, 'a', 'attic')
  a.home.connect()
  await settled()
  assert.deepEqual(a.roles, ['answers'])
})

test('of several gateways one answers; when it is gone, one of the others', async () => {
  const { home, ring } = brokers()
  const all = ['a', 'b', 'c'].map((instance) => gateway(home, ring, instance))
  const [a, b, c] = all as [(typeof all)[0], (typeof all)[0], (typeof all)[0]]
  for (const one of all) one.ring.connect()
  a.home.connect()
  await settled()
  b.home.connect()
  c.home.connect()
  await settled()
  const answering = () => all.filter(({ claim }) => claim.role === 'answers')
  assert.deepEqual(answering(), [a])
  a.home.lose()
  await settled()
  assert.equal(answering().length, 1)
  const [next] = answering()
  assert.ok(next && next !== a)
  // It comes back, and waits; the last will of one that waits changes nothing.
  a.home.connect()
  await settled()
  assert.deepEqual(answering(), [next])
  a.home.lose()
  await settled()
  assert.deepEqual(answering(), [next])
  assert.equal(home.last('mdi/bridge/state')?.state, 'online')
  // All at once.
  const again = brokers()
  const many = ['x', 'y', 'z'].map((instance) => gateway(again.home, again.ring, instance))
  for (const one of many) {
    one.ring.connect()
    one.home.connect()
  }
  await settled()
  assert.equal(many.filter(({ claim }) => claim.role === 'answers').length, 1)
})
