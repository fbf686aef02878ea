/** A ring of real processes, the coordinator being the broker too: what a person does with it. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import mqtt from 'mqtt'
import type { Token } from '../../services/wire/requests.ts'
import type { Cluster } from '../harness/cluster.ts'
import type { Known } from '../harness/load.ts'
import { ownRequests, type Ring } from '../harness/owner.ts'
import { openRing } from '../harness/rings.ts'
import { CONTEXT, LAYERS, makeScene, type Scene, sampling } from '../harness/servicetest.ts'

const exact = { arithmetic: 'exact', context: CONTEXT } as const
const names = ['n1', 'n2', 'n3', 'n4', 'n5']

let scene: Scene
let cluster: Cluster
let known: Known[]
let bits: Token[]

/** Every token with log-probabilities: what no split may change by a bit. */
const scored = (ring: Ring): Promise<Token[]> =>
  new Promise((resolve, reject) => {
    const tokens: Token[] = []
    const score = Array.from({ length: 24 }, (_, i) => ({ ids: [1, 7, 99, 400], next: 20 + i }))
    const request = { id: 'scored', input: { prompt: 'Once upon a time' }, sampling: sampling(1) }
    void ring.generations.submit(
      ring.model,
      { ...request, maxTokens: 24, stop: [], score },
      {
        text: () => {},
        token: (token) => tokens.push(token),
        end: () => resolve(tokens),
        error: reject,
      },
    )
  })

before(async () => {
  scene = await makeScene()
  known = await scene.known(2, 40)
  const ring = await openRing(scene.models, scene.model, { ...exact, threads: 1 })
  bits = await scored(ring)
  await ring.close()
  cluster = await scene.cluster({ nodes: names.length })
})
after(() => scene?.close())

for (const count of [1, 2, 3, 5])
  test(`split over ${count}: the same text, and the same log-probabilities to the last bit`, async () => {
    const nodes = names.slice(0, count)
    const { stages } = await cluster.load(scene.model.name, { ...exact, nodes })
    assert.deepEqual(
      stages.map((s) => s.node),
      nodes,
    )
    assert.equal(stages.at(-1)?.end, LAYERS)
    for (const { ask, text } of known) {
      let pieces = ''
      const answer = await cluster.generate(ask, (piece) => {
        pieces += piece
      })
      assert.deepEqual([answer.text, pieces, answer.tokens], [text, text, 40])
    }
    const ring = ownRequests(cluster, scene.model, CONTEXT)
    try {
      assert.equal(bits.length, 24)
      assert.deepEqual(await scored(ring), bits)
    } finally {
      await ring.close()
    }
  })

test('layers given by hand; a split that cannot be is refused with figures', async () => {
  const nodes = ['n3', 'n1']
  const { stages } = await cluster.load(scene.model.name, { ...exact, nodes, layers: [1, 5] })
  assert.deepEqual(stages, [
    { node: 'n3', first: 0, end: 1 },
    { node: 'n1', first: 1, end: 6 },
  ])
  const [first] = known as [Known]
  assert.equal((await cluster.generate(first.ask)).text, first.text)
  await assert.rejects(cluster.load(scene.model.name, { nodes, layers: [1, 4] }), /6 layers/)
  // What was loaded goes on.
  assert.equal((await cluster.generate(first.ask)).text, first.text)
})

test('ten requests at once, and one that is cancelled', async () => {
  await cluster.load(scene.model.name, { ...exact, nodes: names.slice(0, 3) })
  const long = { prompt: 'And then', sampling: sampling(3), maxTokens: 3_000, id: 'long' }
  const spoken = Promise.withResolvers<void>()
  const cancelled = cluster.generate(long, () => spoken.resolve())
  const others = Promise.all(
    Array.from({ length: 10 }, (_, i) =>
      cluster.generate({ prompt: `Tale ${i}`, sampling: sampling(i), maxTokens: 30 }),
    ),
  )
  await spoken.promise
  await cluster.ring.ask('cancel', { id: 'long' })
  assert.equal((await cancelled).reason, 'cancelled')
  for (const answer of await others) assert.ok(answer.tokens === 30 || answer.reason === 'end')
  await assert.rejects(cluster.ring.ask('cancel', { id: 'long' }), /No request long is running/)
})

test('a client of the embedded broker that goes away in mid-stream frees its place', async (t) => {
  const reader = await mqtt.connectAsync(cluster.url, { reconnectPeriod: 0 })
  t.after(() => reader.endAsync(true))
  const second = Promise.withResolvers<void>()
  reader.on('message', (_topic, payload) => {
    if (payload.includes('"index":1,')) second.resolve()
  })
  await reader.subscribeAsync('mdi/bridge/stream/gone')
  const watcher = await mqtt.connectAsync(cluster.url)
  t.after(() => watcher.endAsync(true))
  const answered = new Promise<{ data: { reason: string } }>((resolve) => {
    watcher.on('message', (_topic, payload) => resolve(JSON.parse(payload.toString())))
  })
  await watcher.subscribeAsync('mdi/bridge/response/generate')
  const request = { id: 'gone', prompt: 'Once', maxTokens: 3_000, sampling: sampling(3) }
  await watcher.publishAsync('mdi/bridge/request/generate', JSON.stringify(request), { qos: 1 })
  await second.promise
  reader.stream.destroy()
  assert.equal((await answered).data.reason, 'cancelled')
})

test('the command line asks from anywhere: generate, chat, status', async () => {
  const words = ['--broker', cluster.url]
  const greedy = [...words, '--greedy', '--max-tokens', '8']
  const said = await scene.place.run(['generate', ...greedy, '--json', '--raw', 'Hello'])
  assert.equal(said.code, 0, said.lines.join('\n'))
  const { answers } = JSON.parse(said.lines.join('\n')) as { answers: { tokens: number }[] }
  assert.equal(answers[0]?.tokens, 8)
  const chat = await scene.place.run(['chat', ...greedy], 'Hello\nAnd again\n')
  assert.equal(chat.code, 0, chat.lines.join('\n'))
  assert.ok(chat.lines.length >= 2)
  const status = await scene.place.run(['status', ...words, '--json'])
  const { health, nodes } = JSON.parse(status.lines.join('\n')) as {
    health: { ring: string }
    nodes: { id: string; state: string }[]
  }
  assert.equal(health.ring, 'ready')
  assert.deepEqual(
    nodes.map((n) => `${n.id} ${n.state}`),
    names.map((n) => `${n} online`),
  )
})

test('a model that does not fit is refused with the figures, and the ring goes on', async () => {
  const small = scene.place.mdi('small', [
    ...['--data', `${scene.place.folder}/small`, 'node', '--broker', cluster.url],
    ...['--cluster', 'test', '--name', 'small', '--host', '127.0.0.1', '--memory', '100k'],
  ])
  small.start()
  await cluster.watch.until(() => cluster.watch.states.get('small')?.state === 'online')
  await assert.rejects(cluster.load(scene.model.name, { nodes: ['small'] }), {
    code: 'out-of-memory',
    message: /MB|kB/,
  })
  const [first] = known as [Known]
  assert.equal((await cluster.generate(first.ask)).text, first.text)
  assert.deepEqual(await small.stop(), { code: 0, signal: null })
})

test('two nodes with one id: the newcomer says so and ends, the other goes on', async () => {
  const twin = scene.place.mdi('twin', [
    ...['--data', `${scene.place.folder}/twin`, 'node', '--broker', cluster.url],
    ...['--cluster', 'test', '--name', 'n2', '--host', '127.0.0.1'],
  ])
  const { code } = await twin.start().exited
  assert.equal(code, 1)
  assert.match(twin.lines.join('\n'), /Another node calls itself n2 \(at 127\.0\.0\.1 port \d+\)/)
  await cluster.watch.ready()
  const [first] = known as [Known]
  assert.equal((await cluster.generate(first.ask)).text, first.text)
})

test('a node that is stopped says that it is gone; its port can be used at once', async () => {
  const node = cluster.node('n5')
  const before = cluster.watch.states.get('n5')
  assert.ok(before?.state === 'online')
  assert.deepEqual(await node.stop(), { code: 0, signal: null })
  assert.equal(node.lines.at(-1), 'Stopped.')
  await cluster.watch.until(() => cluster.watch.states.get('n5')?.state === 'offline')
  const other = scene.place.mdi('other', [
    ...['--data', `${scene.place.folder}/other`, 'node', '--broker', cluster.url],
    ...['--cluster', 'test', '--name', 'other', '--host', '127.0.0.1'],
    ...['--port', String(before.port)],
  ])
  other.start()
  await other.line(new RegExp(`data port ${before.port},`))
  await other.kill()
  // After a kill too, with connections that were open.
  const known = other.lines.length
  other.start()
  await other.line(new RegExp(`data port ${before.port},`), known)
  await other.stop()
})

test('unload: the nodes drop the model, and whoever asks is told', async () => {
  assert.deepEqual(await cluster.ring.ask('unload', {}), { model: scene.model.name })
  await cluster.watch.until(() =>
    ['n1', 'n2', 'n3'].every((n) => {
      const state = cluster.watch.states.get(n)
      return state?.state === 'online' && state.assignment.phase === 'idle'
    }),
  )
  await assert.rejects(cluster.generate({ prompt: 'Hello' }), {
    code: 'no-model',
    message: /No model is loaded/,
  })
})
