/** Two coordinators at one broker, and one that comes after another. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Presence, type PresenceEffect } from '../../services/control/presence.ts'
import type { BridgeState } from '../../services/wire/control.ts'
import { kinds } from './parts.ts'

const word = (
  instance: string,
  state: BridgeState['state'] = 'online',
  asks = false,
  to?: string,
): BridgeState => ({
  state,
  instance,
  asks,
  id: `coordinator-${instance}`,
  place: 'there port 1',
  ...(to !== undefined && { to }),
})

/** A broker that remembers the last word, and those who are connected. */
class Table {
  readonly names = new Map<Presence, string>()
  readonly gone: string[] = []
  readonly stood: string[] = []
  retained: BridgeState | undefined
  now = 0

  join(name: string): Presence {
    const presence = new Presence(name)
    this.connect(presence, name)
    return presence
  }

  /** Connects one that may have been here before. */
  connect(presence: Presence, name: string): void {
    this.names.set(presence, name)
    const state = this.retained
    const first = presence.handle({ kind: 'bus' }, this.now)
    const told = state ? presence.handle({ kind: 'state', state, retained: true }, this.now) : []
    this.carry([...first, ...told].map((effect) => [presence, effect]))
  }

  say(state: BridgeState | undefined): void {
    this.retained = state
    this.carry(this.#hear(state))
  }

  #hear(state: BridgeState | undefined): [Presence, PresenceEffect][] {
    return [...this.names.keys()].flatMap((p) =>
      p
        .handle({ kind: 'state', state, retained: false }, this.now)
        .map((e): [Presence, PresenceEffect] => [p, e]),
    )
  }

  carry(effects: [Presence, PresenceEffect][]): void {
    let on = effects
    for (let round = 0; on.length > 0; round++) {
      assert.ok(round < 100, 'they never stop talking')
      const next: [Presence, PresenceEffect][] = []
      for (const [presence, effect] of on) {
        const { kind } = effect
        const name = this.names.get(presence)
        if (name === undefined) continue
        if (kind === 'stand') this.stood.push(name)
        if (kind === 'give-up') {
          this.gone.push(name)
          this.names.delete(presence)
        }
        if (kind === 'give-up') continue
        this.retained =
          kind === 'tell' ? word(name, 'online', effect.asks, effect.to) : word(name, 'online')
        next.push(...this.#hear(this.retained))
      }
      on = next
    }
  }

  pass(ms: number): void {
    this.now += ms
    for (const p of [...this.names.keys()])
      this.carry(p.handle({ kind: 'tick' }, this.now).map((e) => [p, e]))
  }
}

test('one that is alone takes up the work at once', () => {
  const table = new Table()
  table.join('a')
  assert.deepEqual(table.stood, ['a'])
  assert.equal(table.retained?.instance, 'a')
})

test('a newcomer gives up and names the other, which goes on; whichever came when', () => {
  for (const [old, young] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const)
    for (const age of [100, 60_000]) {
      const table = new Table()
      const first = table.join(old)
      table.pass(age)
      table.join(young)
      table.pass(2_000)
      assert.deepEqual([table.stood, table.gone], [[old], [young]])
      assert.ok(first.standing)
      assert.equal(table.retained?.instance, old, 'what is retained is that of the one at work')
    }
})

test('its sentence says where the other is', () => {
  const presence = new Presence('new')
  presence.handle({ kind: 'bus' }, 0)
  presence.handle({ kind: 'state', state: word('old'), retained: true }, 1)
  const state = word('old', 'online', false, 'new')
  const heard = () => presence.handle({ kind: 'state', state, retained: false }, 2)
  assert.deepEqual(kinds(heard()), ['tell'])
  const [effect] = heard()
  assert.ok(effect?.kind === 'give-up')
  assert.match(effect.message, /^Another coordinator .* coordinator-old \(at there port 1\)\. Stop/)
  assert.deepEqual(presence.handle({ kind: 'tick' }, 9_000), [])
})

test('where only the broker remembers one, its successor waits a moment and takes over', () => {
  const table = new Table()
  table.retained = word('old')
  table.join('new')
  table.pass(1_000)
  assert.deepEqual(table.stood, [])
  table.pass(600)
  assert.deepEqual(table.stood, ['new'])
})

test('the will of the one that was killed ends the wait', () => {
  const table = new Table()
  table.retained = word('old')
  table.join('new')
  table.say(word('old', 'offline'))
  assert.deepEqual(table.stood, ['new'])
  assert.equal(table.retained?.state, 'online')
})

test('after an offline, or in an empty house, nobody waits', () => {
  for (const retained of [word('old', 'offline'), undefined, { state: 'offline' as const }]) {
    const table = new Table()
    table.retained = retained
    table.join('new')
    assert.deepEqual(table.stood, ['new'])
  }
})

test('a late will, a cleared topic or garbage is put right at once', () => {
  for (const foreign of [word('old', 'offline'), word('a', 'offline'), undefined]) {
    const table = new Table()
    table.join('a')
    table.pass(1_000_000)
    table.say(foreign)
    assert.deepEqual(table.retained, word('a'))
    assert.deepEqual(table.gone, [])
  }
})

test('of two that come together one gives up, and the other takes up the work', () => {
  const table = new Table()
  const [a, b] = [new Presence('a'), new Presence('b')]
  table.names.set(a, 'a').set(b, 'b')
  const both = [a, b].flatMap((p) =>
    p.handle({ kind: 'bus' }, 0).map((e): [Presence, PresenceEffect] => [p, e]),
  )
  table.carry(both)
  table.pass(2_000)
  assert.equal(table.gone.length, 1)
  assert.ok(table.stood.length > 0 && !table.gone.includes(table.stood.at(-1) ?? ''))
  const { asks, instance } = table.retained ?? {}
  assert.deepEqual([asks, instance], [false, table.stood.at(-1)])
})

test('two that are at work, when their brokers are joined: one gives up', () => {
  const [one, two] = [new Table(), new Table()]
  const [a, b] = [one.join('a'), two.join('b')]
  one.names.set(b, 'b')
  one.say(word('b'))
  assert.deepEqual(one.gone, ['a'])
  assert.ok(a.standing && b.standing)
})

test('one that comes back to the broker after another took its place gives up', () => {
  for (const [old, young] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    const table = new Table()
    const first = table.join(old)
    table.names.delete(first)
    table.retained = word(old, 'offline')
    table.pass(100_000)
    table.join(young)
    table.pass(100_000)
    table.connect(first, old)
    assert.deepEqual(table.gone, [old])
  }
})

test('a newcomer that is quicker back at a broker that restarts: one stays, never none', () => {
  for (const [old, young] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    const table = new Table()
    const first = table.join(old)
    table.names.delete(first)
    table.join(young)
    assert.deepEqual(table.stood, [old], 'it waits for the one that is remembered')
    table.connect(first, old)
    table.pass(2_000)
    assert.equal(table.gone.length, 1)
    assert.ok(!table.gone.includes(table.retained?.instance ?? ''))
  }
})

test('a broker that does not let it hear itself is taken at its word', () => {
  const presence = new Presence('a')
  presence.handle({ kind: 'bus' }, 0)
  assert.deepEqual(presence.handle({ kind: 'tick' }, 2_000), [])
  assert.deepEqual(kinds(presence.handle({ kind: 'tick' }, 3_100)), ['stand'])
})

test('a false presence is answered, and not obeyed, whatever it says and how often', () => {
  for (const instance of ['0', 'zzz'])
    for (const asks of [true, false])
      for (const to of [undefined, 'somebody'])
        for (const atWork of [true, false]) {
          const presence = new Presence('a')
          let now = 0
          presence.handle({ kind: 'bus' }, now)
          const own = { kind: 'state', state: word('a'), retained: false } as const
          if (atWork) presence.handle(own, now)
          assert.equal(presence.standing, atWork)
          const state = word(instance, 'online', asks, to)
          const told: PresenceEffect[] = []
          for (let i = 0; i < 50; i++, now += 100)
            for (const event of [{ kind: 'state', state, retained: false }, own, tick] as const)
              told.push(...presence.handle(event, now))
          assert.ok(told.some((e) => e.kind === 'tell' && e.to === instance))
          assert.deepEqual(kinds(told.filter((e) => e.kind === 'give-up')), [])
          assert.ok(presence.standing, 'nor does it hold up one that has just come')
        }
})

const tick = { kind: 'tick' } as const
