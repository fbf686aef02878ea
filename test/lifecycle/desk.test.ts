import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MdiError } from '../../services/errors.ts'
import { Desk, type DeskOptions } from '../../services/lifecycle/desk.ts'
import { defaultSampling } from '../../services/model/sampler.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeStarter, fakeModel, settled } from '../fakes/starter.ts'

const peer = (id: string) => ({ id, addresses: ['here'], port: 1 })
const ring = { model: 'toy', starter: peer('pi1'), stages: 1, key: 'toy 4096' }

const setUp = (options: Partial<DeskOptions> = {}) => {
  const clock = new FakeClock()
  const starter = new FakeStarter(clock)
  const desk = new Desk({
    links: starter,
    clock,
    openText: async () => ({ model: fakeModel(), close: async () => {} }),
    notReady: () => undefined,
    ...options,
  })
  const log: string[] = []
  const submit = (id: string, content: string | undefined = undefined) =>
    desk.submit(
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
  desk.setRing(ring)
  starter.up()
  return { clock, starter, desk, log, submit }
}

test('a cancel right behind its request ends it, whatever was still to be made for it', async () => {
  let opened = (): void => {}
  const opening = new Promise<void>((resolve) => {
    opened = resolve
  })
  const { desk, submit, starter, log } = setUp({
    openText: async () => {
      await opening
      return { model: fakeModel(), close: async () => {} }
    },
  })
  submit('a')
  assert.equal(desk.cancel('a'), true)
  assert.deepEqual(log, ['a cancelled'])
  assert.deepEqual(desk.core.load, { running: 0, queued: 0 })
  opened()
  await settled()
  starter.deliver()
  assert.deepEqual(starter.heard, [])
  assert.equal(desk.cancel('a'), false)
})

test('a cancel while the prompt is made ends it; the id can be used again at once', async () => {
  const made: (() => void)[] = []
  const { desk, submit, starter, log } = setUp({
    openText: async () => ({
      model: fakeModel('toy', () => new Promise((resolve) => made.push(resolve))),
      close: async () => {},
    }),
  })
  submit('a', 'hello')
  await settled()
  assert.equal(desk.cancel('a'), true)
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
  const { submit, log, desk } = setUp({
    openText: async () => {
      throw new MdiError('not-found', 'There is no model toy here.')
    },
  })
  submit('a')
  await settled()
  assert.deepEqual(log, ['a not-found: There is no model toy here.'])
  assert.deepEqual(desk.core.load, { running: 0, queued: 0 })
})
