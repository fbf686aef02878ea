/** Real processes that are killed, stopped and restarted under load. */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import type { Cluster } from '../harness/cluster.ts'
import { type Known, Load } from '../harness/load.ts'
import { type Mosquitto, mosquittoPath, startMosquitto } from '../harness/mosquitto.ts'
import { CONTEXT, makeScene, type Scene } from '../harness/servicetest.ts'

/**
 * Four times what is promised for a loss to be told and for a ring to be whole again: other
 * tests share the machine. `scripts/chaos` measures.
 */
const PROMISE_MS = 20_000

const mosquitto = mosquittoPath()

describe('a ring of three at mosquitto', {
  skip: mosquitto ? false : 'mosquitto is not installed',
}, () => {
  let scene: Scene
  let broker: Mosquitto
  let cluster: Cluster
  let known: Known[]
  let load: Load

  before(async () => {
    scene = await makeScene()
    known = await scene.known(4, 250)
    broker = await startMosquitto(mosquitto as string)
    cluster = await scene.cluster({ nodes: 3, broker: `mqtt://127.0.0.1:${broker.port}` })
    await cluster.load(scene.model.name, { arithmetic: 'exact', context: CONTEXT })
  })
  after(async () => {
    await scene?.close()
    await broker?.stop()
  })
  // As many sequences as lanes: each runs as it would alone, bit for bit.
  beforeEach(async () => {
    load = new Load(cluster, known, 3)
    await load.until(() => load.speaking === 3)
  })
  afterEach(async () => {
    await load.stop()
    assert.deepEqual(load.wrong, [])
  })

  /** Every request that ran at a moment ends in time, with a sentence that names the node. */
  const endsNaming = async (node: string, at: number): Promise<void> => {
    await load.until(() => load.ended.length >= 3)
    for (const { at: end, message, code } of load.ended) {
      assert.ok(end - at < PROMISE_MS, `ended after ${end - at} ms`)
      assert.equal(code, 'node-lost')
      assert.match(message, new RegExp(`^Node ${node} was lost\\b.*the request was ended\\.$`))
    }
  }

  const speaksAgain = async (at: number): Promise<void> => {
    const { done } = load
    await load.until(() => load.speaking === 3)
    const ms = performance.now() - at
    assert.ok(ms < PROMISE_MS, `whole again after ${ms} ms`)
    await load.until(() => load.done > done)
  }

  for (const [what, id] of [
    ['the middle node', 'n2'],
    ['the last node', 'n3'],
    ['the starter', 'n1'],
  ] as const)
    test(`${what} is killed and comes back`, async () => {
      const node = cluster.node(id)
      const killed = performance.now()
      await node.kill()
      await endsNaming(id, killed)
      const back = performance.now()
      node.start()
      await speaksAgain(back)
    })

  for (const id of ['n2', 'n1'])
    test(`${id} is stopped (SIGSTOP) and goes on`, async () => {
      const node = cluster.node(id)
      const stopped = performance.now()
      node.signal('SIGSTOP')
      try {
        await endsNaming(id, stopped)
      } finally {
        node.signal('SIGCONT')
      }
      await speaksAgain(performance.now())
    })

  test('the coordinator is killed: requests go on, and their text is complete once', async () => {
    await cluster.coordinator.kill()
    cluster.coordinator.start()
    const { done } = load
    await load.until(() => load.done >= done + 6)
    assert.deepEqual(load.ended, [])
  })

  test('the broker restarts: requests go on', async () => {
    const { port } = broker
    await broker.stop()
    broker = await startMosquitto(mosquitto as string, port)
    const { done } = load
    await load.until(() => load.done >= done + 6)
    assert.deepEqual(load.ended, [])
  })
})
