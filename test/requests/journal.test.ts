import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MdiError } from '../../services/errors.ts'
import { limits } from '../../services/limits.ts'
import { defaultSampling } from '../../services/model/sampler.ts'
import type { CoreListener, CoreRequest } from '../../services/requests/core.ts'
import { RequestJournal, readKept, staleness } from '../../services/requests/journal.ts'
import { answerOf } from '../fakes/core.ts'
import { settled } from '../fakes/starter.ts'

const requestOf = (id: string, prompt = 'x'): CoreRequest => ({
  client: 'c',
  text: { id, input: { prompt }, sampling: defaultSampling, stop: [] },
})
const asked = { origin: { verb: 'generate', transaction: 1 } } as const
const silent: CoreListener = { text: () => {}, end: () => {}, error: () => {} }

const setUp = (wallClock = { now: () => new Date(1_000) }) => {
  const saved: string[] = []
  const writes: (() => void)[] = []
  const kept = new RequestJournal((text) => {
    saved.push(text)
    return new Promise((resolve) => writes.push(resolve))
  }, wallClock)
  const follow = (id: string, prompt?: string) =>
    kept.follow(requestOf(id, prompt), asked, silent) as Required<CoreListener>
  const idsOf = (text: string | undefined) => readKept(text ?? '[]').map((k) => k.id)
  return { kept, follow, saved, writes, idsOf }
}

test('what is taken is kept until its end, what ran before what waited', async () => {
  const { follow, saved, writes, idsOf, kept } = setUp()
  const [a, b] = [follow('a'), follow('b')]
  a.queued({ position: 1, waitMs: 1 })
  a.queued({ position: 1, waitMs: 1 })
  b.started()
  await settled()
  assert.equal(saved.length, 1, 'what happens at once is written once')
  assert.deepEqual(idsOf(saved[0]), ['b', 'a'])
  assert.deepEqual(readKept(saved[0] as string)[0], {
    ...asked,
    ...{ id: 'b', runs: true, at: 1_000, request: requestOf('b') },
  })
  b.end(answerOf(requestOf('b'), ''))
  a.error(new MdiError('busy', 'No.'))
  await settled()
  assert.equal(saved.length, 1, 'a write that runs is waited for')
  writes.shift()?.()
  await settled()
  assert.deepEqual(idsOf(saved[1]), [])
  assert.equal(kept.size, 0)
})

test('a request that was refused takes nothing away from another of its name', async () => {
  const { follow, kept } = setUp()
  follow('a').started()
  follow('a').error(new MdiError('bad-value', 'A request a is running already.'))
  assert.equal(kept.size, 1)
  follow('b').error(new MdiError('busy', 'All places are taken.'))
  assert.equal(kept.size, 1)
})

test('beyond a bound only who asked is kept, who is told to ask again', async () => {
  const { follow, saved } = setUp()
  const big = 'x'.repeat(limits.keptRequestBytes / 2)
  const [a, b] = [follow('a', big), follow('b', big)]
  a.started()
  b.started()
  a.end(answerOf(requestOf('a'), ''))
  follow('c', big).started()
  await settled()
  const [second, third] = readKept(saved.at(-1) as string)
  assert.ok(second && third)
  assert.equal(second.request, undefined)
  assert.match(staleness(second, undefined) ?? '', /ask again\.$/)
  assert.equal(third.request?.text.id, 'c')
  const later = (ms: number) => staleness(third, new Date(1_000 + ms))
  assert.equal(later(limits.keptRequestMs), undefined)
  assert.match(later(limits.keptRequestMs + 1) ?? '', /away for too long.*ask again\.$/)
})
