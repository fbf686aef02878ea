import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ANSWER_BYTES, Bridge } from '../../../services/api/mqtt/bridge.ts'
import type { CoreListener, CoreRequest } from '../../../services/requests/core.ts'
import { FakeBus } from '../../fakes/bus.ts'
import { FakeClock } from '../../fakes/clock.ts'
import { answerOf } from '../../fakes/core.ts'

const setUp = () => {
  const bus = new FakeBus()
  const running = new Map<string, { request: CoreRequest; listener: CoreListener }>()
  const left: string[] = []
  let numbers = 0
  let done = 0
  const bridge = new Bridge(
    bus,
    new FakeClock(),
    { uint32: () => ++numbers },
    {
      generate: (request, listener) => running.set(request.text.id, { request, listener }),
      running: (id) => running.has(id),
      leave: (id) => left.push(id),
      do: {
        cancel: ({ id }) => {
          done += 1
          return { id }
        },
        unload: () => ({ model: 'x'.repeat(ANSWER_BYTES / 4) }),
      },
    },
  )
  bridge.start()
  const ask = (verb: string, message: object, responseTopic?: string) =>
    bus.come(
      `mdi/bridge/request/${verb}`,
      JSON.stringify(message),
      responseTopic === undefined ? {} : { responseTopic },
    )
  const end = (id: string, text: string) => {
    const { request, listener } = running.get(id) ?? {}
    running.delete(id)
    if (request) listener?.end(answerOf(request, text))
  }
  const told = (topic: string) =>
    bus.published.all
      .filter((p) => p.topic === topic)
      .map((p) => JSON.parse(p.payload) as { data: { text: string }; transaction: unknown })
  return { ask, end, told, running, left, bus, times: () => done }
}
const prompt = { prompt: 'x', transaction: 'same', stream: false }

test('one transaction of two clients: each is answered, where it listens, with its own', () => {
  const { ask, end, told, running } = setUp()
  ask('generate', prompt, 'to/a')
  ask('generate', prompt, 'to/b')
  const [a, b] = [...running.keys()] as [string, string]
  assert.equal(a, 'same')
  assert.match(b, /^r-/)
  assert.deepEqual(
    [...running.values()].map((r) => r.request.client),
    ['mqtt to/a', 'mqtt to/b'],
  )
  end(a, 'of a')
  // Asked again while it runs: neither done twice, nor answered with the other's.
  ask('generate', { ...prompt, again: true }, 'to/b')
  assert.deepEqual([...running.keys()], [b])
  assert.equal(told('to/b').length, 0)
  end(b, 'of b')
  ask('generate', { ...prompt, again: true }, 'to/a')
  ask('generate', { ...prompt, again: true }, 'to/b')
  assert.deepEqual(
    [told('to/a'), told('to/b')].map((all) => all.map((m) => m.data.text)),
    [
      ['of a', 'of a'],
      ['of b', 'of b'],
    ],
  )
})

test('two requests of one client that share a transaction are both awaited', () => {
  const { ask, end, told, running } = setUp()
  ask('generate', prompt)
  ask('generate', prompt)
  const [a, b] = [...running.keys()] as [string, string]
  end(a, 'first')
  ask('generate', { ...prompt, again: true })
  assert.equal(told('mdi/bridge/response/generate').length, 1)
  end(b, 'second')
  assert.equal(told('mdi/bridge/response/generate').length, 2)
})

test('answers are kept for whoever asks again, so many bytes of them', async () => {
  const { ask, told, times } = setUp()
  ask('cancel', { id: 'r', transaction: 0 })
  await null
  ask('cancel', { id: 'r', transaction: 0, again: true })
  await null
  assert.deepEqual([times(), told('mdi/bridge/response/cancel').length], [1, 2])
  for (let i = 1; i <= 4; i++) ask('unload', { transaction: i })
  await null
  await null
  ask('cancel', { id: 'r', transaction: 0, again: true })
  await null
  assert.equal(times(), 2, 'that answer had made room')
})

test('a chat’s conversation is remembered by its id, the system message first', () => {
  const { ask, end, running } = setUp()
  const chat = (id: string, content: string, conversation?: string) => {
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content },
    ]
    ask('chat', { id, messages, stream: false, ...(conversation && { conversation }) })
    const { input } = Object(running.get(id)?.request.text) as { input: { messages: object[] } }
    return input.messages.map((m) => Object(m).content)
  }
  assert.deepEqual(chat('a', 'one', 'c'), ['Be brief.', 'one'])
  end('a', 'first')
  assert.deepEqual(chat('b', 'two', 'c'), ['Be brief.', 'one', 'first', 'two'])
  assert.deepEqual(chat('c', 'two'), ['Be brief.', 'two'])
  assert.deepEqual(chat('d', 'two', 'other'), ['Be brief.', 'two'])
})

const stream = (bus: FakeBus, id: string) =>
  bus.published.all.filter((p) => p.topic === `mdi/bridge/stream/${id}`)

test('a stream that was read and is read no more ends its request, once', () => {
  const { ask, running, left, bus } = setUp()
  ask('generate', { prompt: 'x', id: 'a' })
  const place = { position: 1, waitMs: 0 }
  const say = () => running.get('a')?.listener.queued?.(place)
  say()
  const heard = stream(bus, 'a')[0]?.options.heard
  assert.ok(heard)
  // Nobody has read it yet: whoever asked may wait for the answer alone.
  heard(false)
  assert.deepEqual(left, [])
  heard(true)
  // The broker went away and came back; its clients come back one by one.
  bus.connect({ up: false, reason: 'gone' })
  bus.connect({ up: true })
  heard(false)
  assert.deepEqual(left, [])
  heard(true)
  heard(false)
  heard(false)
  assert.deepEqual(left, ['a'])
})

test('a request that is to be kept is not ended by its readers', () => {
  const { ask, running, left, bus } = setUp()
  ask('generate', { prompt: 'x', id: 'a', keep: true })
  running.get('a')?.listener.queued?.({ position: 1, waitMs: 0 })
  assert.equal(stream(bus, 'a')[0]?.options.heard, undefined)
  assert.deepEqual(left, [])
})
