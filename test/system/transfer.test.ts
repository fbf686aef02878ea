/** Weights on their way to a real node: the wire is cut, the disk is full. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, truncateSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { manifestReference } from '../../services/model/manifest.ts'
import type { Assignment, Online } from '../../services/wire/control.ts'
import { writeMessage } from '../../services/wire/topics.ts'
import type { Cluster } from '../harness/cluster.ts'
import { makeScene, type Scene } from '../harness/servicetest.ts'

let scene: Scene
let cluster: Cluster
/** Bytes of the model's records. */
let total: number
let epoch = 1_000

before(async () => {
  // Some 30 MB, so that there is a middle.
  scene = await makeScene({ hidden: 512, heads: 8, headDim: 64, feedForward: 2_048, layers: 12 })
  total = scene.model.records.reduce((sum, r) => sum + r.bytes, 0)
  assert.ok(total > 15e6)
  cluster = await scene.cluster({ nodes: 1 })
})
after(() => scene?.close())

/** Forwards to the coordinator's data port, and cuts the first wires after some bytes. */
const cutter = async (port: number, cuts: number, bytes: number) => {
  let made = 0
  let passed = 0
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    const up = connect(port, '127.0.0.1')
    let rest = made++ < cuts ? bytes : Number.POSITIVE_INFINITY
    for (const s of [socket, up]) {
      sockets.add(s)
      s.on('error', () => {})
      s.on('close', () => {
        socket.destroy()
        up.destroy()
      })
    }
    socket.pipe(up)
    up.on('data', (data) => {
      passed += data.length
      rest -= data.length
      socket.write(data)
      if (rest > 0) return
      socket.destroy()
      up.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address)
  return {
    port: address.port,
    get made() {
      return made
    },
    get passed() {
      return passed
    },
    close: () => {
      for (const s of sockets) s.destroy()
      server.close()
    },
  }
}

/** Desires the whole model of a node, from a source at a port. */
const desire = (node: string, port: number): void => {
  const assignment: Assignment = {
    model: manifestReference(scene.model),
    ...{ first: 0, end: scene.model.spec.layers, stage: 0, stages: 1, starter: true },
    ...{ next: null, previous: null, arithmetic: 'exact', wire: 'fp32', context: 256 },
    sources: [{ id: 'coordinator-test-c', addresses: ['127.0.0.1'], port }],
  }
  const payload = writeMessage('desired', { epoch: ++epoch, cluster: 'test', assignment })
  cluster.watch.bus.publish(`mdi/desired/${node}`, payload, { qos: 1, retain: true })
}

const stateOf = (node: string): Online | undefined => {
  const state = cluster.watch.states.get(node)
  return state?.state === 'online' ? state : undefined
}
const coordinatorPort = (): number =>
  Number(/data port (\d+)/.exec(cluster.coordinator.lines.join('\n'))?.[1])

test('a wire that is cut in mid-transfer: what has come stays, the rest follows', async () => {
  const wire = await cutter(coordinatorPort(), 3, 5_000_000)
  try {
    desire('n1', wire.port)
    await cluster.watch.until(() => stateOf('n1')?.assignment.phase === 'ready')
    assert.ok(wire.made > 3, `${wire.made} wires`)
    // At most the chunks that were on their way at a cut come twice.
    assert.ok(wire.passed < total + 3 * 5_000_000, `${wire.passed} of ${total} bytes`)
  } finally {
    wire.close()
  }
})

test('a node that is killed in mid-transfer goes on where it was', async () => {
  const node = scene.place.mdi('killed', [
    ...['--data', join(scene.place.folder, 'killed'), 'node', '--broker', cluster.url],
    ...['--cluster', 'test', '--name', 'killed', '--host', '127.0.0.1', '--threads', '1'],
  ])
  node.start()
  await cluster.watch.until(() => stateOf('killed') !== undefined)
  const first = await cutter(coordinatorPort(), 1_000, 9_000_000)
  desire('killed', first.port)
  await cluster.watch.until(() => (stateOf('killed')?.assignment.progress?.done ?? 0) > 0)
  await node.kill()
  first.close()
  const second = await cutter(coordinatorPort(), 0, 0)
  try {
    desire('killed', second.port)
    node.start()
    await cluster.watch.until(() => stateOf('killed')?.assignment.phase === 'ready')
    assert.ok(second.passed < total - 3_000_000, `${second.passed} of ${total} bytes again`)
  } finally {
    second.close()
    await node.stop()
  }
})

test('a node one of whose records was damaged fetches that one again', async () => {
  const data = join(scene.place.folder, 'damaged')
  const node = scene.place.mdi('damaged', [
    ...['--data', data, 'node', '--broker', cluster.url, '--cluster', 'test'],
    ...['--name', 'damaged', '--host', '127.0.0.1', '--threads', '1'],
  ])
  const ready = () => stateOf('damaged')?.assignment.phase === 'ready'
  node.start()
  await cluster.watch.until(() => stateOf('damaged') !== undefined)
  desire('damaged', coordinatorPort())
  await cluster.watch.until(ready)
  await node.kill()
  await cluster.watch.until(() => stateOf('damaged') === undefined)
  const { sha256 = '', bytes = 0 } = scene.model.records.find((r) => r.layer === 3) ?? {}
  truncateSync(join(data, 'records', `${sha256}.sqlite`), 300_000)
  // What the engine had made of it would do without it.
  const runtime = join(data, 'runtime')
  for (const file of readdirSync(runtime)) if (file.startsWith(sha256)) rmSync(join(runtime, file))
  const wire = await cutter(coordinatorPort(), 0, 0)
  try {
    node.start()
    desire('damaged', wire.port)
    await cluster.watch.until(ready)
    assert.ok(wire.passed >= bytes && wire.passed < 2 * bytes, `${wire.passed} bytes came`)
  } finally {
    wire.close()
    await node.stop()
  }
})

test('a disk that is full while fetching: told, and tried again when there is room', async (t) => {
  const disk = join(scene.place.folder, 'disk')
  mkdirSync(disk)
  const mount = (options: string) =>
    spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'none', disk], { stdio: 'ignore' }).status
  if (mount('size=40m') !== 0) {
    t.skip('a file system can be mounted by root only')
    return
  }
  const node = scene.place.mdi('full', [
    ...['--data', join(disk, 'data'), 'node', '--broker', cluster.url, '--cluster', 'test'],
    ...['--name', 'full', '--host', '127.0.0.1', '--threads', '1'],
  ])
  try {
    node.start()
    await cluster.watch.until(() => stateOf('full') !== undefined)
    desire('full', coordinatorPort())
    await cluster.watch.until(() => stateOf('full')?.assignment.phase === 'failed')
    assert.match(stateOf('full')?.assignment.error ?? '', /full|room|space/i)
    assert.equal(mount('remount,size=200m'), 0)
    await cluster.watch.until(() => stateOf('full')?.assignment.phase === 'ready')
    assert.deepEqual(await node.stop(), { code: 0, signal: null })
  } finally {
    await node.kill()
    spawnSync('umount', ['-l', disk])
  }
})
