import assert from 'node:assert/strict'
import { connect } from 'node:net'
import type { TestContext } from 'node:test'
import { describe, test } from 'node:test'
import mqtt from 'mqtt'
import { Broker, PacketGuard } from '../../../services/io/mqtt/broker.ts'
import type { MqttOptions } from '../../../services/io/mqtt/client.ts'
import { MqttBus, matchesFilter } from '../../../services/io/mqtt/client.ts'
import { limits } from '../../../services/limits.ts'
import type { BusMessage, ConnectionState } from '../../../services/ports.ts'
import { Events } from '../../fakes/events.ts'
import { freePort, mosquittoPath, startMosquitto } from '../../harness/mosquitto.ts'

type Running = { port: number; stop(): Promise<void> }
type Start = (port?: number) => Promise<Running>

const embedded: Start = async (port = 0) => {
  const broker = new Broker()
  return { port: await broker.start(port), stop: () => broker.close() }
}

const mosquitto = mosquittoPath()
const brokers: [string, number, Start | undefined][] = [
  ['the embedded broker', 4, embedded],
  ['mosquitto', 5, mosquitto ? (port) => startMosquitto(mosquitto, port) : undefined],
]

type Client = {
  bus: MqttBus
  messages: Events<BusMessage>
  connections: Events<ConnectionState>
  troubles: Events<string>
}

let clients = 0
const client = (t: TestContext, port: number, options: Partial<MqttOptions> = {}): Client => {
  const troubles = new Events<string>()
  const bus = new MqttBus({
    url: `mqtt://127.0.0.1:${port}`,
    clientId: `test-${++clients}`,
    onTrouble: troubles.add,
    ...options,
  })
  const messages = new Events<BusMessage>()
  const connections = new Events<ConnectionState>()
  bus.onConnection(connections.add)
  bus.subscribe('mdi/#', messages.add)
  t.after(() => bus.close())
  bus.start()
  return { bus, messages, connections, troubles }
}

const isUp = (c: ConnectionState) => c.up
const textOf = (m: BusMessage) => Buffer.from(m.payload).toString()
const says =
  (text: string, topic?: string) =>
  (m: BusMessage): boolean =>
    textOf(m) === text && (topic === undefined || m.topic === topic)
const retained = { retain: true, qos: 1 } as const
const plain = { retain: false, qos: 1 } as const

for (const [name, version, start] of brokers)
  describe(name, { skip: start ? false : 'not installed' }, () => {
    assert.ok(start || version === 5)
    const run = start as Start

    test('speaks the version it has; retained and plain messages, correlation', async (t) => {
      const broker = await run()
      t.after(() => broker.stop())
      const a = client(t, broker.port)
      // Published before anything is connected: it waits.
      a.bus.publish('mdi/state/a', 'old', retained)
      a.bus.publish('mdi/state/a', 'new', retained)
      a.bus.publish('mdi/x', 'plain', plain)
      a.bus.publish('mdi/y', 'lost', { retain: false, qos: 0 })
      await a.messages.next(says('plain'))
      assert.equal(a.bus.version, version)
      assert.deepEqual(a.connections.all, [{ up: true }], 'the change of version is no loss')
      const b = client(t, broker.port)
      const first = await b.messages.next(says('new', 'mdi/state/a'))
      assert.equal(first.retained, true)
      b.bus.publish('mdi/z', 'c', { ...plain, correlation: Uint8Array.of(1, 2) })
      const got = await a.messages.next(says('c'))
      assert.deepEqual(got.correlation && [...got.correlation], version === 5 ? [1, 2] : undefined)
      const all = [...a.messages.all, ...b.messages.all].map(textOf)
      assert.ok(!all.includes('lost') && !all.includes('old'), all.join())
      b.bus.publish('mdi/state/a', '', retained)
      await a.messages.next(says('', 'mdi/state/a'))
    })

    test('a last will is published for a client that is lost, not for one that leaves', async (t) => {
      const broker = await run()
      t.after(() => broker.stop())
      const watcher = client(t, broker.port)
      await watcher.connections.next(isUp)
      const will = (id: string) => ({ topic: `mdi/state/${id}`, payload: `offline ${id}` })
      const left = client(t, broker.port, { will: will('left') })
      await left.connections.next(isUp)
      await left.bus.close()
      const lost = mqtt.connect(`mqtt://127.0.0.1:${broker.port}`, {
        protocolVersion: version as 4 | 5,
        reconnectPeriod: 0,
        will: { ...will('lost'), payload: Buffer.from('offline lost'), qos: 1, retain: true },
      })
      t.after(() => lost.endAsync(true))
      await new Promise((resolve) => lost.once('connect', resolve))
      lost.stream.destroy()
      await watcher.messages.next(says('offline lost'))
      assert.equal(watcher.messages.all.filter(says('offline left')).length, 0)
    })

    test('a broker that is down at start, and one that restarts in mid-use', async (t) => {
      const port = await freePort()
      const a = client(t, port)
      const down = await a.connections.next((c) => !c.up)
      assert.ok(!down.up)
      assert.match(down.reason, new RegExp(`127\\.0\\.0\\.1:${port} .*refused.*Trying again`))
      a.bus.publish('mdi/state/a', 'one', retained)
      const first = await run(port)
      await a.messages.next(says('one'))
      await first.stop()
      let since = a.connections.all.length
      await a.connections.next((c) => !c.up, since - 1)
      a.bus.publish('mdi/state/a', 'two', retained)
      a.bus.publish('mdi/x', 'kept', plain)
      since = a.connections.all.length
      const second = await run(port)
      t.after(() => second.stop())
      await a.connections.next(isUp, since)
      await a.messages.next(says('two'))
      await a.messages.next(says('kept'))
    })

    test('what is too long is refused here, before the broker closes the link', async (t) => {
      const broker = await run()
      t.after(() => broker.stop())
      const a = client(t, broker.port)
      await a.connections.next(isUp)
      assert.throws(() => a.bus.publish('mdi/x', 'x'.repeat(limits.controlBytes + 1), plain), {
        code: 'bad-value',
        message: /1048577 bytes/,
      })
      const longest = 'y'.repeat(limits.controlBytes)
      a.bus.publish('mdi/x', longest, plain)
      await a.messages.next(says(longest))
    })

    test('garbage and hostile packets on its port leave it working', async (t) => {
      const broker = await run()
      t.after(() => broker.stop())
      const a = client(t, broker.port)
      await a.connections.next(isUp)
      const hostile = [
        'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
        '\x00\x00\x00\x00',
        '\xff'.repeat(5_000),
        // CONNECT that declares 268,435,455 bytes, and one that ends early.
        `\x10\xff\xff\xff\x7f${'x'.repeat(100_000)}`,
        '\x10\x0c\x00\x04MQTT\x04\xc2\x00\x3c\xff\xff',
        // CONNECT, then a SUBSCRIBE without topics and a PUBLISH whose topic is "+".
        '\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01h\x82\x02\x00\x01',
        '\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01i\x30\x04\x00\x01+x',
      ]
      await Promise.all(
        hostile.map(
          (text) =>
            new Promise<void>((resolve) => {
              const socket = connect(broker.port, '127.0.0.1')
              socket.on('error', () => {})
              socket.once('close', () => resolve())
              socket.resume()
              socket.end(Buffer.from(text, 'latin1'))
            }),
        ),
      )
      a.bus.publish('mdi/x', 'still here', plain)
      await a.messages.next(says('still here'))
      assert.deepEqual(a.connections.all, [{ up: true }])
    })
  })

test('while the broker is away pieces of text give way first, and answers last', async (t) => {
  const port = await freePort()
  const a = client(t, port)
  await a.connections.next((c) => !c.up)
  const { response, stream, state } = { response: 'mdi/r', stream: 'mdi/s', state: 'mdi/state/a' }
  const many = limits.busQueue + 50
  for (let i = 0; i < many; i++) {
    if (i % 10 === 0) a.bus.publish(response, `answer ${i}`, plain)
    a.bus.publish(stream, `piece ${i}`, { ...plain, passing: true })
  }
  a.bus.publish(state, 'on', retained)
  // More than may wait by their bytes, of which the oldest answer gives way.
  const share = 'x'.repeat(limits.busQueueBytes / 16)
  for (let i = 0; i < 15; i++) a.bus.publish('mdi/big', `${i} ${share}`, plain)
  a.bus.publish(stream, `piece ${many}`, { ...plain, passing: true })
  const broker = await embedded(port)
  t.after(() => broker.stop())
  await a.messages.next(says(`piece ${many}`))
  const of = (topic: string) => a.messages.all.filter((m) => m.topic === topic).map(textOf)
  assert.deepEqual(
    of(response),
    Array.from({ length: Math.ceil(many / 10) }, (_, i) => `answer ${10 * i}`),
  )
  assert.equal(of('mdi/big').length, 15)
  assert.ok(of(stream).length < many)
})

test('what waits for the broker is bounded in bytes', async (t) => {
  const port = await freePort()
  const a = client(t, port)
  await a.connections.next((c) => !c.up)
  const share = 'x'.repeat(limits.busQueueBytes / 16)
  for (let i = 0; i < 17; i++) a.bus.publish('mdi/big', `${i} ${share}`, plain)
  a.bus.publish('mdi/last', 'last', plain)
  const broker = await embedded(port)
  t.after(() => broker.stop())
  await a.messages.next(says('last'))
  const kept = a.messages.all.filter((m) => m.topic === 'mdi/big')
  assert.deepEqual(
    kept.map((m) => Number.parseInt(textOf(m), 10)),
    Array.from({ length: 15 }, (_, i) => i + 2),
  )
})

test('a wrong password is told, again and again tried, and taken when it is right', {
  skip: mosquitto ? false : 'mosquitto is not installed',
}, async (t) => {
  const login = { user: 'pi', password: 'raspberry' }
  const broker = await startMosquitto(mosquitto as string, undefined, login)
  t.after(() => broker.stop())
  const wrong = client(t, broker.port, { username: 'pi', password: 'x' })
  const down = await wrong.connections.next((c) => !c.up)
  assert.ok(!down.up)
  assert.match(down.reason, /Not authorized/)
  const right = client(t, broker.port, { username: 'pi', password: 'raspberry' })
  await right.connections.next(isUp)
  const inUrl = client(t, broker.port, { url: `mqtt://pi:raspberry@127.0.0.1:${broker.port}` })
  await inUrl.connections.next(isUp)
})

test('a message for which the broker hangs up is given up, and what follows goes out', {
  skip: mosquitto ? false : 'mosquitto is not installed',
}, async (t) => {
  const broker = await startMosquitto(mosquitto as string)
  t.after(() => broker.stop())
  const watcher = client(t, broker.port)
  await watcher.connections.next(isUp)
  const a = client(t, broker.port)
  await a.connections.next(isUp)
  a.bus.publish('mdi/poison/#', 'x', plain)
  a.bus.publish('mdi/x', 'in flight too', plain)
  await a.troubles.next((sentence) => /hung up again and again/.test(sentence))
  await watcher.messages.next(says('in flight too'))
  a.bus.publish('mdi/x', 'afterwards', plain)
  await watcher.messages.next(says('afterwards'))
  assert.ok(a.connections.all.length <= 3, JSON.stringify(a.connections.all))
})

test('a message that is too long comes cut to whoever wants it so', {
  skip: mosquitto ? false : 'mosquitto is not installed',
}, async (t) => {
  const broker = await startMosquitto(mosquitto as string)
  t.after(() => broker.stop())
  const a = client(t, broker.port)
  const long = new Events<BusMessage>()
  a.bus.subscribe('mdi/x', long.add, { long: true })
  await a.connections.next(isUp)
  const other = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.port}`)
  t.after(() => other.endAsync(true))
  await other.publishAsync('mdi/x', 'y'.repeat(limits.controlBytes + 1))
  const { wholeBytes, payload } = await long.next(() => true)
  assert.deepEqual([wholeBytes, payload.length], [limits.controlBytes + 1, limits.prefixBytes])
  await other.publishAsync('mdi/x', 'short')
  await a.messages.next(says('short'))
  // A broker may deliver once for each of two filters that match.
  assert.ok(a.messages.all.every(says('short')))
})

test('a broker’s address that is none, and a password in it that is not told', () => {
  for (const url of ['nonsense://u:secret@h', '192.168.1.10', 'mqtt://', ''])
    assert.throws(
      () => new MqttBus({ url, clientId: 'x' }).start(),
      (error: Error) => /no broker's address/.test(error.message) && !/secret/.test(error.message),
      url,
    )
})

test('the embedded broker: a port that is taken is told', async (t) => {
  const broker = new Broker()
  t.after(() => broker.close())
  const port = await broker.start(0)
  await assert.rejects(new Broker().start(port), {
    code: 'broker',
    message: `The embedded broker cannot open port ${port}: another program uses it.`,
  })
})

test('a packet that declares too much is cut off at its header; others pass, however cut', () => {
  const guarded = (...slices: Buffer[]) => {
    const guard = new PacketGuard()
    let failed = ''
    guard.on('error', (error) => {
      failed = error.message
    })
    const passed: Buffer[] = []
    for (const slice of slices)
      guard._transform(slice, 'buffer', (error, bytes) => {
        if (error) failed = error.message
        else passed.push(bytes as Buffer)
      })
    return { failed, passed: Buffer.concat(passed) }
  }
  const bytesOf = (text: string) => Buffer.from(text, 'latin1')
  const single = (bytes: Buffer) => [...bytes].map((b) => Buffer.of(b))
  // PINGREQ, a PUBLISH of 300 bytes (remaining length ac 02), PINGREQ.
  const good = bytesOf(`\xc0\x00\x30\xac\x02${'\xff'.repeat(300)}\xc0\x00`)
  for (const slices of [[good], single(good)])
    assert.deepEqual(guarded(...slices), { failed: '', passed: good })
  for (const hostile of [
    '\x10\xff\xff\xff\x7f',
    '\x10\xff\xff\xff\xff',
    '\xc0\x00\x30\x80\x80\x80\x01',
  ])
    for (const slices of [[bytesOf(hostile)], single(bytesOf(hostile))])
      assert.equal(guarded(...slices).failed, 'the packet is too long', hostile)
})

test('filters match as MQTT says', () => {
  const cases: [string, string, boolean][] = [
    ['mdi/state/+', 'mdi/state/a', true],
    ['mdi/state/+', 'mdi/state', false],
    ['mdi/state/+', 'mdi/state/a/b', false],
    ['mdi/#', 'mdi', true],
    ['mdi/#', 'mdi/a/b', true],
    ['+/+', 'a/b', true],
    ['mdi/a', 'mdi/b', false],
  ]
  for (const [filter, topic, expected] of cases)
    assert.equal(matchesFilter(filter, topic), expected, `${filter} ${topic}`)
})

test('the embedded broker knows who listens, and a client that is gone does not', async (t) => {
  const broker = new Broker()
  const port = await broker.start(0)
  t.after(() => broker.close())
  const bus = new MqttBus({
    url: `mqtt://127.0.0.1:${port}`,
    clientId: 'own',
    heard: broker.heard,
  })
  t.after(() => bus.close())
  bus.start()
  const reader = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0 })
  await reader.subscribeAsync('mdi/+/s')
  const say = () =>
    new Promise<boolean>((resolve) => bus.publish('mdi/x/s', 'y', { ...plain, heard: resolve }))
  assert.equal(await say(), true)
  assert.equal(broker.heard('mdi/x'), false)
  await reader.unsubscribeAsync('mdi/+/s')
  assert.equal(await say(), false)
  await reader.subscribeAsync('mdi/x/s')
  assert.equal(await say(), true)
  reader.stream.destroy()
  // Its end is known when the broker has seen it; each answer is a way there and back.
  while (await say());
})
