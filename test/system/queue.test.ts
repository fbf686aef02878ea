/** Requests that wait when their coordinator is killed. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { BusMessage } from '../../services/ports.ts'
import { Events } from '../fakes/events.ts'
import type { Cluster } from '../harness/cluster.ts'
import { type Mosquitto, mosquittoPath, startMosquitto } from '../harness/mosquitto.ts'
import { makeScene, type Scene, sampling } from '../harness/servicetest.ts'

const mosquitto = mosquittoPath()
const RUNNING = 8
const WAITING = 16

describe('a queue and its coordinator', {
  skip: mosquitto ? false : 'mosquitto is not installed',
}, () => {
  let scene: Scene
  let broker: Mosquitto
  let cluster: Cluster

  before(async () => {
    scene = await makeScene()
    broker = await startMosquitto(mosquitto as string)
    cluster = await scene.cluster({ nodes: 1, broker: `mqtt://127.0.0.1:${broker.port}` })
    await cluster.load(scene.model.name)
    await cluster.watch.ready()
  })
  after(async () => {
    await scene?.close()
    await broker?.stop()
  })

  test('a cancel right behind its request ends it, every time', async () => {
    const { bus } = cluster.watch
    type Said = { status: string; transaction: string; data: { reason?: string } }
    const said = new Events<Said>()
    for (const verb of ['generate', 'cancel'])
      bus.subscribe(`mdi/bridge/response/${verb}`, ({ payload }) =>
        said.add(JSON.parse(Buffer.from(payload).toString()) as Said),
      )
    const options = { qos: 1, retain: false } as const
    for (let i = 0; i < 8; i++) {
      const id = `c${i}`
      const ask = { transaction: id, prompt: 'Once', stream: false, sampling: sampling(i) }
      bus.publish('mdi/bridge/request/generate', JSON.stringify(ask), options)
      const cancel = { id, transaction: `${id} cancel` }
      bus.publish('mdi/bridge/request/cancel', JSON.stringify(cancel), options)
    }
    for (let i = 0; i < 8; i++) {
      const cancel = await said.next((s) => s.transaction === `c${i} cancel`)
      assert.equal(cancel.status, 'ok')
      const { data } = await said.next((s) => s.transaction === `c${i}`)
      assert.equal(data.reason, 'cancelled')
    }
  })

  test('ended in order with a full ring and a queue: all is kept for the one after it', async () => {
    const { bus } = cluster.watch
    const answers = new Events<{ status: string; transaction: string }>()
    bus.subscribe('mdi/bridge/response/generate', ({ payload }) =>
      answers.add(JSON.parse(Buffer.from(payload).toString())),
    )
    const queued = new Events<string>()
    bus.subscribe('mdi/bridge/stream/#', ({ payload }) =>
      queued.add(Buffer.from(payload).toString()),
    )
    const all = Array.from({ length: RUNNING + WAITING }, (_, i) => `e${i}`)
    for (const [i, transaction] of all.entries()) {
      const ask = { transaction, prompt: `Once ${i}`, maxTokens: 300, sampling: sampling(i) }
      const options = { qos: 1, retain: false } as const
      bus.publish('mdi/bridge/request/generate', JSON.stringify(ask), options)
    }
    await queued.next((text) => text.includes(`"position":${WAITING},`))
    const since = cluster.coordinator.lines.length
    assert.deepEqual(await cluster.coordinator.stop(), { code: 0, signal: null })
    const last = cluster.coordinator.lines.slice(since)
    assert.equal(last.filter((line) => /is not: |closed/.test(line)).length, 0, last.join('\n'))
    cluster.coordinator.start()
    for (const transaction of all) {
      const answer = await answers.next((a) => a.transaction === transaction)
      assert.equal(answer.status, 'ok', JSON.stringify(answer))
    }
  })

  test('killed with a full ring and a queue: every request is answered after the restart', async () => {
    const { bus } = cluster.watch
    const messages = new Events<{ topic: string; said: Record<string, unknown> }>()
    const hear = ({ topic, payload }: BusMessage) =>
      messages.add({ topic, said: JSON.parse(Buffer.from(payload).toString()) })
    bus.subscribe('mdi/bridge/stream/#', hear)
    bus.subscribe('mdi/bridge/response/generate', hear)
    for (let i = 0; i < RUNNING + WAITING; i++) {
      const ask = { transaction: i, prompt: `Once ${i}`, maxTokens: 300, sampling: sampling(i) }
      const options = { qos: 1, retain: false } as const
      bus.publish('mdi/bridge/request/generate', JSON.stringify(ask), options)
    }
    await messages.next(({ said }) => Object(said.queue).position === WAITING)
    await cluster.coordinator.kill()
    cluster.coordinator.start()
    for (let i = 0; i < RUNNING + WAITING; i++) {
      const { said } = await messages.next(
        (m) => m.topic.endsWith('/generate') && m.said.transaction === i,
      )
      assert.equal(said.status, 'ok', JSON.stringify(said))
      assert.ok(String(Object(said.data).text).length > 0)
    }
    const answers = messages.all.filter((m) => m.topic.endsWith('/generate'))
    assert.equal(answers.length, RUNNING + WAITING, 'each once')
  })
})
