import assert from 'node:assert/strict'
import type { Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import type { TcpOptions } from '../../services/io/tcp.ts'
import { TcpLinks } from '../../services/io/tcp.ts'
import { limits } from '../../services/limits.ts'
import type { LinkEvent } from '../../services/ports.ts'
import { encodeFrame } from '../../services/wire/codec.ts'
import type { VisitFrame } from '../../services/wire/frame.ts'
import type { Hello } from '../../services/wire/hello.ts'
import { writeJson } from '../../services/wire/json.ts'
import { Events } from '../fakes/events.ts'

const HERE = '127.0.0.1'
const timing = {
  connectMs: 500,
  helloMs: 300,
  dialStaggerMs: 20,
  redialMs: 10,
  redialMaxMs: 40,
  unreachableRounds: 2,
  probeEveryMs: 50,
  linkSilenceMs: 1_000,
}

type Node = { links: TcpLinks; events: Events<LinkEvent>; port: number; id: string }

const node = async (
  t: TestContext,
  id: string,
  options: Partial<TcpOptions> = {},
  port = 0,
): Promise<Node> => {
  const links = new TcpLinks({ node: id, cluster: 'home', version: '1', timing, ...options })
  const events = new Events<LinkEvent>()
  links.onEvent(events.add)
  t.after(() => links.close())
  return { links, events, id, port: await links.start(port, HERE) }
}

const peerOf = ({ id, port }: Node, addresses = [HERE]) => ({ id, addresses, port })
const isUp = (e: LinkEvent) => e.kind === 'up'
const isDown = (e: LinkEvent) => e.kind === 'down'
const up = async (n: Node, since = 0) => {
  const event = await n.events.next(isUp, since)
  assert.ok(event.kind === 'up')
  return event.link
}
const reasonOf = (event: LinkEvent): string => ('reason' in event ? event.reason : '')
const unreachable = async (n: Node): Promise<string> =>
  reasonOf(await n.events.next((e) => e.kind === 'unreachable'))

const visitOf = (number: number, hidden = 4): VisitFrame => ({
  kind: 'visit',
  epoch: 1,
  number,
  wire: 'fp32',
  segments: [{ sequence: 1, branch: 0, position: number, rows: 1, wanted: 1 }],
  operations: [],
  rows: 1,
  hidden,
  body: new Uint8Array(new Float32Array(hidden).fill(number).buffer),
})

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.once('close', () => resolve()))

/** A TCP server that is no node. */
const other = async (t: TestContext, onSocket: (s: Socket) => void): Promise<number> => {
  const server: Server = createServer(onSocket)
  const sockets = new Set<Socket>()
  server.on('connection', (s) => {
    s.on('error', () => {})
    sockets.add(s)
  })
  t.after(() => {
    for (const s of sockets) s.destroy()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, HERE, resolve))
  const address = server.address()
  assert.ok(address && typeof address === 'object')
  return address.port
}

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
