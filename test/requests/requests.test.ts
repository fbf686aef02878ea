/**
 * The whole way of a request but for the ring's arithmetic, played at random on a fake clock:
 * bridge, core, queue, generations, owner, the starter's book, and what a coordinator keeps.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Bridge, type Origin } from '../../services/api/mqtt/bridge.ts'
import { MdiError } from '../../services/errors.ts'
import type { BusMessage, PublishOptions } from '../../services/ports.ts'
import { RequestJournal, readKept } from '../../services/requests/journal.ts'
import { RequestService } from '../../services/requests/service.ts'
import { FakeBus } from '../fakes/bus.ts'
import { FakeClock } from '../fakes/clock.ts'
import { FakeStarter, fakeModel, settled } from '../fakes/starter.ts'

const ringAt = (id: string) => ({
  ...{ model: 'toy', stages: 1, key: `toy ${id}` },
  starter: { id, addresses: ['here'], port: 1 },
})

/** What may happen; the more often it is named, the more often it does. */
const kinds = [
  ...['ask', 'ask', 'ask', 'ask', 'ask', 'ask', 'same', 'cancel', 'cancel', 'cancel', 'cancel'],
  ...['settle', 'settle', 'settle', 'settle', 'settle', 'settle', 'token', 'finish', 'finish'],
  ...['deliver', 'deliver', 'deliver', 'deliver', 'deliver', 'deliver', 'deliver', 'fault'],
  ...['up', 'up', 'down', 'down', 'down', 'lost', 'move', 'unload', 'load', 'load', 'kill'],
  ...['unready', 'ready', 'ready', 'textless', 'text', 'text', 'time'],
] as const
type Step = { kind: (typeof kinds)[number]; which: number }
const anyStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...kinds),
  which: fc.nat(1_000),
})

/** A coordinator's process, as far as requests go. */
class Process {
  readonly clock = new FakeClock()
  readonly service: RequestService
  readonly bridge: Bridge
  readonly kept: RequestJournal
  dead = false
  resuming = false

  constructor(world: World) {
    const { bus } = world
    this.kept = new RequestJournal(
      async (text) => {
        if (!this.dead) world.disk = text
      },
      { now: () => undefined },
    )
    this.service = new RequestService({ links: world.starter, clock: this.clock })
    const alive = {
      publish: (topic: string, payload: string, options: PublishOptions) => {
        if (!this.dead) bus.publish(topic, payload, options)
      },
      subscribe: (filter: string, handler: (message: BusMessage) => void) =>
        bus.subscribe(filter, (message) => {
          if (!this.dead) handler(message)
        }),
      onConnection: () => {},
      close: async () => {},
    }
    this.bridge = new Bridge(alive, this.clock, world.random, {
      generate: (request, listener, asked) =>
        this.service.submit(request, this.kept.follow(request, asked, listener)),
      running: (id) => this.service.core.has(id),
      leave: (id) => this.service.cancel(id),
      do: {
        cancel: ({ id }) => {
          if (this.service.cancel(id)) return { id }
          throw new MdiError('not-found', `No request ${id} is running.`)
        },
      },
    })
    const resuming = () => this.resuming
    this.service.follow(
      {
        get ring() {
          return world.ring
        },
        openText: async () => {
          if (!world.text) throw new MdiError('not-found', 'There is no model toy here.')
          return { model: fakeModel(), close: async () => {} }
        },
        notReady: () => (world.ready ? undefined : 'Node a is offline.'),
        holds: () => resuming() && !world.ready,
      },
      0,
    )
    if (world.disk !== '') this.#resume(world.disk)
    this.bridge.start()
  }

  #resume(disk: string): void {
    this.resuming = true
    this.clock.after(10_000, () => {
      this.resuming = false
      this.service.core.wake()
    })
    for (const kept of readKept(disk)) {
      assert.ok(kept.request)
      const listener = this.bridge.resume(kept.id, kept.origin as Origin)
      const followed = this.kept.follow(kept.request, kept, listener)
      this.service.resume(kept.request, followed, kept.runs)
    }
    this.kept.write()
  }
}

class World {
  readonly bus = new FakeBus()
  readonly starter = new FakeStarter(new FakeClock())
  #number = 0
  readonly random = { uint32: () => ++this.#number }
  ring: ReturnType<typeof ringAt> | undefined = ringAt('a')
  ready = true
  text = true
  disk = ''
  process = new Process(this)
  /** Times that each transaction was asked and answered. */
  readonly asked = new Map<string, number>()
  readonly answered = new Map<string, number>()
  /** What a cancel was answered "ok" for. */
  readonly cancelled = new Set<string>()
  /** What the ring ran on for a process that died after it had answered it as cancelled. */
  orphans = new Map<string, unknown>()
  asks = 0

  constructor() {
    this.bus.subscribe('mdi/bridge/response/+', ({ topic, payload }) => {
      const said = JSON.parse(Buffer.from(payload).toString()) as {
        status: string
        transaction: string
        data: { id: string }
      }
      if (topic.endsWith('/generate'))
        this.answered.set(said.transaction, (this.answered.get(said.transaction) ?? 0) + 1)
      else if (said.status === 'ok') this.cancelled.add(said.data.id)
    })
  }

  ask(transaction: string, client: number): void {
    this.asked.set(transaction, (this.asked.get(transaction) ?? 0) + 1)
    this.cancelled.delete(transaction)
    const said = { transaction, prompt: 'x', client: `c${client % 3}` }
    this.bus.come('mdi/bridge/request/generate', JSON.stringify(said))
  }

  async do({ kind, which }: Step): Promise<void> {
    const { starter, process } = this
    const pick = (ids: Iterable<string>): string | undefined => {
      const all = [...ids]
      return all[which % all.length]
    }
    const running = pick(starter.running.keys())
    const known = pick(this.asked.keys())
    const open = pick(
      [...this.asked.keys()].filter((t) => this.asked.get(t) !== this.answered.get(t)),
    )
    switch (kind) {
      case 'ask':
        // Often more than there are places.
        for (let i = 0; i <= which % 5; i++) this.ask(`t${this.asks++}`, which + i)
        return
      case 'same':
        if (known !== undefined) this.ask(known, which)
        return
      case 'cancel':
        this.bus.come('mdi/bridge/request/cancel', JSON.stringify({ id: open ?? 'none' }))
        return
      case 'settle':
        return settled()
      case 'deliver':
        starter.deliver()
        return
      case 'token':
        if (running !== undefined) starter.token(running)
        return
      case 'finish':
      case 'fault':
        if (running !== undefined) starter.finish(running, kind === 'fault' ? 'error' : 'end')
        return
      case 'up':
      case 'down':
        starter[kind]()
        return
      case 'lost':
        starter.restart()
        return
      case 'move':
        this.#load(ringAt(which % 2 === 0 ? 'a' : 'b'))
        return
      case 'unload':
        this.#load(undefined)
        return
      case 'load':
        this.#load(ringAt('a'))
        return
      case 'ready':
      case 'unready':
        this.ready = kind === 'ready'
        process.service.core.wake()
        return
      case 'text':
      case 'textless':
        this.text = kind === 'text'
        return
      case 'kill':
        return this.#kill()
      case 'time':
        process.clock.advance(which * 2)
    }
  }

  #load(ring: ReturnType<typeof ringAt> | undefined): void {
    // Another starter is another process; one that starts no ring any more ends what it ran.
    if (ring?.starter.id !== this.ring?.starter.id) this.starter.restart()
    this.ring = ring
    this.process.service.refresh()
  }

  async #kill(): Promise<void> {
    // What was answered in the last moment may be answered twice: that is no loss.
    await settled()
    this.process.dead = true
    this.starter.onEvent(() => {})
    this.starter.drop()
    // A cancel that had not reached the ring died with it: the ring ends in time what nobody
    // comes for. Until then a new request may have the name of one that runs on.
    this.cancelled.clear()
    const kept = new Set(readKept(this.disk).map(({ id }) => id))
    this.orphans = new Map([...this.starter.running].filter(([id]) => !kept.has(id)))
    // Without a text side what runs would be answered by an error, and left to the starter,
    // which ends in time what nobody comes for.
    this.text = true
    this.process = new Process(this)
  }

  /** Everything works again, and the ring answers what it has. */
  async end(): Promise<void> {
    this.text = true
    await this.do({ kind: 'load', which: 0 })
    await this.do({ kind: 'ready', which: 0 })
    for (let round = 0; round < 40; round++) {
      this.starter.up()
      await settled()
      this.starter.deliver()
      for (const [id, running] of this.starter.running) {
        const nobodys = this.orphans.get(id) === running
        assert.ok(nobodys || !this.cancelled.has(id), `${id} runs on after its cancel`)
        this.starter.token(id)
        this.starter.finish(id)
      }
      await settled()
    }
    this.process.clock.advance(20_000)
    await settled()
  }

  check(): void {
    const { service, kept, clock } = this.process
    assert.deepEqual(Object.fromEntries(this.answered), Object.fromEntries(this.asked))
    assert.deepEqual(service.core.load, { running: 0, queued: 0 })
    assert.deepEqual(service.generations.running, [])
    assert.equal(service.owned, 0)
    assert.equal(kept.size, 0)
    assert.equal(this.disk, '[]')
    assert.equal(clock.waiting, 0, 'no timer is left')
  }
}

const steps = (kinds: string): Step[] =>
  kinds.split(' ').map((step) => {
    const [kind, which] = step.split(':')
    return { kind: kind as Step['kind'], which: Number(which ?? 0) }
  })

/** What was found at random once. */
const found: [Step[]][] = [
  // The cancel of one that ran is lost with link and process; another of its name is cancelled.
  [
    steps(
      'ask:118 ask ask:322 ask:493 ask:33 settle deliver finish:27 ask down cancel cancel:945 ask ask ask:77 ask kill same:770 cancel:67',
    ),
  ],
]

test('every request is answered once, and nothing is kept of it, whatever happens', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 150, size: 'max' }), async (steps) => {
      const world = new World()
      world.starter.up()
      world.ask('first', 0)
      for (const step of steps) await world.do(step)
      await world.end()
      world.check()
    }),
    { numRuns: 150, examples: found },
  )
})
