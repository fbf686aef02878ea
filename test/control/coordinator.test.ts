/** What a coordinator makes of nodes' states and of what is asked. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Agent } from '../../services/control/agent.ts'
import type { Coordinator, CoordinatorEffect } from '../../services/control/coordinator.ts'
import { checkPlan, desiredOf, readPlan } from '../../services/control/plan.ts'
import { MdiError } from '../../services/errors.ts'
import { limits } from '../../services/limits.ts'
import { desiredSchema, type NodeState, type Online } from '../../services/wire/control.ts'
import { coordinatorOf, desired, identity, kinds, modelOf, online, other, plan } from './parts.ts'

const hear = (c: Coordinator, id: string, state: NodeState): CoordinatorEffect[] =>
  c.handle({ kind: 'node', id, state })
const load = (c: Coordinator, reply: string, nodes?: string[], layers = 4): CoordinatorEffect[] =>
  c.handle({
    kind: 'load',
    reply,
    request: { model: 'tiny', ...(nodes && { nodes }) },
    model: modelOf(layers),
  })
const refusal = (effects: CoordinatorEffect[]): string | undefined =>
  effects.flatMap((e) => (e.kind === 'refused' ? [`${e.reply} ${e.error.message}`] : []))[0]
const kept = (effects: CoordinatorEffect[]) =>
  effects.flatMap((e) => (e.kind === 'keep' ? [e] : []))

test('a node outside the plan never moves it, whatever epoch it tells', () => {
  for (const epoch of [9, 1e9, limits.epochs - 1, limits.epochs, 0xffff_ffff]) {
    const c = coordinatorOf(5)
    hear(c, 'pi1', online('a', 'here', 5))
    assert.deepEqual(kept(hear(c, 'pi2', other('pi2', epoch))), [])
    assert.equal(c.plan.epoch, 5)
  }
})

test('its epoch counts when the next plan is made, so that it follows that', () => {
  const c = coordinatorOf(5)
  hear(c, 'pi1', online('a', 'here', 5))
  hear(c, 'pi2', other('pi2', 90))
  load(c, 'r', ['pi1', 'pi2'])
  assert.equal(c.plan.epoch, 91)
})

test('a node of the plan that has seen a later one is caught up with', () => {
  const c = coordinatorOf(5)
  hear(c, 'pi1', online('a', 'here', 8))
  assert.equal(c.plan.epoch, 9)
})

test('an epoch that no coordinator made is refused by name, and spoils no plan', () => {
  for (const epoch of [limits.epochs, 0xffff_ffff]) {
    const c = coordinatorOf(5)
    hear(c, 'pi1', online('a', 'here', 5))
    const [told] = hear(c, 'ghost', other('ghost', epoch))
    assert.ok(told?.kind === 'log')
    assert.match(told.message, /Node ghost tells of plan \d+, which no coordinator made/)
    const effects = load(c, 'r')
    assert.equal(refusal(effects), undefined)
    assert.equal(c.plan.epoch, 6)
    assert.deepEqual(
      c.stages.map((s) => s.node),
      ['pi1'],
    )
    assert.match(refusal(load(c, 'r', ['ghost'])) ?? '', /^r Node ghost tells of plan/)
    // The same of a node of the plan.
    assert.deepEqual(kept(hear(c, 'pi1', online('a', 'here', epoch))), [])
    assert.equal(c.plan.epoch, 6)
  }
})

test('after the last number that a plan can have comes the first, which the nodes follow', () => {
  const last = limits.epochs - 1
  const c = coordinatorOf(last)
  hear(c, 'pi1', online('a', 'here', last))
  const agent = new Agent(identity('a'))
  agent.handle({ kind: 'start', kept: desired(last) }, 0)
  for (const effect of load(c, 'r'))
    if (effect.kind === 'desire')
      agent.handle({ kind: 'desired', desired: { ...effect.desired, cluster: 'home' } }, 1)
  assert.deepEqual([c.plan.epoch, agent.state.epoch], [1, 1])
  assert.deepEqual(checkPlan(c.plan), c.plan)
})

test('a kept plan is read as it was, or refused with a sentence', () => {
  assert.deepEqual(readPlan(JSON.stringify(plan(5))), plan(5))
  const [stage] = plan(5).stages
  for (const wrong of [
    '{"epoch":',
    'null',
    '{}',
    JSON.stringify(plan(4_294_967_296)),
    JSON.stringify({ ...plan(5), stages: [] }),
    JSON.stringify({ ...plan(5), stages: [stage, stage] }),
  ])
    assert.throws(() => readPlan(wrong), { code: 'bad-value', message: /^In the plan: .*\.$/ })
})

test('a state on the topic of another node is not read', () => {
  const c = coordinatorOf(5)
  const [told] = hear(c, 'ghost', online('a', 'here', 5))
  assert.ok(told?.kind === 'log')
  assert.match(told.message, /On the topic of node ghost stands a state of pi1/)
  assert.deepEqual(c.nodes, [])
})

test('an unload answers whoever waits for a load', () => {
  const c = coordinatorOf(5)
  hear(c, 'pi1', online('a', 'here', 5))
  load(c, 'first')
  assert.match(refusal(load(c, 'second')) ?? '', /^first Another model was loaded meanwhile/)
  const effects = c.handle({ kind: 'unload', reply: 'u' })
  assert.equal(refusal(effects), 'second The model was unloaded meanwhile.')
  assert.ok(kinds(effects).includes('unloaded'))
})

test('a load that is refused leaves another one waiting', () => {
  const c = coordinatorOf(5)
  hear(c, 'pi1', online('a', 'here', 5))
  load(c, 'first')
  assert.match(refusal(load(c, 'second', ['nobody'])) ?? '', /^second Node nobody is not online/)
  const ready: Online = {
    ...online('a', 'here', c.plan.epoch),
    assignment: { phase: 'ready' },
    ring: { whole: true },
  }
  const [loaded] = hear(c, 'pi1', ready)
  assert.ok(loaded?.kind === 'loaded' && loaded.reply === 'first')
})

test('a node that is named twice is refused, and the ring goes on', () => {
  const c = coordinatorOf(5)
  hear(c, 'pi1', online('a', 'here', 5))
  hear(c, 'pi2', other('pi2', 5))
  const effects = load(c, 'r', ['pi1', 'pi1', 'pi2'])
  assert.equal(refusal(effects), 'r Node pi1 is named twice; name each node once.')
  assert.equal(c.plan.epoch, 5)
})

test('a ring has so many nodes at most; what is desired in the longest can be read', () => {
  const c = coordinatorOf(5)
  const ids = Array.from({ length: limits.stages + 1 }, (_, i) => `n${i}`)
  for (const id of ids) hear(c, id, other(id))
  assert.match(refusal(load(c, 'r', ids, 60)) ?? '', /^r A ring has 47 nodes at most; 48 are given/)
  assert.equal(refusal(load(c, 'r', undefined, 60)), undefined)
  assert.equal(c.plan.stages.length, limits.stages)
  const coordinator = { id: 'c', addresses: ['c'], port: 1 }
  for (const { peer } of checkPlan(c.plan).stages)
    assert.ok(desiredSchema.parse(desiredOf(c.plan, peer.id, 'home', coordinator)).assignment)
})

test('a load ends with an error only where trying again is not likely to help', () => {
  const failed = (c: Coordinator, lasting: boolean): Online => ({
    ...online('a', 'here', c.plan.epoch),
    assignment: { phase: 'failed', error: 'Node b is seen but unreachable.', lasting },
  })
  const c = coordinatorOf(5)
  hear(c, 'pi1', online('a', 'here', 5))
  load(c, 'r')
  assert.deepEqual(hear(c, 'pi1', failed(c, false)), [])
  assert.equal(c.health.reason, 'Node pi1: Node b is seen but unreachable.')
  assert.equal(
    refusal(hear(c, 'pi1', failed(c, true))),
    'r Node pi1: Node b is seen but unreachable.',
  )
})

test('a node tells at once what lasts, and what may pass after three tries', () => {
  for (const [code, tells] of [
    ['disk-full', [true]],
    ['bad-file', [true]],
    ['out-of-memory', [true]],
    ['node-lost', [false, false, true]],
    ['not-found', [false, false, true]],
  ] as const) {
    const agent = new Agent(identity('a'))
    agent.handle({ kind: 'start', kept: undefined }, 0)
    agent.handle({ kind: 'desired', desired: desired(1) }, 0)
    const told = tells.map((_, i) => {
      const error = new MdiError(code, 'It failed.')
      agent.handle({ kind: 'failed', work: i + 1, error }, i * 100_000)
      const { lasting } = agent.state.assignment
      agent.handle({ kind: 'tick' }, i * 100_000 + 90_000)
      return lasting
    })
    assert.deepEqual(told, tells, code)
  }
})

test('a node that is elsewhere is followed; an address more or less ends no request', () => {
  const at = (addresses: string[], epoch: number, whole = true): Online => ({
    ...online('a', 'here', epoch),
    addresses,
    assignment: { phase: 'ready' },
    ring: { whole },
  })
  const lan = ['10.0.0.5', 'fe00::5', '127.0.0.1']
  const c = coordinatorOf(5)
  hear(c, 'pi1', at(lan, 5))
  assert.deepEqual([c.plan.epoch, c.plan.stages[0]?.peer.addresses], [6, lan])
  for (const more of [[...lan, '172.17.0.1'], lan.slice(1), lan.slice(0, 1)]) {
    hear(c, 'pi1', at(more, 6))
    assert.equal(c.plan.epoch, 6, String(more))
  }
  // The loopback address alone is no place where others find it.
  const moved = ['10.0.0.9', '127.0.0.1']
  hear(c, 'pi1', at(moved, 6))
  assert.deepEqual([c.plan.epoch, c.plan.stages[0]?.peer.addresses], [7, moved])
  // A ring that is broken has nothing to lose: every address may help.
  hear(c, 'pi1', at([...moved, '10.1.0.9'], 7, false))
  assert.deepEqual([c.plan.epoch, c.plan.stages[0]?.peer.addresses.length], [8, 3])
})

test('a coordinator that is elsewhere tells its nodes where the weights are now', () => {
  const c = coordinatorOf(5)
  hear(c, 'pi1', online('a', 'here', 5))
  assert.deepEqual(c.handle({ kind: 'addresses', addresses: ['c'] }), [])
  const effects = c.handle({ kind: 'addresses', addresses: ['d'] })
  assert.deepEqual(kinds(effects), ['plan', 'desire'])
  const [, desire] = effects
  assert.ok(desire?.kind === 'desire')
  assert.deepEqual(desire.desired.assignment?.sources[0]?.addresses, ['d'])
  assert.deepEqual([c.info.coordinator.addresses, c.plan.epoch], [['d'], 5])
})

test('a node tells where it is when that has changed', () => {
  const agent = new Agent(identity('a'))
  agent.handle({ kind: 'start', kept: undefined }, 0)
  assert.deepEqual(agent.handle({ kind: 'addresses', addresses: ['here'] }, 1), [])
  assert.deepEqual(kinds(agent.handle({ kind: 'addresses', addresses: ['there'] }, 2)), ['publish'])
  assert.deepEqual(agent.state.addresses, ['there'])
})

test('a load says which nodes it does not use', () => {
  const c = coordinatorOf(5)
  const profile = (q4: number) => ({ ...other('x').profile, cpu: String(q4), speed: { q4 } })
  hear(c, 'quick', other('quick', 0, { profile: profile(1e9) }))
  hear(c, 'slow', other('slow', 0, { profile: profile(1e7) }))
  const told = load(c, 'r').flatMap((e) => (e.kind === 'log' ? [e.message] : []))
  assert.match(told.join(), /^Not used: slow\. The ring is quicker without/)
  assert.deepEqual(kinds(load(c, 'r', ['quick', 'slow'])).includes('log'), false)
})

test('weights come first from those who have them, and from the coordinator in any case', () => {
  const c = coordinatorOf(5)
  const { manifest } = modelOf(4).reference
  const holding = (id: string, ranges: [number, number][], of = manifest) =>
    hear(c, id, other(id, 0, { held: [{ manifest: of, ranges }] }))
  holding('a', [[0, 2]])
  holding('b', [])
  holding('spare', [
    [0, 1],
    [2, 4],
  ])
  holding('stranger', [[0, 4]], 'b'.repeat(64))
  const sources = load(c, 'r', ['a', 'b']).flatMap((e) =>
    e.kind === 'desire' && e.desired.assignment
      ? [`${e.node}: ${e.desired.assignment.sources.map((s) => s.id).join(' ')}`]
      : [],
  )
  assert.deepEqual(sources, ['a: spare c b', 'b: spare c a'])
  for (let i = 0; i < 70; i++) holding(`more${i}`, [[2, 4]])
  const [, desire] = load(c, 'r', ['a', 'b']).filter((e) => e.kind === 'desire')
  assert.ok(desire?.kind === 'desire')
  const ids = desire.desired.assignment?.sources.map((s) => s.id) ?? []
  assert.deepEqual([ids.length, ids.at(-1)], [limits.sources, 'c'])
})

test('whoever waits for a load is told when nothing has changed for long; the plan stays', () => {
  const c = coordinatorOf(0)
  hear(c, 'pi1', online('a', 'here', 0))
  load(c, 'r')
  const tick = (now: number) => refusal(c.handle({ kind: 'tick', now }))
  assert.equal(tick(0), undefined)
  assert.equal(tick(limits.loadQuietMs - 1), undefined)
  // Progress is a change: the time begins anew.
  const progress = { step: 'fetching', done: 1, total: 9, unit: 'bytes' as const }
  const assignment = { phase: 'fetching' as const, progress }
  hear(c, 'pi1', { ...online('a', 'here', 1), assignment } as Online)
  assert.equal(tick(limits.loadQuietMs), undefined)
  const told = tick(2 * limits.loadQuietMs)
  assert.match(told ?? '', /^r Nothing has changed for 60 s\. Node pi1 is fetching/)
  assert.equal(c.plan.model?.name, 'tiny')
  assert.equal(tick(9 * limits.loadQuietMs), undefined, 'once')
})
