/** Who is refused at the data port, and what ends a link. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { TcpOptions } from '../../../services/io/links/tcp.ts'
import { limits } from '../../../services/limits.ts'
import { encodeFrame } from '../../../services/wire/codec.ts'
import type { Hello } from '../../../services/wire/hello.ts'
import { writeJson } from '../../../services/wire/json.ts'
import {
  closed,
  HERE,
  isDown,
  isUp,
  node,
  other,
  peerOf,
  reasonOf,
  timing,
  unreachable,
  up,
  visitOf,
} from './pairs.ts'

test('a peer of another version, cluster, name or protocol is refused by a sentence', async (t) => {
  const a = await node(t, 'a')
  const cases: [Partial<TcpOptions>, string, RegExp][] = [
    [{ version: '2' }, 'b1', /Node b1 runs version 2, node a version 1/],
    [{ cluster: 'work' }, 'b2', /cluster "work", not of "home"/],
  ]
  for (const [options, id, message] of cases) {
    const b = await node(t, id, options)
    a.links.keep(peerOf(b), 'ring')
    const told = await a.events.next((e) => e.kind === 'unreachable' && e.peer === id)
    assert.match(reasonOf(told), message)
    assert.ok(b.links.strangers.refused > 0)
    assert.equal(b.events.all.length, 0)
  }
  const c = await node(t, 'c')
  a.links.keep({ ...peerOf(c), id: 'd' }, 'ring')
  const told = await a.events.next((e) => e.kind === 'unreachable' && e.peer === 'd')
  assert.match(reasonOf(told), /This is node c, not d/)
})

test('a peer of another frame format is told both versions', async (t) => {
  const a = await node(t, 'a')
  const frame = Buffer.concat(encodeFrame({ kind: 'hello', epoch: 0, number: 0 }))
  frame.writeUInt16LE(9, 4)
  const socket = connect(a.port, HERE)
  const parts: Buffer[] = []
  socket.on('data', (bytes) => parts.push(bytes))
  socket.write(frame)
  await closed(socket)
  assert.match(
    Buffer.concat(parts).toString('latin1'),
    /"protocol","reason":"Node a: the peer speaks version 9 of the frame format, this node version 1/,
  )
})

test('an older epoch is refused by whoever decides about the plan', async (t) => {
  const a = await node(t, 'a')
  const b = await node(t, 'b')
  b.links.onHello(({ epoch, node: who }) =>
    epoch < 5
      ? { code: 'epoch', reason: `Node ${who} follows the older plan ${epoch}.` }
      : undefined,
  )
  a.links.setEpoch(4)
  a.links.keep(peerOf(b), 'ring')
  assert.match(await unreachable(a), /older plan 4/)
  a.links.setEpoch(5)
  await up(a)
})

test('garbage, a port scan and a half-open hello are counted and closed, never taken', async (t) => {
  const a = await node(t, 'a')
  const b = await node(t, 'b')
  const knock = (bytes?: string) => {
    const socket = connect(a.port, HERE)
    socket.on('error', () => {})
    if (bytes !== undefined) socket.write(bytes)
    return closed(socket.resume())
  }
  const [hello] = encodeFrame({ kind: 'hello', epoch: 0, number: 0, body: Buffer.from('{}') })
  await Promise.all([
    knock('GET / HTTP/1.1\r\n\r\n'),
    knock('\u0016\u0003\u0001'),
    knock('MDIF'),
    knock(),
    knock(Buffer.from(hello ?? []).toString('latin1')),
  ])
  const scan = connect(a.port, HERE)
  await new Promise((resolve) => scan.once('connect', resolve))
  scan.resetAndDestroy()
  // In the middle of a good connection's life, too.
  b.links.keep(peerOf(a), 'ring')
  const link = await up(b)
  await knock('\0'.repeat(100_000))
  b.links.send(link, visitOf(3))
  await a.events.next((e) => e.kind === 'frame')
  const { garbage, silent } = a.links.strangers
  assert.ok(garbage >= 3 && silent >= 2, JSON.stringify(a.links.strangers))
  assert.equal(a.events.all.filter(isUp).length, 1)
})

test('a flood of silent strangers does not lock out a peer', async (t) => {
  const a = await node(t, 'a', { timing: { ...timing, helloMs: 60_000 } })
  const b = await node(t, 'b')
  const flood = Array.from({ length: limits.strangers + 5 }, () => {
    const socket = connect(a.port, HERE)
    socket.on('error', () => {})
    return socket
  })
  t.after(() => {
    for (const s of flood) s.destroy()
  })
  await Promise.all(flood.map((s) => new Promise((resolve) => s.once('connect', resolve))))
  b.links.keep(peerOf(a), 'ring')
  await up(b)
  // The oldest made room: no more than the bound are ever held.
  assert.ok(a.links.strangers.silent >= 5, JSON.stringify(a.links.strangers))
})

test('a server that is no node is not taken for the peer', async (t) => {
  const a = await node(t, 'a')
  const port = await other(t, (s) => s.write('220 mail.example ESMTP\r\n'))
  a.links.keep({ id: 'b', addresses: [HERE], port }, 'ring')
  assert.match(await unreachable(a), /something else listens there/)
  const mute = await other(t, () => {})
  a.links.keep({ id: 'c', addresses: [HERE], port: mute }, 'ring')
  const told = await a.events.next((e) => e.kind === 'unreachable' && e.peer === 'c')
  assert.match(reasonOf(told), /does not answer/)
  assert.equal(a.events.all.filter(isUp).length, 0)
})

test('a peer that greets and then falls silent never counts, or is lost', async (t) => {
  const quick = { ...timing, probeEveryMs: 20, linkSilenceMs: 80 }
  const a = await node(t, 'a', { timing: quick })
  const welcome = encodeFrame({
    kind: 'welcome',
    epoch: 0,
    number: 0,
    body: writeJson({ node: 'b', version: '1', epoch: 0 }),
  })
  const port = await other(t, (s) => s.once('data', () => s.write(Buffer.concat(welcome))))
  a.links.keep({ id: 'b', addresses: [HERE], port }, 'ring')
  assert.match(await unreachable(a), /answers no probe/)
  assert.equal(a.events.all.filter(isUp).length, 0)
  // One that answers the first probe only.
  const reply = encodeFrame({ kind: 'probe-reply', epoch: 0, number: 1 })
  const port2 = await other(t, (s) =>
    s.once('data', () => s.write(Buffer.concat([...welcome, ...reply]))),
  )
  a.links.keep({ id: 'b', addresses: [HERE], port: port2 }, 'ring')
  await up(a)
  assert.match(reasonOf(await a.events.next(isDown)), /silent for/)
})

test('a frame of the wrong direction or a damaged one ends the link with a reason', async (t) => {
  const a = await node(t, 'a')
  const hello: Hello = {
    version: '1',
    cluster: 'home',
    node: 'x',
    to: 'a',
    purpose: 'ring',
    epoch: 0,
  }
  const greet = (...more: Uint8Array[]) => {
    const socket = connect(a.port, HERE)
    socket.on('error', () => {})
    const frame = encodeFrame({ kind: 'hello', epoch: 0, number: 0, body: writeJson(hello) })
    socket.write(Buffer.concat([...frame, ...encodeFrame(visitOf(1)), ...more]))
    return closed(socket.resume())
  }
  await greet(...encodeFrame({ kind: 'token', epoch: 0, number: 0 }))
  assert.match(reasonOf(await a.events.next(isDown)), /token is not expected/)
  const since = a.events.all.length
  const damaged = Buffer.concat(encodeFrame(visitOf(2)))
  damaged[damaged.length - 1] = 0x55
  await greet(damaged)
  assert.match(reasonOf(await a.events.next(isDown, since)), /checksum/)
  // Both came up by a whole frame, in order.
  assert.deepEqual(
    a.events.all.map((e) => e.kind),
    ['up', 'frame', 'down', 'up', 'frame', 'down'],
  )
})
