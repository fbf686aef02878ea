/** Real processes that meet garbage, strangers and impostors, before and during a run. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import mqtt, { type MqttClient } from 'mqtt'
import { TcpLinks } from '../../services/io/links/tcp.ts'
import { limits } from '../../services/limits.ts'
import { version } from '../../services/version.ts'
import { type TopicName, topics } from '../../services/wire/topics.ts'
import { verbs } from '../../services/wire/verbs.ts'
import { random } from '../fakes/random.ts'
import type { Cluster } from '../harness/cluster.ts'
import { type Known, Load } from '../harness/load.ts'
import { CONTEXT, makeScene, type Scene } from '../harness/servicetest.ts'

let scene: Scene
let cluster: Cluster
let known: Known[]
let stranger: MqttClient

before(async () => {
  scene = await makeScene()
  known = await scene.known(3, 60)
  cluster = await scene.cluster({ nodes: 2 })
  stranger = await mqtt.connectAsync(cluster.url, { protocolVersion: 4 })
})
after(async () => {
  await stranger?.endAsync(true)
  await scene?.close()
})

const next = random(7)
const noise = Buffer.from(Array.from({ length: 4_096 }, () => Math.floor(next() * 256)))

/** What strangers send; the last two say nothing, as port scanners do. */
const garbage: readonly Buffer[] = [
  noise,
  Buffer.from('GET / HTTP/1.1\r\nHost: board\r\n\r\n'),
  // A TLS client's hello, and MQTT's CONNECT.
  Buffer.from('16030100c8010000c40303', 'hex'),
  Buffer.from('101000044d5154540402003c000474657374', 'hex'),
  // The length of a frame that never comes.
  Buffer.alloc(24, 0xff),
  Buffer.alloc(24),
  Buffer.alloc(0),
]

/** Sends garbage to a port, and waits until it is cut off there or has been sent. */
const disturb = (port: number, bytes: Buffer): Promise<void> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('error', () => resolve())
    socket.once('close', () => resolve())
    socket.resume()
    socket.end(bytes)
  })

const ports = (): number[] => {
  const data = [...cluster.watch.states.values()].map((s) => (s.state === 'online' ? s.port : 0))
  const own = /data port (\d+)/.exec(cluster.coordinator.lines.join('\n'))?.[1]
  return [...data, Number(own), Number(new URL(cluster.url).port)]
}

const disturbAll = async (): Promise<void> => {
  assert.equal(ports().length, 4)
  await Promise.all(
    ports().flatMap((port) => {
      assert.ok(port > 0)
      // Several at once, and some that stay and say nothing until the other end is tired of them.
      return garbage.flatMap((bytes) => [disturb(port, bytes), disturb(port, bytes)])
    }),
  )
}

/** The ring answers rightly while something else goes on. */
const meanwhile = async (work: () => Promise<void>): Promise<void> => {
  const load = new Load(cluster, known, 2)
  await load.until(() => load.speaking === 2)
  await work()
  const { done } = load
  await load.until(() => load.done >= done + 4)
  await load.stop()
  assert.deepEqual(load.wrong, [])
  assert.deepEqual(load.ended, [])
  assert.equal(load.refused, 0)
}

test('garbage and port scans on every port, before a model is loaded', async () => {
  await disturbAll()
  await cluster.load(scene.model.name, { arithmetic: 'exact', context: CONTEXT })
})

test('garbage and port scans on every port, during a run', () => meanwhile(disturbAll))

test('JSON that is no JSON on every topic', () =>
  meanwhile(async () => {
    const payloads = [
      '{"state":',
      'null',
      '[]',
      '"\u0000"',
      '{"state":"online","id":7}',
      `${'['.repeat(50_000)}`,
      JSON.stringify({ state: 'online', epoch: -1, padding: 'x'.repeat(200_000) }),
      noise,
    ]
    const names = Object.entries(topics).flatMap(([name, { pattern }]) =>
      ['n1', 'n2', 'nobody', ...Object.keys(verbs)].map((word) => ({
        name: name as TopicName,
        topic: pattern.replace(/\{\w+\}/, word),
      })),
    )
    const unique = new Map(names.map((n) => [n.topic, n.name]))
    assert.ok(unique.size > 20)
    // An object is a request to unload, whatever else is in it.
    for (const [topic, name] of unique)
      for (const payload of topic.endsWith('/request/unload') ? payloads.slice(0, 4) : payloads)
        await stranger.publishAsync(topic, payload, { qos: 1, retain: topics[name].retain })
    // What is retained is garbage now; each owner of a topic puts that right by itself.
    await cluster.watch.until(() => cluster.watch.states.get('n1')?.state === 'online')
    const status = await cluster.ring.ask('status', {})
    assert.equal(status.health.ring, 'ready')
  }))

test('a coordinator that starts among garbage finds its nodes', async () => {
  await cluster.coordinator.kill()
  cluster.coordinator.start()
  await meanwhile(async () => {})
})

test('a peer of an older epoch, another version or another cluster is refused by name', () =>
  meanwhile(async () => {
    const state = cluster.watch.states.get('n1')
    assert.ok(state?.state === 'online')
    const { id, addresses, port } = state
    const peer = { id, addresses, port }
    const refusal = async (
      as: { node: string; cluster: string; version: string },
      epoch: number,
    ) => {
      const links = new TcpLinks(as)
      links.setEpoch(epoch)
      const dialed = links.dial(peer, 'ring')
      const error = await dialed.then(
        () => undefined,
        (e: Error) => e,
      )
      await links.close()
      return error?.message
    }
    const self = { node: 'n2', cluster: 'test', version }
    const { epoch } = state
    assert.match((await refusal(self, epoch - 1)) ?? '', /n1 follows plan \d+, not \d+/)
    assert.match(
      (await refusal({ ...self, node: 'n3' }, epoch)) ?? '',
      /n3 is not the stage before/,
    )
    assert.match((await refusal({ ...self, version: '0.0.1' }, epoch)) ?? '', /0\.0\.1/)
    assert.match((await refusal({ ...self, cluster: 'other' }, epoch)) ?? '', /other/)
  }))

test('an older plan is refused, and one of another cluster', () =>
  meanwhile(async () => {
    const node = cluster.node('n2')
    const desired = { epoch: 0, cluster: 'test', assignment: null }
    const topic = 'mdi/desired/n2'
    const from = node.lines.length
    await stranger.publishAsync(topic, JSON.stringify(desired), { qos: 1 })
    await node.line(/A plan of epoch 0 is older than \d+: refused/, from)
    const other = { ...desired, epoch: 4_000_000, cluster: 'other' }
    await stranger.publishAsync(topic, JSON.stringify(other), { qos: 1 })
    await node.line(/for the cluster other is not for this node/, from)
  }))

test('a node of another version or cluster is refused by name', async () => {
  const state = cluster.watch.states.get('n1')
  assert.ok(state?.state === 'online')
  for (const [id, changes, reason] of [
    ['old', { version: '0.0.1' }, /old runs version 0\.0\.1, this coordinator \d/],
    ['far', { cluster: 'other' }, /far is of another cluster, other/],
  ] as const) {
    const fake = { ...state, id, instance: id, ...changes }
    const shown = JSON.stringify(fake)
    await stranger.publishAsync(`mdi/state/${id}`, shown, { qos: 1, retain: true })
    await cluster.coordinator.line(reason)
    const load = cluster.load(scene.model.name, { nodes: ['n1', id] })
    await assert.rejects(load, { code: 'not-found', message: reason })
  }
  await meanwhile(async () => {})
})

test('a false plan of any number puts no node out, also over its restart', async () => {
  const { states } = cluster.watch
  const node = cluster.node('n2')
  const phase = () => {
    const state = states.get('n2')
    return state?.state === 'online' ? state.assignment.phase : 'offline'
  }
  const tell = (epoch: number) => {
    const desired = { epoch, cluster: 'test', assignment: null }
    const message = JSON.stringify(desired)
    return stranger.publishAsync('mdi/desired/n2', message, { qos: 1, retain: true })
  }
  const answers = async () => {
    await cluster.watch.until(() => phase() === 'ready')
    await cluster.watch.ready()
    await meanwhile(async () => {})
  }
  const from = node.lines.length
  await tell(4_294_967_294)
  await node.line(/In .*epoch/, from)
  for (const ahead of [limits.epochs - 2_000_000, 2 ** 30, 1_000, 1]) {
    const own = states.get('n2')
    assert.ok(own?.state === 'online')
    const left = cluster.watch.until(() => phase() === 'idle')
    await tell(1 + ((own.epoch + ahead) % (limits.epochs - 1)))
    await left
    await answers()
  }
  await tell(limits.epochs - 1)
  await node.kill()
  await cluster.watch.until(() => phase() === 'offline')
  node.start()
  await answers()
})
