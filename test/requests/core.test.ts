import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MdiError } from '../../services/errors.ts'
import { limits } from '../../services/limits.ts'
import { defaultSampling } from '../../services/model/sampler.ts'
import { Conversations } from '../../services/requests/conversations.ts'
import { type CoreListener, RequestCore } from '../../services/requests/core.ts'
import type { AnswerListener } from '../../services/requests/generation.ts'
import { FairQueue } from '../../services/requests/queue.ts'
import { hearTurn, type TurnBefore } from '../../services/voice/dialogue.ts'
import { FakeClock } from '../fakes/clock.ts'
import { answerOf } from '../fakes/core.ts'

const requestOf = (client: string, id: string) => ({
  client,
  text: { id, input: { prompt: '' }, sampling: defaultSampling, stop: [] },
})
/** The ordinal in an id. */
const number = (id: string): number => Number(id.slice(1))

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
  const submit = (client: string, id: string) => {
    const listener: CoreListener = {
      text: () => {},
      queued: ({ position, waitMs }) => log.push(`${id} at ${position} for ${waitMs}`),
      started: () => log.push(`${id} starts`),
      end: ({ reason }) => log.push(`${id} ${reason}`),
      error: (error: MdiError) => log.push(`${id} ${error.code}: ${error.message}`),
    }
    core.submit(requestOf(client, id), listener)
  }
  const finish = (id: string, ms = 0) => {
    clock.advance(ms)
    running.get(id)?.end(answerOf(requestOf('', id), ''))
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

type Step =
  | { kind: 'ask'; client: number }
  | { kind: 'end' | 'fail' | 'cancel'; which: number }
  | { kind: 'places'; count: number }

/** Places change meanwhile; a bound counts with the most there were. */
const MOST_PLACES = 4

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('ask'), client: fc.nat(4) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('end', 'fail', 'cancel'),
      which: fc.nat(1_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('places'), count: fc.nat(MOST_PLACES) }),
  },
) as fc.Arbitrary<Step>

/** A core whose ring is played by hand, and what must always hold of it. */
class Played {
  readonly clock = new FakeClock()
  places = 2
  readonly running = new Map<string, { client: string; listener: AnswerListener }>()
  readonly waiting = new Map<string, string>()
  readonly ends = new Map<string, number>()
  /** For each that waits: how many of each other client have started meanwhile. */
  readonly #passed = new Map<string, Map<string, number>>()
  readonly #own = new Map<string, number>()
  #asked = 0
  readonly core = new RequestCore({
    clock: this.clock,
    places: () => this.places,
    run: ({ client, text: { id } }, listener) => {
      this.#starts(id, client)
      this.running.set(id, { client, listener })
    },
    stop: (id) => this.end(id, (l) => l.end(answerOf(requestOf('', id), ''))),
  })

  /** Nobody starts before one who waits, has fewer running, and whose turn it is. */
  #starts(id: string, client: string): void {
    assert.ok(this.running.size < this.places, 'there is a place')
    const count = (of: string) => [...this.running.values()].filter((r) => r.client === of).length
    this.waiting.delete(id)
    this.#passed.delete(id)
    for (const [other, theirs] of this.waiting) {
      if (theirs === client) assert.ok(number(id) < number(other), 'a client keeps its order')
      else assert.ok(count(client) <= count(theirs), `${id} passes ${other}`)
      // Who has more running waits by that; between equals it goes by turns.
      if (count(client) < count(theirs)) continue
      const passed = this.#passed.get(other) as Map<string, number>
      passed.set(client, (passed.get(client) ?? 0) + 1)
      // It waits for its own client's requests before it, each of which lets one of each pass.
      const before = this.#own.get(other) as number
      assert.ok((passed.get(client) as number) <= before + MOST_PLACES + 1, `${other} is starved`)
    }
  }

  ask(client: number): void {
    const name = `c${client}`
    const id = `r${this.#asked++}`
    this.ends.set(id, 0)
    this.#own.set(id, [...this.waiting.values()].filter((c) => c === name).length + 1)
    this.#passed.set(id, new Map())
    this.waiting.set(id, name)
    const ended = () => {
      this.ends.set(id, (this.ends.get(id) ?? 0) + 1)
      this.waiting.delete(id)
      this.running.delete(id)
    }
    this.core.submit(requestOf(name, id), { text: () => {}, end: ended, error: ended })
  }

  end(id: string | undefined, how: (listener: AnswerListener) => void): void {
    const running = id === undefined ? undefined : this.running.get(id)
    if (id === undefined || !running) return
    this.running.delete(id)
    how(running.listener)
  }

  do(step: Step): void {
    if (step.kind === 'ask') this.ask(step.client)
    else if (step.kind === 'places') {
      this.places = step.count
      this.core.wake()
    } else {
      const ids = [...(step.kind === 'cancel' ? this.ends : this.running).keys()]
      const id = ids[step.which % ids.length]
      if (step.kind === 'cancel' && id !== undefined) {
        const here = this.ends.get(id) === 0
        assert.equal(this.core.cancel(id), here)
      } else if (step.kind === 'end')
        this.end(id, (l) => l.end(answerOf(requestOf('', id ?? ''), '')))
      else this.end(id, (l) => l.error(new MdiError('node-lost', 'Node a was lost.')))
    }
    const { running, queued } = this.core.load
    assert.deepEqual([running, queued], [this.running.size, this.waiting.size])
    assert.ok(queued === 0 || running >= this.places, 'no place is idle while one waits')
  }
}

test('every request ends once, no place leaks, and clients take turns, whatever happens', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 120, size: 'max' }), (steps) => {
      const played = new Played()
      for (const step of steps) played.do(step)
      played.do({ kind: 'places', count: 3 })
      while (played.running.size > 0) played.do({ kind: 'end', which: 0 })
      assert.deepEqual(played.core.load, { running: 0, queued: 0 })
      for (const [id, ends] of played.ends) assert.equal(ends, 1, id)
      assert.equal(played.clock.waiting, 0)
    }),
    { numRuns: 200 },
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
  const all = new Conversations<TurnBefore>(clock)
  assert.deepEqual(hearTurn(all, 'a', 'fails'), {})
  for (let i = 0; i < limits.conversationTurns + 5; i++) {
    const { said } = hearTurn(all, 'a', `q${i}`)
    assert.equal(said, i === 0 ? 'fails' : `q${i - 1}`)
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
