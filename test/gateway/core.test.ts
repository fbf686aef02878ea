import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { MdiError } from '../../services/errors.ts'
import { Conversations } from '../../services/gateway/conversations.ts'
import { type CoreListener, RequestCore } from '../../services/gateway/core.ts'
import type { AnswerListener } from '../../services/gateway/generation.ts'
import { FairQueue } from '../../services/gateway/queue.ts'
import { limits } from '../../services/limits.ts'
import { defaultSampling } from '../../services/model/sampler.ts'
import { FakeClock } from '../fakes/clock.ts'
import { answerOf } from '../fakes/core.ts'

const setUp = (places = 2) => {
  const clock = new FakeClock()
  const running = new Map<string, AnswerListener>()
  const stopped: string[] = []
  const order: string[] = []
  const core = new RequestCore({
    clock,
    places: () => places,
    run: ({ text }, listener) => {
      running.set(text.id, listener)
      order.push(text.id)
    },
    stop: (id) => stopped.push(id),
  })
  const log: string[] = []
  const request = (client: string, id: string) => ({
    client,
    text: { id, input: { prompt: '' }, sampling: defaultSampling, stop: [] },
  })
  const submit = (client: string, id: string) => {
    const listener: CoreListener = {
      text: () => {},
      queued: ({ position, waitMs }) => log.push(`${id} at ${position} for ${waitMs}`),
      started: () => log.push(`${id} starts`),
      end: ({ reason }) => log.push(`${id} ${reason}`),
      error: (error: MdiError) => log.push(`${id} ${error.code}: ${error.message}`),
    }
    core.submit(request(client, id), listener)
  }
  const finish = (id: string, ms = 0) => {
    clock.advance(ms)
    running.get(id)?.end(answerOf(request('', id), ''))
    running.delete(id)
  }
  return { clock, core, submit, finish, running, stopped, order, log }
}

test('clients take turns, whoever asked first and most', () => {
  const { submit, finish, order } = setUp(1)
  for (const i of [1, 2, 3, 4]) submit('many', `many${i}`)
  submit('one', 'one1')
  submit('two', 'two1')
  submit('one', 'one2')
  for (const id of [...Array(7).keys()]) finish(order[id] as string)
  assert.deepEqual(order, ['many1', 'many2', 'one1', 'two1', 'many3', 'one2', 'many4'])
})

test('a place and a wait are told while it waits, and again when it moves', () => {
  const { submit, finish, log, core } = setUp(1)
  submit('a', 'a1')
  submit('b', 'b1')
  submit('c', 'c1')
  assert.deepEqual(log, ['a1 starts', 'b1 at 1 for 5000', 'c1 at 2 for 10000'])
  log.length = 0
  finish('a1', 10_000)
  assert.deepEqual(log, ['b1 starts', 'c1 at 1 for 6000', 'a1 end'])
  assert.deepEqual(core.load, { running: 1, queued: 1 })
})

test('a full queue says that it is busy, and for how long', () => {
  const { submit, log, core } = setUp(1)
  for (let i = 0; i <= limits.queuedOfClient; i++) submit('a', `a${i}`)
  submit('a', 'again')
  assert.match(
    log.at(-1) ?? '',
    /^again busy: You have 32 requests waiting.*in about \d+ seconds\.$/,
  )
  for (let i = 0; core.load.queued < limits.queuedRequests; i++) submit(`x${i}`, `x${i}`)
  submit('late', 'late')
  assert.match(
    log.at(-1) ?? '',
    /^late busy: All places are taken and 256 requests wait; try again in about 1285 seconds/,
  )
  submit('x', 'x1')
  assert.match(log.at(-1) ?? '', /^x1 bad-value: A request x1 is running already/)
})

test('cancelling takes a waiting request out, and stops a running one', () => {
  const { submit, core, log, stopped, running, finish } = setUp(1)
  submit('a', 'a1')
  submit('b', 'b1')
  submit('c', 'c1')
  assert.equal(core.cancel('b1'), true)
  assert.ok(log.includes('b1 cancelled') && log.at(-1)?.startsWith('c1 at 1'))
  assert.equal(core.cancel('b1'), false)
  assert.equal(core.cancel('a1'), true)
  assert.deepEqual(stopped, ['a1'])
  finish('a1')
  assert.ok(running.has('c1'))
})

test('nobody is lost and nobody is starved, whatever the order', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(5), { maxLength: 60 }),
      fc.integer({ min: 1, max: 4 }),
      (clients, places) => {
        const { submit, finish, running, order } = setUp(places)
        for (const [i, client] of clients.entries()) submit(`c${client}`, `c${client}-${i}`)
        while (running.size > 0) finish([...running.keys()][0] as string)
        assert.equal(order.length, clients.length)
        // Between two requests of one client at most two of any other that waits start.
        const of = (client: string) => order.filter((id) => id.startsWith(`${client}-`))
        for (const client of new Set(clients)) {
          const own = of(`c${client}`)
          assert.deepEqual(
            own,
            [...own].sort((a, b) => Number(a.split('-')[1]) - Number(b.split('-')[1])),
          )
        }
      },
    ),
    { numRuns: 50 },
  )
})

test('the queue gives each client its turn', () => {
  const queue = new FairQueue<{ id: string; client: string }>(10, 3)
  for (const id of ['a1', 'a2', 'a3', 'b1']) assert.ok(queue.push({ id, client: id.charAt(0) }))
  assert.equal(queue.push({ id: 'a4', client: 'a' }), false)
  assert.deepEqual(
    queue.positions().map(({ job }) => job.id),
    ['a1', 'b1', 'a2', 'a3'],
  )
  assert.equal(queue.shift((client) => (client === 'a' ? 1 : 0))?.id, 'b1')
  assert.equal(queue.remove('a2')?.id, 'a2')
  assert.equal(queue.size, 2)
})

test('conversations are bounded in turns, bytes, number and time', () => {
  const clock = new FakeClock()
  const all = new Conversations(clock)
  assert.deepEqual(all.heard('a', 'fails'), {})
  for (let i = 0; i < limits.conversationTurns + 5; i++) {
    const { saidBefore } = all.heard('a', `q${i}`)
    assert.equal(saidBefore, i === 0 ? 'fails' : `q${i - 1}`)
    all.add('a', `q${i}`, 'x')
  }
  assert.equal(all.messages('a').length, 2 * limits.conversationTurns)
  assert.equal(all.messages('a')[0]?.content, 'q5')
  all.add('a', 'x'.repeat(limits.conversationBytes), 'y')
  assert.deepEqual(all.messages('a'), [])
  for (let i = 0; i < limits.conversations + 1; i++) all.add(`c${i}`, 'q', 'x')
  assert.equal(all.size, limits.conversations)
  assert.deepEqual(all.messages('c0'), [])
  clock.advance(limits.conversationMs)
  assert.equal(all.size, limits.conversations)
  clock.advance(1)
  assert.equal(all.size, 0)
})
