/** What the home is told of the ring, and what is put right there. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Announcer, type OwnLoad } from '../../../services/api/homeassistant/announcer.ts'
import { RebasedBus } from '../../../services/api/mqtt/rebased.ts'
import { openStatus } from '../../../services/api/mqtt/redact.ts'
import { ClusterView } from '../../../services/client/view.ts'
import { limits } from '../../../services/limits.ts'
import { withChanges } from '../../../services/members/livesettings.ts'
import type { BridgeHealth, BridgeInfo, Online } from '../../../services/wire/control.ts'
import { FakeClock } from '../../fakes/clock.ts'
import { MemoryBroker, MemoryBus, settled } from '../../fakes/memorybroker.ts'

const node = (id: string, more: Partial<Online> = {}): Online => ({
  ...{ state: 'online', id, name: `Board ${id}`, cluster: 'den', version: '1', protocol: 1 },
  ...{ instance: 'i', addresses: ['192.168.1.7'], port: 4711, epoch: 1, held: [], links: [] },
  profile: { memoryBytes: 1, cpu: 'Cortex', cores: 4, speed: {}, host: 'serial-1' },
  assignment: { phase: 'ready', first: 0, end: 2 },
  ring: { whole: true },
  ...more,
})
const health: BridgeHealth = {
  ...{ ring: 'ready', running: 1, queued: 2, tokensPerSecond: 3, uptimeSeconds: 9 },
}
const info: BridgeInfo = {
  ...{ version: '1', protocol: 1, cluster: 'den', epoch: 1, context: 64 },
  coordinator: { id: 'c', addresses: ['192.168.1.2'], port: 4000 },
  model: { name: 'home', manifest: 'a'.repeat(64), bytes: 1 },
  stages: ['n1', 'n2'].map((n, i) => ({ node: n, first: i, end: i + 1 })),
}

const setUp = async (retained: Record<string, unknown> = {}, own?: Partial<OwnLoad>) => {
  const brokers = { home: new MemoryBroker(), ring: new MemoryBroker() }
  const bus = { home: new MemoryBus(brokers.home), ring: new MemoryBus(brokers.ring) }
  for (const [topic, value] of Object.entries(retained))
    brokers.home.publish(topic, JSON.stringify(value), { qos: 1, retain: true })
  const say = async (topic: string, value: unknown) => {
    const payload = value === '' ? '' : JSON.stringify(value)
    brokers.ring.publish(topic, payload, { qos: 1, retain: true })
    await settled()
  }
  await say('mdi/bridge/state', { state: 'online' })
  await say('mdi/bridge/info', info)
  await say('mdi/bridge/health', health)
  for (const n of ['n1', 'n2']) await say(`mdi/state/${n}`, node(n))
  const clock = new FakeClock()
  const rebased = new RebasedBus(bus.home, 'attic')
  const known: { id: string; state: 'offline' }[] = []
  const view: ClusterView = new ClusterView(bus.ring, 'den', (change) => announcer.changed(change))
  const announcer: Announcer = new Announcer({
    ...{ bus: rebased, place: rebased.place, discovery: 'ha', cluster: 'den', view, clock },
    ...{ bridge: true, own: () => ({ running: 0, queued: 0, tokensPerSecond: 0, ...own }) },
    client: {
      ask: (async (verb: string) =>
        verb === 'status' ? { info, health, nodes: known } : { models: [] }) as never,
    },
  })
  announcer.start()
  view.start()
  bus.home.connect()
  bus.ring.connect()
  await settled()
  const start = async () => {
    announcer.turn(true)
    await settled()
  }
  return { home: brokers.home, ring: brokers.ring, say, clock, start, known, announcer, view }
}

const board = (name: string, cluster = 'den') => ({
  ...{ state: 'online', cluster, name, phase: 'ready', layers: 2, range: '0–1' },
})

test('a board that went offline while no gateway ran is shown so, with its name', async () => {
  const { home, say, start } = await setUp({ 'attic/board/n9': board('Cellar') })
  await say('mdi/state/n9', { state: 'offline' })
  await start()
  const told = home.last('attic/board/n9')
  assert.deepEqual([told?.state, told?.name], ['offline', 'Cellar'])
  // One that never was the home's is none now.
  await say('mdi/state/n8', { state: 'offline' })
  assert.equal(home.last('attic/board/n8'), undefined)
  // And it can be removed.
  home.publish('ha/device/mdi_den_n9/config', '{}', { qos: 1, retain: true })
  await say('mdi/state/n9', '')
  assert.equal(home.last('attic/board/n9'), undefined)
  assert.equal(home.last('ha/device/mdi_den_n9/config'), undefined)
})

test('a board that the ring no longer has is taken away, when its time to come is over', async () => {
  const { home, start, clock, known } = await setUp({
    'attic/board/n7': board('Gone'),
    'attic/board/n6': board('Known'),
    'attic/board/x': board('Else’s', 'other'),
    'ha/device/mdi_den_n7/config': { device: {} },
  })
  known.push({ id: 'n6', state: 'offline' })
  await start()
  assert.equal(home.last('attic/board/n7')?.state, 'online')
  clock.advance(limits.goneBoardMs)
  await settled()
  assert.equal(home.last('attic/board/n7'), undefined)
  assert.equal(home.last('ha/device/mdi_den_n7/config'), undefined)
  assert.equal(home.last('attic/board/n6')?.state, 'offline')
  assert.ok(home.last('attic/board/n1') && home.last('attic/board/x'))
})

test('the cluster’s load is the coordinator’s and the gateway’s own', async () => {
  const own = { running: 3, queued: 1, tokensPerSecond: 7.5 }
  const { home, start } = await setUp({}, own)
  await start()
  const told = home.last('attic/bridge/health')
  assert.deepEqual([told?.running, told?.queued, told?.tokensPerSecond], [4, 3, 10.5])
  assert.deepEqual(Object(home.last('attic/bridge/info')?.coordinator).addresses, [])
})

test('without a coordinator the ring is ready as far as its nodes are there', async () => {
  const { home, start, say } = await setUp()
  await start()
  const ready = () => {
    const { ring, reason } = home.last('attic/bridge/health') ?? {}
    return reason === undefined ? ring : [ring, reason]
  }
  assert.equal(ready(), 'ready')
  await say('mdi/bridge/state', { state: 'offline' })
  assert.equal(ready(), 'ready', 'the ring runs on')
  assert.equal(home.last('attic/bridge/health')?.running, 0)
  await say('mdi/state/n2', { state: 'offline' })
  assert.deepEqual(ready(), ['waiting', 'Node n2 is offline, and no coordinator is there.'])
  await say('mdi/state/n2', node('n2'))
  await say('mdi/state/n1', node('n1', { ring: { whole: false } }))
  assert.deepEqual(ready(), ['waiting', 'The ring is broken, and no coordinator is there.'])
})

test('the home learns no addresses, ports or hardware', () => {
  const reason = 'seen at 192.168.1.7:4711 but unreachable there'
  const told = openStatus({
    info,
    health: {
      ...health,
      ring: 'waiting',
      reason: 'It is at [fe80::1%eth0]:4711 or pi.local:4711.',
    },
    nodes: [
      node('n1', {
        links: [{ peer: 'n2', direction: 'next', up: false, reason }],
        ring: { whole: false, reason },
      }),
      { id: 'n2', state: 'offline' },
    ],
  })
  const text = JSON.stringify(told)
  for (const secret of ['192.168', '4711', '4000', 'Cortex', 'serial', 'fe80', 'pi.local'])
    assert.ok(!text.includes(secret), `${secret}: ${text}`)
  assert.ok(text.includes('Board n1') && text.includes('unreachable there'))
})

test('what was changed while it runs counts over a gateway’s own file, and nothing else does', () => {
  const config = { voice: { intents: true, seconds: 30, allow_unlock: false } } as never
  const changed = withChanges(
    { cluster: 'den', data: '/x', node: 'g', ...(config as object) } as never,
    { voice: { seconds: 5 } },
  )
  assert.deepEqual([changed.voice.seconds, changed.voice.intents], [5, true])
  assert.throws(() => withChanges(config, { voice: { allow_unlock: true } }), { code: 'bad-value' })
})
