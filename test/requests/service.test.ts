import assert from 'node:assert/strict'
import { test } from 'node:test'
import { wyomingVisits } from '../../services/api/wyoming/service.ts'
import { MdiError } from '../../services/errors.ts'
import { TcpDoorway } from '../../services/io/links/doorway.ts'
import { defaultSampling } from '../../services/model/sampler.ts'
import { Conversations } from '../../services/requests/conversations.ts'
import { RequestService, type RingGuide } from '../../services/requests/service.ts'
import { Assistant } from '../../services/voice/assistant.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeStarter, fakeModel, settled } from '../fakes/starter.ts'
import { WyomingClient } from '../fakes/wyoming.ts'

const peer = (id: string) => ({ id, addresses: ['here'], port: 1 })
const ring = { model: 'toy', starter: peer('pi1'), stages: 1, key: 'toy 4096' }

const setUp = (options: Partial<RingGuide> = {}) => {
  const clock = new FakeClock()
  const starter = new FakeStarter(clock)
  const service = new RequestService({ links: starter, clock })
  const log: string[] = []
  const submit = (id: string, content: string | undefined = undefined) =>
    service.submit(
      {
        client: 'c',
        text: {
          id,
          input:
            content === undefined ? { prompt: 'x' } : { messages: [{ role: 'user', content }] },
          sampling: defaultSampling,
          stop: [],
        },
      },
      {
        text: (text) => log.push(`${id} says ${text}`),
        end: ({ reason }) => log.push(`${id} ${reason}`),
        error: (error: MdiError) => log.push(`${id} ${error.code}: ${error.message}`),
      },
    )
  service.follow(
    {
      ring,
      openText: async () => ({ model: fakeModel(), close: async () => {} }),
      notReady: () => undefined,
      ...options,
    },
    0,
  )
  starter.up()
  return { clock, starter, service, log, submit }
}

test('a cancel right behind its request ends it, whatever was still to be made for it', async () => {
  let opened = (): void => {}
  const opening = new Promise<void>((resolve) => {
    opened = resolve
  })
  const { service, submit, starter, log } = setUp({
    openText: async () => {
      await opening
      return { model: fakeModel(), close: async () => {} }
    },
  })
  submit('a')
  assert.equal(service.cancel('a'), true)
  assert.deepEqual(log, ['a cancelled'])
  assert.deepEqual(service.core.load, { running: 0, queued: 0 })
  opened()
  await settled()
  starter.deliver()
  assert.deepEqual(starter.heard, [])
  assert.equal(service.cancel('a'), false)
})

test('a cancel while the prompt is made ends it; the id can be used again at once', async () => {
  const made: (() => void)[] = []
  const { service, submit, starter, log } = setUp({
    openText: async () => ({
      model: fakeModel('toy', () => new Promise((resolve) => made.push(resolve))),
      close: async () => {},
    }),
  })
  submit('a', 'hello')
  await settled()
  assert.equal(service.cancel('a'), true)
  submit('a', 'hello again')
  await settled()
  assert.equal(made.length, 2)
  for (const go of made) go()
  await settled()
  starter.deliver()
  assert.deepEqual(starter.heard, ['open a'])
  starter.finish('a')
  assert.deepEqual(log, ['a cancelled', 'a length'])
})

test('a text side that cannot be opened is told to whoever asks', async () => {
  const { submit, log, service } = setUp({
    openText: async () => {
      throw new MdiError('not-found', 'There is no model toy here.')
    },
  })
  submit('a')
  await settled()
  assert.deepEqual(log, ['a not-found: There is no model toy here.'])
  assert.deepEqual(service.core.load, { running: 0, queued: 0 })
})

test('one who goes away in mid-stream: the ring is told at once, and the next starts', async (t) => {
  // A ring of one has eight places.
  const { service, submit, starter, clock } = setUp()
  const listener = new TcpDoorway({
    what: 'The voice service',
    visit: wyomingVisits({
      assistant: new Assistant({
        core: service,
        clock,
        conversations: new Conversations(clock),
        wallClock: { now: () => undefined },
        random: { uint32: () => 1 },
        settings: () => ({ intents: false, allowUnlock: false, prompt: undefined, seconds: 1e6 }),
        audit: () => {},
      }),
      clock,
      about: () => ({ cluster: 'den', version: '1', model: 'toy', languages: ['en'] }),
    }),
    most: 4,
  })
  const client = await WyomingClient.call(await listener.start(0, '127.0.0.1'))
  t.after(() => listener.close())
  client.say('hello')
  const happens = async (fits: () => boolean) => {
    while (!fits()) {
      clock.advance(25)
      await settled()
      starter.deliver()
    }
  }
  await happens(() => starter.running.size === 1)
  const [voice] = [...starter.running.keys()] as [string]
  for (let i = 0; i < 8; i++) submit(`r${i}`)
  await happens(() => starter.running.size === 8)
  assert.deepEqual(service.core.load, { running: 8, queued: 1 })
  starter.token(voice)
  await client.events.next(({ type }) => type === 'handled-chunk')
  client.hangUp()
  await happens(() => starter.heard.includes(`cancel ${voice}`))
  await happens(() => starter.running.has('r7'))
  assert.deepEqual(service.core.load, { running: 8, queued: 0 })
})

const requestOf = (id: string) => ({
  client: 'c',
  text: { id, input: { prompt: 'x' }, sampling: defaultSampling, stop: [] },
})

test('requests of a process before this one: told again, or opened where the ring does not know them', async () => {
  const before = setUp()
  for (const id of ['told', 'over']) before.submit(id)
  await settled()
  before.starter.deliver()
  before.starter.token('told')
  before.starter.token('over')
  before.starter.finish('over')
  // The coordinator is killed; the starter keeps its book.
  const { service, starter, log, clock } = setUp()
  starter.down()
  starter.ledger = before.starter.ledger
  for (const [id, running] of before.starter.running) starter.running.set(id, running)
  const listen = (id: string) => ({
    text: (text: string) => log.push(`${id} says ${text}`),
    end: ({ reason }: { reason: string }) => log.push(`${id} ${reason}`),
    error: (error: MdiError) => log.push(`${id} ${error.message}`),
  })
  for (const id of ['told', 'over', 'new']) service.resume(requestOf(id), listen(id), true)
  await settled()
  starter.up()
  starter.deliver()
  starter.deliver()
  for (const id of ['told', 'new']) {
    starter.token(id)
    starter.finish(id)
  }
  assert.deepEqual(log, [
    ...['told says a', 'over says a', 'over length'],
    ...['told says b', 'told length', 'new says a', 'new length'],
  ])
  assert.deepEqual(service.core.load, { running: 0, queued: 0 })
  assert.equal(clock.waiting, 0)
})

test('the queue waits while it is held, can be cancelled, and goes on', async () => {
  let held = true
  const { service, log, starter } = setUp({ holds: () => held, notReady: () => undefined })
  const waits = (id: string) =>
    service.resume(
      requestOf(id),
      {
        text: () => {},
        queued: ({ position }) => log.push(`${id} at ${position}`),
        end: ({ reason }) => log.push(`${id} ${reason}`),
        error: ({ message }) => log.push(`${id} ${message}`),
      },
      false,
    )
  waits('a')
  waits('b')
  assert.equal(service.cancel('a'), true)
  held = false
  service.core.wake()
  await settled()
  starter.deliver()
  starter.deliver()
  starter.finish('b')
  assert.deepEqual(log, ['a at 1', 'b at 2', 'a cancelled', 'b at 1', 'b length'])
  assert.deepEqual(starter.heard, ['attach b', 'open b'])
})

test('a kept request whose model cannot be opened is answered', async () => {
  const { service, log } = setUp({
    openText: async () => {
      throw new MdiError('not-found', 'There is no model toy here.')
    },
  })
  service.resume(
    requestOf('a'),
    { text: () => {}, end: () => {}, error: ({ message }) => log.push(message) },
    true,
  )
  await settled()
  assert.deepEqual(log, ['There is no model toy here.'])
  assert.deepEqual(service.core.load, { running: 0, queued: 0 })
})

test('a service that is closed starts nothing more, ends nothing, and waits for nothing', async () => {
  const { service, submit, starter, log, clock } = setUp()
  for (let i = 0; i < 12; i++) submit(`r${i}`)
  await settled()
  starter.deliver()
  const heard = starter.heard.length
  assert.ok(heard > 0 && service.core.load.queued > 0)
  await service.close()
  starter.down()
  submit('late')
  await settled()
  clock.advance(60_000)
  assert.equal(clock.waiting, 0)
  assert.equal(starter.heard.length, heard)
  assert.deepEqual(log, [])
})
