import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Link, Links } from '../../services/ports.ts'
import { Owner } from '../../services/requests/owner.ts'
import type { PlainDraft } from '../../services/wire/frame.ts'
import { writeJson } from '../../services/wire/json.ts'
import { openOf } from '../ring/fakes.ts'

const starter = { id: 'pi1', addresses: ['here'], port: 1 }
const link = (key: number): Link => ({ key, peer: 'pi1', purpose: 'owner', dialed: true })

/** An owner whose link takes so many frames, and whose timers are run by hand. */
const rig = () => {
  const state = { room: 1_000 }
  const sent: string[] = []
  const ends: string[] = []
  const timers = new Map<() => void, number>()
  const links = {
    keep: () => {},
    drop: () => {},
    send: (_: Link, frame: PlainDraft) => {
      if (state.room === 0) return false
      state.room -= 1
      const { id } = JSON.parse(new TextDecoder().decode(frame.body as Uint8Array)) as {
        id: string
      }
      sent.push(`${frame.kind} ${id}`)
      return true
    },
  } as unknown as Links
  const owner = new Owner(links, {
    now: () => 0,
    after: (ms, run) => {
      timers.set(run, ms)
      return () => timers.delete(run)
    },
  })
  const run = (ms: number) => {
    for (const [timer, wait] of [...timers]) if (wait === ms && timers.delete(timer)) timer()
  }
  const listener = {
    token: () => {},
    end: (end: { id: string; reason: string; error?: { message: string } | undefined }) =>
      ends.push(`${end.id} ${end.error?.message ?? end.reason}`),
  }
  owner.setStarter(starter)
  return { owner, state, sent, ends, run, listener }
}

test('requests beyond what a link takes at once are sent when it takes more', () => {
  const { owner, state, sent, run, listener } = rig()
  owner.handle({ kind: 'up', link: link(1) })
  state.room = 2
  for (const id of ['a', 'b', 'c', 'd']) owner.open(openOf(id), listener)
  assert.deepEqual(sent, ['open a', 'open b'])
  state.room = 9
  run(10)
  assert.deepEqual(sent, ['open a', 'open b', 'open c', 'open d'])
})

test('what had not left when the link broke is opened again, the rest is attached to', () => {
  const { owner, state, sent, listener } = rig()
  owner.handle({ kind: 'up', link: link(1) })
  state.room = 1
  for (const id of ['a', 'b']) owner.open(openOf(id), listener)
  owner.handle({ kind: 'down', link: link(1), reason: 'gone' })
  state.room = 9
  owner.handle({ kind: 'up', link: link(2) })
  assert.deepEqual(sent, ['open a', 'attach a', 'open b'])
})

test('a request that was cancelled while the link was down is cancelled in the ring too', () => {
  const { owner, sent, ends, listener } = rig()
  owner.handle({ kind: 'up', link: link(1) })
  owner.open(openOf('a'), listener)
  owner.handle({ kind: 'down', link: link(1), reason: 'gone' })
  owner.cancel('a')
  owner.handle({ kind: 'up', link: link(2) })
  assert.deepEqual(sent, ['open a', 'attach a', 'cancel a'])
  assert.deepEqual(ends, ['a cancelled'])
})

test('a cancel that was lost with the link is said again over the next', () => {
  const { owner, state, sent, ends, listener } = rig()
  owner.handle({ kind: 'up', link: link(1) })
  for (const id of ['a', 'b']) owner.open(openOf(id), listener)
  owner.cancel('a')
  state.room = 0
  owner.cancel('b')
  owner.handle({ kind: 'down', link: link(1), reason: 'gone' })
  state.room = 9
  owner.handle({ kind: 'up', link: link(2) })
  const again = ['attach a', 'cancel a', 'attach b', 'cancel b']
  assert.deepEqual(sent, ['open a', 'open b', 'cancel a', ...again])
  assert.deepEqual(ends, ['a cancelled', 'b cancelled'])
})

test('what was cancelled is nothing for another starter', () => {
  const { owner, sent, listener } = rig()
  owner.handle({ kind: 'up', link: link(1) })
  owner.open(openOf('a'), listener)
  owner.handle({ kind: 'down', link: link(1), reason: 'gone' })
  owner.cancel('a')
  owner.setStarter({ ...starter, id: 'pi2' })
  owner.handle({ kind: 'up', link: { ...link(2), peer: 'pi2' } })
  assert.deepEqual(sent, ['open a'])
})

test('what a healthy starter does not know any more is told so, and by no untrue loss', () => {
  const { owner, sent, ends, listener } = rig()
  owner.handle({ kind: 'up', link: link(1) })
  owner.open(openOf('a'), listener)
  owner.open(openOf('b'), listener, true)
  const unknown = (id: string) => {
    const body = writeJson({ id, reason: 'error', error: { code: 'not-found', message: 'x' } })
    const frame = { kind: 'end', epoch: 1, number: 0, body } as const
    owner.handle({ kind: 'frame', link: link(1), frame })
  }
  unknown('b')
  assert.deepEqual(sent, ['open a', 'attach b', 'open b'])
  unknown('a')
  unknown('b')
  assert.deepEqual(
    ends.map((end) => end.replace(/ \(.*\)/, '')),
    ['a', 'b'].map((id) => `${id} Node pi1 knows nothing of the request any more; ask again.`),
  )
  assert.equal(owner.size, 0)
})

test('requests end when the starter that has moved cannot be reached', () => {
  const { owner, ends, run, listener } = rig()
  owner.handle({ kind: 'up', link: link(1) })
  owner.open(openOf('a'), listener)
  owner.setStarter({ ...starter, addresses: ['elsewhere'] })
  assert.deepEqual(ends, [])
  run(1_500)
  assert.deepEqual(ends, ['a Node pi1 was lost; the request was ended.'])
})
