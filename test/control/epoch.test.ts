/** Numbers of plans that anybody may have said: none is the last, and none puts a node out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Agent } from '../../services/control/agent.ts'
import { epochAfter, isOlder, nextEpoch } from '../../services/control/epoch.ts'
import { readPlan } from '../../services/control/plan.ts'
import { limits } from '../../services/limits.ts'
import { desiredSchema } from '../../services/wire/control.ts'
import { coordinatorOf, desired, identity, kinds, other, plan } from './parts.ts'

const last = limits.epochs - 1
const steps = limits.epochSteps

test('older is what lies a bounded number of steps behind', () => {
  for (const [epoch, than, older] of [
    [4, 5, true],
    [5, 5, false],
    [6, 5, false],
    [0, 5, true],
    [5, 0, false],
    [0, 0, false],
    [5, 5 + steps, true],
    [5, 6 + steps, false],
    [5 + steps, 5, false],
    [5, last, false],
    [last, 5, true],
    [last, 1, true],
    [1, last, false],
    [last - steps + 1, 1, true],
    [last - steps, 1, false],
  ] as const)
    assert.equal(isOlder(epoch, than), older, `${epoch} and ${than}`)
})

test('after every epoch comes another, which is newer and can be said', () => {
  for (const epoch of [0, 1, 5, steps, 2 ** 30, last - 1, last]) {
    const next = nextEpoch(epoch)
    assert.ok(next >= 1 && next <= last)
    assert.ok(isOlder(epoch, next) && !isOlder(next, epoch))
  }
})

test('a new plan is followed by every node, whatever each has seen', () => {
  const said = [
    0,
    1,
    4,
    5,
    6,
    7,
    90,
    steps,
    5 + steps,
    6 + steps,
    7 + steps,
    2 ** 30,
    last - 1,
    last,
  ]
  for (const current of said)
    for (const a of said)
      for (const b of said)
        for (const c of said) {
          const epoch = epochAfter(current, [a, b, c])
          assert.ok(epoch !== current && !isOlder(epoch, current), `${epoch} after ${current}`)
          for (const seen of [a, b, c])
            assert.ok(epoch !== seen && !isOlder(epoch, seen), `${epoch} at ${seen}`)
        }
})

/** What a false plan of this epoch does to a ring of one, until it works again. */
const afterFalsePlan = (epoch: number): { agent: Agent; planned: number } => {
  const coordinator = coordinatorOf(5)
  const agent = new Agent(identity('a'))
  agent.handle({ kind: 'start', kept: desired(5) }, 0)
  agent.handle({ kind: 'desired', desired: { epoch, cluster: 'home', assignment: null } }, 1)
  for (let round = 0; round < 5; round++)
    for (const effect of coordinator.handle({ kind: 'node', id: 'pi1', state: agent.state }))
      if (effect.kind === 'desire')
        agent.handle({ kind: 'desired', desired: effect.desired }, 2 + round)
  assert.equal(agent.state.epoch, coordinator.plan.epoch, `after ${epoch}`)
  assert.equal(agent.state.assignment.phase, 'fetching', `after ${epoch}`)
  return { agent, planned: coordinator.plan.epoch }
}

test('one false plan puts no node out, of whatever epoch; far ones do not even move the plan', () => {
  for (const epoch of [6, 7, 5 + steps]) assert.equal(afterFalsePlan(epoch).planned, epoch + 1)
  for (const epoch of [6 + steps, 2 ** 30, last - 1, last])
    assert.equal(afterFalsePlan(epoch).planned, 5)
})

test('false plans one after the other put no node out either', () => {
  const coordinator = coordinatorOf(5)
  const agent = new Agent(identity('a'))
  agent.handle({ kind: 'start', kept: desired(5) }, 0)
  let now = 1
  for (let i = 0; i < 5_000; i++) {
    const epoch = 1 + ((agent.state.epoch - 1 + steps) % last)
    agent.handle({ kind: 'desired', desired: { epoch, cluster: 'home', assignment: null } }, ++now)
    for (let round = 0; round < 2; round++)
      for (const effect of coordinator.handle({ kind: 'node', id: 'pi1', state: agent.state }))
        if (effect.kind === 'desire')
          agent.handle({ kind: 'desired', desired: effect.desired }, ++now)
    assert.equal(agent.state.epoch, coordinator.plan.epoch)
    assert.equal(agent.state.assignment.phase, 'fetching')
  }
})

test('a plan of an epoch that there is not is no message of ours; a node that kept one waits', () => {
  for (const epoch of [limits.epochs, 4_294_967_294, 4_294_967_295, -1, 1.5, 1e300]) {
    assert.ok(!desiredSchema.safeParse(desired(epoch)).success, `${epoch}`)
    assert.throws(() => readPlan(JSON.stringify(plan(epoch))), { code: 'bad-value' })
  }
  assert.ok(desiredSchema.safeParse(desired(last)).success)
})

test('an older plan is refused, also where the numbers go round', () => {
  for (const [own, told] of [
    [5, 4],
    [2, last],
    [steps, 1],
  ] as const) {
    const agent = new Agent(identity('a'))
    agent.handle({ kind: 'start', kept: desired(own) }, 0)
    assert.deepEqual(kinds(agent.handle({ kind: 'desired', desired: desired(told) }, 1)), ['log'])
    assert.equal(agent.state.epoch, own)
  }
})

test('of two plans of one number the second is refused, and a third is asked for', () => {
  const coordinator = coordinatorOf(6)
  const agent = new Agent(identity('a'))
  agent.handle({ kind: 'start', kept: desired(5) }, 0)
  const { assignment } = desired(6)
  // It has the very layers, but is another part of another ring.
  const wrong = assignment && { ...assignment, context: 32 }
  agent.handle({ kind: 'desired', desired: { ...desired(6), assignment: wrong } }, 1)
  for (const kind of ['bus', 'bus'] as const)
    for (const effect of coordinator.handle({ kind }))
      if (effect.kind === 'desire') agent.handle({ kind: 'desired', desired: effect.desired }, 2)
  const state = { ...agent.state }
  for (const effect of coordinator.handle({ kind: 'node', id: 'pi1', state }))
    if (effect.kind === 'desire') agent.handle({ kind: 'desired', desired: effect.desired }, 3)
  assert.deepEqual([coordinator.plan.epoch, agent.state.epoch], [8, 8])
  const work = { kind: 'fetched', work: 3 } as const
  const [load] = agent.handle(work, 4)
  assert.ok(load?.kind === 'load' && load.assignment.context === 64)
})

test('a node joins under the number of the plan that it follows', () => {
  const agent = new Agent(identity('a'))
  agent.handle({ kind: 'start', kept: desired(5) }, 0)
  agent.handle({ kind: 'desired', desired: { ...desired(5), assignment: null } }, 1)
  assert.equal(agent.state.epoch, 6)
  agent.handle({ kind: 'fetched', work: 1 }, 2)
  const [join] = agent.handle({ kind: 'loaded', work: 1 }, 3)
  assert.ok(join?.kind === 'join' && join.epoch === 5)
  // A plan of the number that it asked for is taken.
  agent.handle({ kind: 'desired', desired: desired(6) }, 4)
  assert.deepEqual([agent.state.epoch, agent.state.assignment.phase], [6, 'fetching'])
})

test('a node outside the plan that is far off is told again what is desired', () => {
  const coordinator = coordinatorOf(5)
  for (const [epoch, told] of [
    [4, true],
    [5, false],
    [6, false],
    [6 + steps, true],
    [last, true],
  ] as const) {
    const effects = coordinator.handle({ kind: 'node', id: 'pi2', state: other('pi2', epoch) })
    assert.deepEqual(kinds(effects), told ? ['desire'] : [], `${epoch}`)
  }
})
