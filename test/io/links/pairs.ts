/** Nodes with TCP links, for tests of them. */
import assert from 'node:assert/strict'
import type { Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import type { TestContext } from 'node:test'
import type { TcpOptions } from '../../../services/io/links/tcp.ts'
import { TcpLinks } from '../../../services/io/links/tcp.ts'
import type { LinkEvent } from '../../../services/ports.ts'
import type { VisitFrame } from '../../../services/wire/frame.ts'
import { Events } from '../../fakes/events.ts'

export const HERE = '127.0.0.1'
export const timing = {
  connectMs: 500,
  helloMs: 300,
  dialStaggerMs: 20,
  redialMs: 10,
  redialMaxMs: 40,
  unreachableRounds: 2,
  probeEveryMs: 50,
  linkSilenceMs: 1_000,
}

export type Node = { links: TcpLinks; events: Events<LinkEvent>; port: number; id: string }

export const node = async (
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

export const peerOf = ({ id, port }: Node, addresses = [HERE]) => ({ id, addresses, port })
export const isUp = (e: LinkEvent) => e.kind === 'up'
export const isDown = (e: LinkEvent) => e.kind === 'down'
export const up = async (n: Node, since = 0) => {
  const event = await n.events.next(isUp, since)
  assert.ok(event.kind === 'up')
  return event.link
}
export const reasonOf = (event: LinkEvent): string => ('reason' in event ? event.reason : '')
export const unreachable = async (n: Node): Promise<string> =>
  reasonOf(await n.events.next((e) => e.kind === 'unreachable'))

export const visitOf = (number: number, hidden = 4): VisitFrame => ({
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

export const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.once('close', () => resolve()))

/** A TCP server that is no node. */
export const other = async (t: TestContext, onSocket: (s: Socket) => void): Promise<number> => {
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
