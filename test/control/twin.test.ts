/** Two nodes with one id: the newcomer gives up, and the plan stays with the one that was there. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Agent, type AgentEffect } from '../../services/control/agent.ts'
import type { Coordinator, CoordinatorEffect } from '../../services/control/coordinator.ts'
import type { NodeState } from '../../services/wire/control.ts'
import { coordinatorOf, desired, identity, kinds, online } from './parts.ts'

/** Lets two agents hear each other for some seconds. @returns who gave up */
const meet = (agents: [Agent, Agent], from: number): string[] => {
  const gone: string[] = []
  const carry = (said: [number, AgentEffect][], now: number) => {
    for (let round = 0; said.length > 0; round++) {
      assert.ok(round < 100, 'they never stop talking')
      const heard = said
      said = []
      for (const [from, effect] of heard) {
        const instance = agents[from]?.state.instance ?? ''
        if (gone.includes(instance)) continue
        if (effect.kind === 'give-up') gone.push(instance)
        if (effect.kind !== 'publish') continue
        const to = 1 - from
        if (gone.includes((agents[to] as Agent).state.instance)) continue
        const event = { kind: 'twin', instance, address: 'there', retained: false } as const
        for (const e of (agents[to] as Agent).handle(event, now)) said.push([to, e])
      }
    }
  }
  const all = (work: (agent: Agent) => AgentEffect[]) =>
    agents.flatMap((a, i) => work(a).map((e): [number, AgentEffect] => [i, e]))
  carry(
    all((a) => [{ kind: 'publish', state: a.state }]),
    from,
  )
  for (let now = from + 500; now < from + 10_000; now += 1_000)
    carry(
      all((a) => (gone.includes(a.state.instance) ? [] : a.handle({ kind: 'tick' }, now))),
      now + 10,
    )
  return gone
}

const agentOf = (instance: string, startedAt: number): Agent => {
  const agent = new Agent(identity(instance))
  agent.handle({ kind: 'start', kept: undefined }, startedAt)
  return agent
}

test('the newcomer gives up, whichever instance is the smaller', () => {
  for (const [old, young] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const)
    assert.deepEqual(meet([agentOf(old, 0), agentOf(young, 60_000)], 60_100), [young])
})

test('of two newcomers one gives up', () => {
  assert.deepEqual(meet([agentOf('a', 0), agentOf('b', 10)], 100), ['a'])
})

test('two that have long been there say so, and do not talk for ever', () => {
  assert.deepEqual(meet([agentOf('a', 0), agentOf('b', 0)], 1e6), [])
})

test('where another of its id may live, a node joins only when it was quiet for a while', () => {
  const agent = agentOf('new', 0)
  agent.handle({ kind: 'twin', instance: 'old', address: 'there', retained: true }, 10)
  const fetch = agent.handle({ kind: 'desired', desired: desired(1) }, 20)
  assert.deepEqual(kinds(fetch), ['keep', 'fetch', 'publish'])
  agent.handle({ kind: 'fetched', work: 1 }, 30)
  assert.deepEqual(agent.handle({ kind: 'loaded', work: 1 }, 40), [])
  assert.deepEqual(agent.handle({ kind: 'tick' }, 1_000), [])
  assert.deepEqual(kinds(agent.handle({ kind: 'tick' }, 1_600)), ['join', 'publish'])
  assert.deepEqual(agent.handle({ kind: 'tick' }, 2_600), [])
})

test('a node alone under its id joins at once', () => {
  const agent = agentOf('new', 0)
  agent.handle({ kind: 'desired', desired: desired(1) }, 20)
  agent.handle({ kind: 'fetched', work: 1 }, 30)
  assert.deepEqual(kinds(agent.handle({ kind: 'loaded', work: 1 }, 40)), ['join', 'publish'])
})

test('the same plan with other sources is taken: the coordinator has moved', () => {
  const agent = agentOf('a', 0)
  agent.handle({ kind: 'desired', desired: desired(3) }, 0)
  const moved = agent.handle({ kind: 'desired', desired: desired(3, 'elsewhere') }, 10)
  assert.deepEqual(kinds(moved), ['keep', 'fetch', 'publish'])
  agent.handle({ kind: 'fetched', work: 2 }, 30)
  agent.handle({ kind: 'loaded', work: 2 }, 40)
  const again = agent.handle({ kind: 'desired', desired: desired(3) }, 50)
  assert.deepEqual(kinds(again), ['keep'], 'a node that is ready goes on')
  const other = { ...desired(3), assignment: null }
  assert.deepEqual(kinds(agent.handle({ kind: 'desired', desired: other }, 60)), ['log', 'publish'])
  assert.deepEqual(kinds(agent.handle({ kind: 'desired', desired: desired(2) }, 70)), ['log'])
})

const hear = (c: Coordinator, state: NodeState): CoordinatorEffect[] =>
  c.handle({ kind: 'node', id: 'pi1', state })

test('a second node under an id moves no plan; one that comes after a loss does', () => {
  const c = coordinatorOf(5)
  assert.deepEqual(hear(c, online('a', 'here', 5)), [])
  assert.deepEqual(kinds(hear(c, online('b', 'there', 5))), ['log'])
  assert.deepEqual(hear(c, online('b', 'there', 5)), [], 'told once')
  assert.equal(c.plan.epoch, 5)
  hear(c, { state: 'offline' })
  assert.ok(kinds(hear(c, online('b', 'there', 5))).includes('desire'))
  assert.equal(c.plan.epoch, 6)
})

test('what happened while the broker was away is not held against a node', () => {
  const c = coordinatorOf(5)
  hear(c, online('a', 'here', 5))
  c.handle({ kind: 'away' })
  c.handle({ kind: 'bus' })
  hear(c, online('b', 'there', 5))
  assert.equal(c.plan.epoch, 6)
})

test('a node that missed an unload is told when it comes back', () => {
  const c = coordinatorOf(5)
  c.handle({ kind: 'unload', reply: 'r' })
  const [effect] = hear(c, online('a', 'here', 5))
  assert.ok(effect?.kind === 'desire' && effect.desired.assignment === null)
  assert.deepEqual(hear(c, online('a', 'here', 6)), [])
})

test('of two newcomers the survivor is seen, though the other was known first', () => {
  const c = coordinatorOf(5)
  hear(c, online('a', 'here', 5))
  hear(c, online('b', 'there', 5))
  // What is left of b's former life changes nothing.
  assert.deepEqual(hear(c, { state: 'offline', instance: 'b' }), [])
  assert.equal(c.nodes[0]?.state, 'online')
  hear(c, { state: 'offline', instance: 'a' })
  hear(c, online('b', 'there', 5))
  assert.ok(c.nodes[0]?.state === 'online' && c.nodes[0].instance === 'b')
})

test('where the broker remembered the other, the newcomer gives up however young both are', () => {
  for (const [first, second] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    const [old, young] = [agentOf(first, 0), agentOf(second, 100)]
    young.handle({ kind: 'bus' }, 101)
    young.handle({ kind: 'twin', instance: first, address: 'there', retained: true }, 102)
    assert.deepEqual(meet([old, young], 103), [second])
  }
})
