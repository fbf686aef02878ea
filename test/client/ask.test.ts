import assert from 'node:assert/strict'
import { test } from 'node:test'
import { patience, RequestClient } from '../../services/client/ask.ts'
import { MdiError } from '../../services/errors.ts'
import { FakeBus } from '../fakes/bus.ts'
import { FakeClock } from '../fakes/clock.ts'

const setUp = (within?: typeof patience) => {
  const bus = new FakeBus()
  const clock = new FakeClock()
  let number = 0
  const client = new RequestClient(bus, clock, { uint32: () => ++number }, within)
  const asked: { transaction: string; again?: boolean }[] = []
  bus.subscribe('mdi/bridge/request/+', ({ payload }) =>
    asked.push(JSON.parse(Buffer.from(payload).toString())),
  )
  const answer = (verb: string, transaction: string | undefined, more: object) =>
    bus.come(`mdi/bridge/response/${verb}`, JSON.stringify({ transaction, data: {}, ...more }))
  return { bus, clock, client, asked, answer }
}

test('an answer settles the request of its transaction, whatever else is on the topic', async () => {
  const { client, asked, answer, bus } = setUp()
  const unload = client.ask('unload', {})
  bus.come('mdi/bridge/response/unload', 'garbage')
  bus.come('mdi/bridge/response/unload', 'null')
  answer('unload', 'another', { status: 'ok', data: { model: 'x' } })
  assert.equal(client.waiting, 1)
  answer('unload', asked[0]?.transaction, { status: 'ok', data: { model: 'toy' } })
  assert.deepEqual(await unload, { model: 'toy' })
  assert.equal(client.waiting, 0)
})

test('a refusal keeps its code and sentence', async () => {
  const { client, asked, answer } = setUp()
  const refused = client.ask('unload', {})
  answer('unload', asked[0]?.transaction, { status: 'error', error: 'No.', code: 'busy' })
  await assert.rejects(refused, { code: 'busy', message: 'No.' })
})

test('a silent coordinator is given up after its time; loading has longer', async () => {
  const { client, clock } = setUp(patience)
  const [status, load] = [client.ask('status', {}), client.ask('load', { model: 'toy' })]
  clock.advance(patience('status'))
  await assert.rejects(status, { code: 'not-ready', message: 'The coordinator does not answer.' })
  assert.equal(client.waiting, 1)
  clock.advance(patience('load'))
  await assert.rejects(load, { code: 'not-ready' })
  assert.equal(clock.waiting, 0)
})

test('a coordinator that is back is asked again under the same transaction', async () => {
  const { client, asked, answer } = setUp()
  const unload = client.ask('unload', {})
  client.askAgain()
  assert.equal(asked[1]?.transaction, asked[0]?.transaction)
  assert.deepEqual([asked[0]?.again, asked[1]?.again], [undefined, true])
  answer('unload', asked[0]?.transaction, { status: 'ok', data: { model: 'toy' } })
  await unload
  client.askAgain()
  assert.equal(asked.length, 2, 'what is answered is not asked again')
})

test('one request, or all, can be given up', async () => {
  const { client } = setUp()
  const words = { prompt: 'x', sampling: {} }
  const one = client.stream('generate', { ...words, id: 'a' }, () => {})
  const other = client.ask('unload', {})
  client.giveUp('a')
  await assert.rejects(one, { code: 'cancelled' })
  client.giveUpAll(new MdiError('not-ready', 'It is away.'))
  await assert.rejects(other, { message: 'It is away.' })
})

test('pieces of a stream are told in order, each once, and what was missed at the end', async () => {
  const { client, asked, answer, bus } = setUp()
  let told = ''
  const whole = client.stream('generate', { id: 'a', prompt: 'x' }, (text) => {
    told += text
  })
  const piece = (at: number, text: string) =>
    bus.come('mdi/bridge/stream/a', JSON.stringify({ id: 'a', index: 0, at, text }))
  piece(0, 'One')
  piece(0, 'One, two')
  piece(9, 'missed')
  bus.come('mdi/bridge/stream/a', 'garbage')
  assert.equal(told, 'One, two')
  const data = { id: 'a', model: 'toy', text: 'One, two, three', reason: 'end' }
  answer('generate', asked[0]?.transaction, {
    status: 'ok',
    data: { ...data, promptTokens: 1, tokens: 3 },
  })
  await whole
  assert.equal(told, 'One, two, three')
})
