/** Where the answers of requests by MQTT go. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bridge } from '../../services/api/mqtt/bridge.ts'
import { FakeBus } from '../fakes/bus.ts'
import { FakeClock } from '../fakes/clock.ts'

const setUp = (reserved: string[] = []) => {
  const bus = new FakeBus()
  let done = 0
  new Bridge(
    bus,
    new FakeClock(),
    { uint32: () => 7 },
    {
      generate: () => {},
      running: () => false,
      leave: () => {},
      do: {
        models: () => {
          done += 1
          return { models: [] }
        },
      },
      reserved,
    },
  ).start()
  const ask = async (responseTopic: string) => {
    const since = bus.published.all.length
    bus.come('mdi/bridge/request/models', '{"transaction":1}', { responseTopic })
    await bus.published.next(({ topic }) => topic === 'mdi/bridge/response/models', since)
    await new Promise((resolve) => setImmediate(resolve))
    return bus.published.all.slice(since).map(({ topic, payload }) => {
      const { status, error } = JSON.parse(payload) as { status: string; error?: string }
      return { topic, status, error }
    })
  }
  return { bus, ask, done: () => done }
}

test('an answer goes to the response topic, too', async () => {
  const { ask } = setUp()
  for (const topic of ['rt/me', '/x', 'mdi-clients/7', 'a'.repeat(256)])
    assert.deepEqual(
      (await ask(topic)).map((m) => [m.topic, m.status]),
      [
        ['mdi/bridge/response/models', 'ok'],
        [topic, 'ok'],
      ],
    )
})

test('a response topic that no message may have, or that is not the client’s, is refused', async () => {
  const { ask, done } = setUp(['attic/mdi', 'homeassistant'])
  for (const topic of [
    ...['rt/#', 'rt/+/x', '', 'a\0b', '$SYS/x', '$share/g/x', 'a'.repeat(257)],
    'x/'.repeat(32),
    ...['mdi', 'mdi/desired/n1', 'mdi/bridge/request/load', 'attic/mdi/bridge/state'],
    'homeassistant/device/x/config',
  ]) {
    const answers = await ask(topic)
    assert.deepEqual(
      answers.map((m) => [m.topic, m.status]),
      [['mdi/bridge/response/models', 'error']],
      topic,
    )
    assert.match(String(answers[0]?.error), /^The response topic cannot be used: .*\.$/)
  }
  assert.equal(done(), 0)
})

test('a request that is too long is answered, by the transaction of its beginning', async () => {
  const { bus, done } = setUp()
  for (const [text, transaction] of [
    ['{"transaction":"t 1","prompt":"xxx', 't 1'],
    ['{"prompt":"\\"transaction\\":5", "transaction": 7, "x', 7],
    ['{"prompt":"xxx', undefined],
    ['{"transaction":12', undefined],
  ] as const) {
    const since = bus.published.all.length
    bus.come('mdi/bridge/request/models', text, { wholeBytes: 2_000_000 })
    const { payload } = await bus.published.next(() => true, since)
    const answer = JSON.parse(payload) as Record<string, unknown>
    assert.deepEqual([answer.status, answer.transaction], ['error', transaction])
    assert.match(
      String(answer.error),
      /^The request has 2000000 bytes; at most 1048576 are read\.$/,
    )
  }
  assert.equal(done(), 0)
})
