import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { MdiError } from '../../../services/errors.ts'
import { limits } from '../../../services/limits.ts'
import { answerOf } from '../../fakes/core.ts'
import { voiceService } from '../../fakes/voice.ts'
import { WyomingClient } from '../../fakes/wyoming.ts'

const texts = (client: WyomingClient) =>
  client.events.all.map(({ type, data }) => [type, ...(data.text === undefined ? [] : [data.text])])

test('describe is answered whatever the ring does', async (t) => {
  for (const model of [undefined, 'house']) {
    const { call } = await voiceService(t, () => undefined, model === undefined ? {} : { model })
    const client = await call()
    client.write('{"type":"describe","version":"1.10.2"}\n')
    const { data } = await client.events.next(({ type }) => type === 'info')
    const [handle] = data.handle as Record<string, unknown>[]
    assert.equal(handle?.name, 'den')
    assert.equal(handle?.installed, true)
    assert.equal(handle?.supports_handled_streaming, true)
    assert.equal('satellite' in data, false)
    const [said] = (handle?.models ?? []) as Record<string, unknown>[]
    assert.deepEqual([said?.name, said?.installed, said?.languages], [model ?? 'den', true, ['en']])
  }
})

test('speech is streamed and told whole; the history is kept by conversation', async (t) => {
  const { call, core } = await voiceService(t, (said) => `You said ${said}`)
  const first = await call()
  first.say('hello there', { conversation: 'a' })
  await first.events.next(({ type }) => type === 'handled-stop')
  const told = texts(first)
  assert.deepEqual(told[0], ['handled-start'])
  assert.deepEqual(told.at(-2), ['handled', 'You said hello there'])
  assert.deepEqual(told.at(-1), ['handled-stop'])
  const chunks = told.filter(([type]) => type === 'handled-chunk').map(([, text]) => text)
  assert.ok(chunks.length > 1)
  assert.equal(chunks.join(''), 'You said hello there')
  const second = await call()
  second.say('again', { conversation: 'a' })
  second.say('other', { conversation: 'b' })
  await second.events.next(({ type, data }) => type === 'handled' && data.text === 'You said other')
  const messages = core.requests.all.map(
    ({ text }) => 'messages' in text.input && text.input.messages,
  )
  assert.deepEqual(messages[1], [
    { role: 'user', content: 'hello there' },
    { role: 'assistant', content: 'You said hello there' },
    { role: 'user', content: 'again' },
  ])
  assert.deepEqual(messages[2], [{ role: 'user', content: 'other' }])
})

test('whatever fails becomes a spoken not-handled, never an error', async (t) => {
  const busy = new MdiError('busy', 'All places are taken; try again in about 12 seconds.')
  const { call } = await voiceService(t, (said) => {
    if (said === 'busy') return busy
    if (said === 'lost') return new MdiError('node-lost', 'Node pi3 was lost.')
    if (said === 'empty') return ''
    return new MdiError('no-model', 'No model is loaded; load one with `mdi load MODEL`.')
  })
  const client = await call()
  const answers: unknown[] = []
  for (const said of ['busy', 'lost', 'empty', 'none', '  ', 'x'.repeat(5_000)]) {
    const since = client.events.all.length
    client.say(said)
    const { type, data } = await client.outcome(since)
    assert.equal(type, 'not-handled')
    answers.push(data.text)
  }
  assert.deepEqual(answers, [
    'All places are taken; try again in about 12 seconds.',
    'I am not ready yet. Please try again in a moment.',
    'Sorry, I did not get that.',
    'No model is loaded yet.',
    'Sorry, I did not get that.',
    'That was too long for me. Please say it in fewer words.',
  ])
})

test('time is up: what was said is told, or that it took too long', async (t) => {
  const { call, core, clock } = await voiceService(t, () => undefined)
  const client = await call()
  client.say('one')
  const silent = await core.requests.next(() => true)
  clock.advance(20_000)
  assert.deepEqual(
    (await client.outcome()).data.text,
    'Sorry, that took too long. Please try again.',
  )
  assert.deepEqual(core.cancelled.all, [silent.text.id])
  client.say('two')
  const slow = await core.requests.next((r) => r !== silent)
  core.open.get(slow.text.id)?.text('It is warm. It is not co')
  clock.advance(20_000)
  const { data } = await client.outcome(client.events.all.length)
  assert.equal(data.text, 'It is warm.')
})

test('one who goes away frees its place; one who only sends no more is answered', async (t) => {
  const { call, core, clock } = await voiceService(t, () => undefined, {
    settings: { seconds: 1e6 },
  })
  const gone = await call()
  gone.say('hello')
  const first = await core.requests.next(() => true)
  gone.hangUp()
  // The network takes a moment to say so; each probe is one write.
  const cancelled = core.cancelled.next(() => true)
  while (core.cancelled.all.length === 0) {
    clock.advance(25)
    await setImmediate()
  }
  assert.equal(await cancelled, first.text.id)
  // It ended its own side and closed: the write of ours is answered by a reset.
  const half = await call()
  half.say('hello')
  half.socket.end()
  const second = await core.requests.next((r) => r !== first)
  await half.events.next(({ type }) => type === 'ping')
  const listener = core.open.get(second.text.id)
  listener?.text('Hi.')
  listener?.end(answerOf(second, 'Hi.'))
  assert.equal((await half.outcome()).data.text, 'Hi.')
  await half.closed
})

test('garbage is answered by not-handled, and hung up on', async (t) => {
  const { call, listener, clock } = await voiceService(t, () => 'x')
  for (const bytes of [
    'GET / HTTP/1.1\r\n\r\n',
    '{"type":"transcript","data_length":9999999}\n',
    Buffer.alloc(limits.wyomingHeaderBytes + 2, 0x61),
    Buffer.from('{"type":"transcript","data_length":4}\n\xff\xff\xff\xff', 'latin1'),
  ]) {
    const client = await call()
    client.write(bytes)
    assert.equal((await client.outcome()).type, 'not-handled')
    client.socket.end()
    await client.closed
  }
  // Wrong types inside are an utterance that nobody understands.
  const odd = await call()
  odd.write('{"type":"transcript","data":{"text":7,"language":[],"context":"x"}}\n')
  assert.deepEqual((await odd.outcome()).data.text, 'Sorry, I did not get that.')
  odd.write('{"type":"no such thing"}\n{"type":"ping","data":{"text":"a"}}\n')
  assert.deepEqual((await odd.events.next(({ type }) => type === 'pong')).data, { text: 'a' })
  // One who stops in the middle of an event.
  odd.write('{"type":"transc')
  odd.write('{"type":"describe"}')
  const slow = await call()
  slow.write('{"type":"describe"}\n{"ty')
  await slow.events.next(({ type }) => type === 'info')
  clock.advance(limits.wyomingEventMs)
  assert.equal((await slow.outcome()).type, 'not-handled')
  slow.socket.end()
  await slow.closed
  odd.hangUp()
  await odd.closed
  assert.ok(listener.size <= 1)
})

test('more callers than places: idle ones make room, busy ones stay', async (t) => {
  const { call, core, port, clock } = await voiceService(t, () => undefined, { most: 3 })
  const idle = await call()
  const busy = [await call(), await call()]
  for (const client of busy) client.say('wait')
  await core.requests.next(() => core.requests.all.length === 2)
  // Who has only just called may be about to speak.
  const early = await call()
  assert.equal(
    (await early.outcome()).data.text,
    'Too many callers at once. Please try again in a moment.',
  )
  early.hangUp()
  clock.advance(limits.voiceGraceMs)
  const newcomer = await call()
  await idle.closed
  newcomer.say('me too')
  await core.requests.next(() => core.requests.all.length === 3)
  const late = await WyomingClient.call(port)
  t.after(() => late.hangUp())
  assert.equal(
    (await late.outcome()).data.text,
    'Too many callers at once. Please try again in a moment.',
  )
  assert.deepEqual(core.cancelled.all, [])
})

test('what is not whole when the caller has said all is answered, too', async (t) => {
  const { call } = await voiceService(t, () => 'x')
  for (const bytes of ['{"type":"transcript","data_length":40}\n{"te', '{"type":"trans']) {
    const client = await call()
    client.socket.end(bytes)
    assert.equal((await client.outcome()).data.text, 'Sorry, that message was garbled.')
    await client.closed
  }
})

test('an event is whole within its time, however it trickles', async (t) => {
  const { call, clock } = await voiceService(t, () => 'x')
  const client = await call()
  client.write('{"type":"ping"}\n{"type":"transcript",')
  await client.events.next(({ type }) => type === 'pong')
  for (let i = 0; i < 10; i++) {
    clock.advance(limits.wyomingEventMs / 10)
    client.write(' ')
    // The byte is there when what another caller says after it is answered.
    const other = await call()
    other.write('{"type":"ping"}\n')
    await other.events.next(({ type }) => type === 'pong')
    other.hangUp()
  }
  assert.equal((await client.outcome()).data.text, 'Sorry, that message was garbled.')
})

test('a service that ends answers whoever waits', async (t) => {
  const { call, core, listener } = await voiceService(t, () => undefined)
  const client = await call()
  client.say('one')
  client.say('two')
  await core.requests.next(() => true)
  client.write('{"type":"ping"}\n')
  await client.events.next(({ type }) => type === 'pong')
  const quiet = await call()
  const closing = listener.close()
  await client.closed
  assert.deepEqual(
    texts(client).filter(([type]) => type === 'not-handled'),
    Array(2).fill(['not-handled', 'I am not ready yet. Please try again in a moment.']),
  )
  await quiet.closed
  await closing
  assert.equal(core.cancelled.all.length, 1)
})
