/** What a broker does not take, and what our own does not keep. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Broker } from '../../../services/io/mqtt/broker.ts'
import { MqttBus } from '../../../services/io/mqtt/client.ts'
import { limits } from '../../../services/limits.ts'
import { StrictBroker } from '../../fakes/strictbroker.ts'
import { mosquittoPath, startMosquitto } from '../../harness/mosquitto.ts'

const mosquitto = mosquittoPath()
const skip = mosquitto ? false : 'mosquitto is not installed'
const once = { retain: false, qos: 1 } as const

/** A bus that is up. */
const connected = async (url: string, clientId: string, onTrouble?: (sentence: string) => void) => {
  const bus = new MqttBus({ url, clientId, ...(onTrouble && { onTrouble }) })
  const up = new Promise<void>((resolve) => bus.onConnection((c) => c.up && resolve()))
  bus.start()
  await up
  return bus
}

test('never more is on its way than the broker takes at once, and all arrives in order', async (t) => {
  const broker = new StrictBroker(3)
  const url = `mqtt://127.0.0.1:${await broker.start()}`
  t.after(() => broker.close())
  const bus = await connected(url, 'sender')
  t.after(() => bus.close())
  const all = Promise.withResolvers<void>()
  broker.onMessage = () => {
    if (broker.payloads.length === 300) all.resolve()
  }
  for (let i = 0; i < 300; i++) bus.publish('n', String(i), once)
  await all.promise
  assert.deepEqual(
    broker.payloads,
    Array.from({ length: 300 }, (_, i) => String(i)),
  )
  assert.equal(broker.most, 3)
})

test('one who leaves in order sends first what waits for room', async (t) => {
  const broker = new StrictBroker(2)
  const url = `mqtt://127.0.0.1:${await broker.start()}`
  t.after(() => broker.close())
  const bus = await connected(url, 'sender')
  for (let i = 0; i < 100; i++) bus.publish('n', String(i), once)
  await bus.close()
  assert.equal(broker.payloads.at(-1), '99')
  assert.equal(broker.most, 2)
})

test('a message that is longer than the broker takes is told once, and ends nothing', {
  skip,
}, async (t) => {
  const broker = await startMosquitto(mosquitto as string, undefined, undefined, [
    'max_packet_size 4096',
  ])
  t.after(() => broker.stop())
  const troubles: string[] = []
  const bus = await connected(`mqtt://127.0.0.1:${broker.port}`, 'a', (s) => troubles.push(s))
  t.after(() => bus.close())
  let lost = false
  bus.onConnection(({ up }) => {
    if (!up) lost = true
  })
  const heard: number[] = []
  const last = Promise.withResolvers<void>()
  bus.subscribe('n', ({ payload }) => {
    heard.push(payload.length)
    if (payload.length === 2) last.resolve()
  })
  bus.publish('n', 'x'.repeat(5_000), once)
  bus.publish('n', 'x'.repeat(5_000), once)
  bus.publish('n', 'x'.repeat(3_000), once)
  bus.publish('n', 'xx', once)
  await last.promise
  assert.deepEqual(heard, [3_000, 2])
  assert.equal(lost, false)
  assert.equal(troubles.length, 1)
  assert.match(troubles[0] ?? '', /takes packets of 4096 bytes at most.*on n has 50\d\d/)
})

test('what our own broker retains has a bound, which is told once; what is there can change', async (t) => {
  const troubles: string[] = []
  const broker = new Broker((sentence) => troubles.push(sentence))
  const url = `mqtt://127.0.0.1:${await broker.start(0, '127.0.0.1')}`
  const bus = await connected(url, 'flood')
  t.after(async () => {
    await bus.close()
    await broker.close()
  })
  const retained = { retain: true, qos: 1 } as const
  const room = limits.brokerRetainedBytes
  const payload = 'x'.repeat(limits.controlBytes - 100)
  const kept = Math.floor(room / (payload.length + 4))
  const end = Promise.withResolvers<void>()
  bus.subscribe('end', () => end.resolve())
  for (let i = 0; i < kept + 8; i++) bus.publish(`t/${i}`, payload, retained)
  bus.publish('t/0', 'short', retained)
  bus.publish('t/1', '', retained)
  bus.publish('end', 'x', once)
  await end.promise
  assert.equal(troubles.filter((s) => /retains/.test(s)).length, 1)
  // A newcomer gets what was kept, and nothing else.
  const seen = new Map<string, number>()
  const reader = await connected(url, 'reader')
  t.after(() => reader.close())
  const told = Promise.withResolvers<void>()
  reader.subscribe('t/#', ({ topic, payload: { length } }) => seen.set(topic, length))
  reader.subscribe('told', () => told.resolve())
  reader.publish('told', 'x', once)
  await told.promise
  assert.equal(seen.get('t/0'), 5)
  assert.equal(seen.has('t/1'), false)
  assert.ok(seen.size < kept + 2, `${seen.size} of ${kept}`)
})
