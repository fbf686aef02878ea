/** Links between nodes of a ring over TCP. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TcpLinks } from '../../../services/io/links/tcp.ts'
import { limits } from '../../../services/limits.ts'
import { writeJson } from '../../../services/wire/json.ts'
import {
  HERE,
  isDown,
  isUp,
  node,
  peerOf,
  reasonOf,
  timing,
  unreachable,
  up,
  visitOf,
} from './pairs.ts'

test('a kept link comes up at both ends and carries visits in order', async (t) => {
  const a = await node(t, 'a')
  const b = await node(t, 'b')
  a.links.keep(peerOf(b), 'ring')
  const link = await up(a)
  assert.deepEqual([link.peer, link.purpose, link.dialed], ['b', 'ring', true])
  for (let i = 0; i < 20; i++) assert.equal(a.links.send(link, visitOf(i, 1 + i * 500)), true)
  await b.events.next((e) => e.kind === 'frame' && e.frame.number === 19)
  assert.equal(b.events.all[0]?.kind, 'up')
  const frames = b.events.all.flatMap((e) => (e.kind === 'frame' ? [e.frame] : []))
  assert.deepEqual(
    frames.map((f) => f.number),
    [...frames.keys()],
  )
  assert.equal(frames.length, 20)
  for (const f of frames)
    assert.deepEqual(Buffer.from(f.body), Buffer.from(visitOf(f.number, 1 + f.number * 500).body))
})

test('a ring link carries faults too', async (t) => {
  const a = await node(t, 'a')
  const b = await node(t, 'b')
  a.links.keep(peerOf(b), 'ring')
  const link = await up(a)
  const body = writeJson({ node: 'c', reason: 'it closed the connection' })
  a.links.send(link, { kind: 'fault', epoch: 1, number: 0, body })
  const event = await b.events.next((e) => e.kind === 'frame' || e.kind === 'down')
  assert.ok(event.kind === 'frame' && event.frame.kind === 'fault')
  assert.deepEqual(Buffer.from(event.frame.body), Buffer.from(body))
})

test('two nodes are each other’s next: two links, told apart by who dialed', async (t) => {
  const a = await node(t, 'a')
  const b = await node(t, 'b')
  a.links.keep(peerOf(b), 'ring')
  b.links.keep(peerOf(a), 'ring')
  const dialed = await a.events.next((e) => e.kind === 'up' && e.link.dialed)
  const accepted = await a.events.next((e) => e.kind === 'up' && !e.link.dialed)
  assert.ok(dialed.kind === 'up' && accepted.kind === 'up')
  a.links.send(dialed.link, visitOf(1))
  const got = await b.events.next((e) => e.kind === 'frame')
  assert.ok(got.kind === 'frame' && !got.link.dialed)
})

test('an address that leads nowhere, or to another node, does not stop the right one', async (t) => {
  const a = await node(t, 'a')
  const b = await node(t, 'b')
  // 127.0.0.2 at b's port is another node, 192.0.2.1 is nowhere (RFC 5737).
  const wrong = new TcpLinks({ node: 'c', cluster: 'home', version: '1', timing })
  t.after(() => wrong.close())
  await wrong.start(b.port, '127.0.0.2')
  a.links.keep(peerOf(b, ['127.0.0.2', '127.0.0.3', HERE]), 'ring')
  assert.equal((await up(a)).peer, 'b')
})

test('a lost neighbour is told and found again when it is back on the same port', async (t) => {
  const a = await node(t, 'a')
  const b = await node(t, 'b')
  a.links.keep(peerOf(b), 'ring')
  const first = await up(a)
  await b.links.close()
  const down = await a.events.next(isDown)
  assert.ok(down.kind === 'down' && down.link.key === first.key)
  assert.equal(a.links.send(first, visitOf(0)), false)
  const told = await unreachable(a)
  assert.match(told, new RegExp(`Node b is seen but unreachable.*127\\.0\\.0\\.1:${b.port}`))
  assert.match(told, /refused/)
  const since = a.events.all.length
  await node(t, 'b', {}, b.port)
  const second = await up(a, since)
  assert.notEqual(second.key, first.key)
})

test('a peer that dials anew takes the place of its older link', async (t) => {
  const a = await node(t, 'a')
  const one = await node(t, 'x')
  const two = await node(t, 'x')
  one.links.keep(peerOf(a), 'owner')
  const first = await up(a)
  const since = a.events.all.length
  two.links.keep(peerOf(a), 'owner')
  const second = await up(a, since)
  const kinds = a.events.all.slice(0, 3).map((e) => ('link' in e ? [e.kind, e.link.key] : e.kind))
  assert.deepEqual(kinds, [
    ['up', first.key],
    ['down', first.key],
    ['up', second.key],
  ])
})

test('the queue is bounded: a full one refuses a frame, and what was taken arrives', async (t) => {
  const a = await node(t, 'a')
  const b = await node(t, 'b')
  a.links.keep(peerOf(b), 'ring')
  const link = await up(a)
  const accepted = await b.events.next(isUp)
  assert.ok(accepted.kind === 'up')
  b.links.pause(accepted.link, true)
  let taken = 0
  while (a.links.send(link, visitOf(taken, 65_536))) taken += 1
  assert.ok(taken <= limits.queueFrames && taken >= limits.framesInFlight, String(taken))
  b.links.pause(accepted.link, false)
  await b.events.next((e) => e.kind === 'frame' && e.frame.number === taken - 1)
})

test('both ends may send large frames at once while neither is read for a while', async (t) => {
  const a = await node(t, 'a')
  const b = await node(t, 'b')
  a.links.keep(peerOf(b), 'ring')
  b.links.keep(peerOf(a), 'ring')
  const count = 40
  for (const n of [a, b]) {
    const event = await n.events.next((e) => e.kind === 'up' && e.link.dialed)
    assert.ok(event.kind === 'up')
    for (let i = 0; i < count; i++) assert.ok(n.links.send(event.link, visitOf(i, 65_536)))
  }
  for (const n of [a, b])
    await n.events.next((e) => e.kind === 'frame' && e.frame.number === count - 1)
})

test('drop closes a link and dials no more; the other end is told', async (t) => {
  const a = await node(t, 'a')
  const b = await node(t, 'b')
  a.links.keep(peerOf(b), 'ring')
  const link = await up(a)
  await b.events.next(isUp)
  a.links.drop('b', 'ring')
  assert.equal(a.links.send(link, visitOf(0)), false)
  assert.equal(a.events.all.filter(isDown).length, 0, 'told later, not from within the call')
  await a.events.next(isDown)
  assert.match(reasonOf(await b.events.next(isDown)), /closed the connection/)
})

test('a data port that is taken is told with its number', async (t) => {
  const a = await node(t, 'a')
  const b = new TcpLinks({ node: 'b', cluster: 'home', version: '1' })
  await assert.rejects(b.start(a.port, HERE), {
    code: 'bad-value',
    message: `The data port ${a.port} cannot be opened: another program uses it.`,
  })
})

test('a port is free again at once after close, also under connections', async (t) => {
  const a = await node(t, 'a')
  const b = await node(t, 'b')
  b.links.keep(peerOf(a), 'ring')
  await up(b)
  for (let i = 0; i < 5; i++) {
    await a.links.close()
    const again = new TcpLinks({ node: 'a', cluster: 'home', version: '1', timing })
    assert.equal(await again.start(a.port, HERE), a.port)
    await again.close()
  }
})
