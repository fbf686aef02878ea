import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../../services/limits.ts'
import type { Link } from '../../services/ports.ts'
import { Outlet } from '../../services/ring/outlet.ts'

/** A link that takes so many frames, and a clock that is wound by hand. */
const rig = () => {
  const sent: string[] = []
  const dropped: string[] = []
  const timers: (() => void)[] = []
  const state = { room: 0 }
  const link: Link = { key: 1, peer: 'owner', purpose: 'owner', dialed: false }
  const outlet = new Outlet(
    {
      send: (_, frame) => {
        if (state.room === 0) return false
        state.room -= 1
        sent.push(`${frame.kind} ${new TextDecoder().decode(frame.body as Uint8Array)}`)
        return true
      },
      drop: (peer) => dropped.push(peer),
    },
    link,
    {
      after: (_, run) => {
        timers.push(run)
        return () => timers.splice(timers.indexOf(run), 1)
      },
    },
    () => 1,
  )
  return { outlet, sent, dropped, timers, state }
}
const token = (step: number) => ({ id: 'r', step, token: 1 })

test('what a full link does not take is sent later, in order, and then the end', () => {
  const { outlet, sent, timers, state } = rig()
  state.room = 2
  for (let step = 0; step < 5; step++) outlet.token(token(step))
  outlet.end({ id: 'r', reason: 'end' })
  assert.equal(sent.length, 2)
  assert.equal(timers.length, 1)
  state.room = 1
  timers.shift()?.()
  assert.equal(sent.length, 3)
  state.room = 100
  timers.shift()?.()
  assert.deepEqual(
    sent.map((s) => s.slice(0, 25)),
    [0, 1, 2, 3, 4].map((n) => `token {"id":"r","step":${n},`).concat('end {"id":"r","reason":"e'),
  )
  assert.equal(timers.length, 0)
})

test('nothing is sent once the link is down', () => {
  const { outlet, sent, timers, state } = rig()
  outlet.token(token(0))
  outlet.close()
  state.room = 9
  outlet.token(token(1))
  assert.deepEqual([sent.length, timers.length], [0, 0])
})

test('an owner that takes nothing is given up in the end', () => {
  const { outlet, dropped } = rig()
  for (let step = 0; step <= limits.ownerFrames; step++) outlet.token(token(step))
  assert.deepEqual(dropped, ['owner'])
})
