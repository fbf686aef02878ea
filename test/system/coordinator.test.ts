/** Real coordinators at a real broker: two of them, strangers' words on their topics, restarts. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import mqtt, { type MqttClient } from 'mqtt'
import type { Cluster } from '../harness/cluster.ts'
import { type Known, Load } from '../harness/load.ts'
import { type Mosquitto, mosquittoPath, startMosquitto } from '../harness/mosquitto.ts'
import type { Service } from '../harness/processes.ts'
import { CONTEXT, makeScene, type Scene } from '../harness/servicetest.ts'

const mosquitto = mosquittoPath()

describe('a coordinator and others at mosquitto', {
  skip: mosquitto ? false : 'mosquitto is not installed',
}, () => {
  let scene: Scene
  let broker: Mosquitto
  let cluster: Cluster
  let known: Known[]
  let stranger: MqttClient

  before(async () => {
    scene = await makeScene()
    known = await scene.known(2, 60)
    broker = await startMosquitto(mosquitto as string)
    cluster = await scene.cluster({ nodes: 2, broker: `mqtt://127.0.0.1:${broker.port}` })
    await cluster.load(scene.model.name, { arithmetic: 'exact', context: CONTEXT })
    stranger = await mqtt.connectAsync(cluster.url, { protocolVersion: 4 })
  })
  after(async () => {
    await stranger?.endAsync(true)
    await scene?.close()
    await broker?.stop()
  })

  const epochs = () =>
    [...cluster.watch.states.values()].map((s) => (s.state === 'online' ? s.epoch : s.state))
  const second = (name: string): Service =>
    scene.place.mdi(name, [
      ...['--data', join(scene.place.folder, name), 'coordinator', '--broker', cluster.url],
      ...['--host', '127.0.0.1', '--cluster', 'test', '--name', name],
    ])
  /** The ring answers rightly while something else goes on. */
  const meanwhile = async (work: () => Promise<void>): Promise<void> => {
    const load = new Load(cluster, known, 2)
    await load.until(() => load.speaking === 2)
    await work()
    const { done } = load
    await load.until(() => load.done >= done + 4)
    await load.stop()
    assert.deepEqual([load.wrong, load.ended, load.refused], [[], [], 0])
  }

  test('a second one says which other is there and ends; the ring runs on under its plan', () =>
    meanwhile(async () => {
      const plan = epochs()
      const other = second('other')
      const { code } = await other.start().exited
      assert.equal(code, 1)
      assert.match(
        other.lines.join('\n'),
        /Another coordinator is at work at this broker: coordinator-test-c \(at 127\.0\.0\.1 port \d+\)\. Stop that one, or give/,
      )
      assert.ok(!other.lines.some((l) => /^\s+at /.test(l)), 'no stack trace')
      assert.deepEqual(epochs(), plan)
    }))

  test('a late offline, garbage or nothing on its topics: it says again how it is', () =>
    meanwhile(async () => {
      for (const topic of ['state', 'info', 'health'])
        for (const payload of ['{"state":"offline"}', '{"state":', '', '{"ring":"idle"}']) {
          const back = new Promise<void>((resolve) => {
            const listen = (on: string, said: Buffer) => {
              if (on !== `mdi/bridge/${topic}` || String(said) === payload) return
              stranger.off('message', listen)
              resolve()
            }
            stranger.on('message', listen)
          })
          await stranger.subscribeAsync(`mdi/bridge/${topic}`, { qos: 1 })
          await stranger.publishAsync(`mdi/bridge/${topic}`, payload, { qos: 1, retain: true })
          await back
          await stranger.unsubscribeAsync(`mdi/bridge/${topic}`)
        }
      const status = await scene.place.run(['status', '--broker', cluster.url, '--json'])
      assert.equal(status.code, 0, status.lines.join('\n'))
    }))

  test('one that was killed is followed by itself, whatever the broker remembers of it', async () => {
    const plan = epochs()
    for (const remembers of ['its will', 'that it is there']) {
      await cluster.coordinator.kill()
      if (remembers === 'that it is there') {
        const state = { state: 'online', instance: 'a former life', id: 'coordinator-test-c' }
        const topic = 'mdi/bridge/state'
        await stranger.publishAsync(topic, JSON.stringify(state), { qos: 1, retain: true })
      }
      cluster.coordinator.start()
      const status = await cluster.ring.ask('status', {})
      assert.equal(status.info.model?.name, scene.model.name)
    }
    assert.deepEqual(epochs(), plan)
    await meanwhile(async () => {})
  })

  test('a state of another id, or with an epoch that no coordinator made, moves nothing', () =>
    meanwhile(async () => {
      const plan = epochs()
      const state = cluster.watch.states.get('n1')
      assert.ok(state?.state === 'online')
      const since = cluster.coordinator.lines.length
      for (const [id, line] of [
        ['n1', /On the topic of node ghost stands a state of n1/],
        ['ghost', /Node ghost tells of plan 4294967295/],
      ] as const) {
        const fake = JSON.stringify({ ...state, id, instance: 'ghost', epoch: 4_294_967_295 })
        await stranger.publishAsync('mdi/state/ghost', fake, { qos: 1, retain: true })
        await cluster.coordinator.line(line, since)
      }
      cluster.watch.states.delete('ghost')
      assert.deepEqual(epochs(), plan)
      await cluster.coordinator.kill()
      cluster.coordinator.start()
      assert.equal((await cluster.ring.ask('status', {})).info.epoch, plan[0])
    }))
})
