/** A neighbour that is killed or stopped: real processes. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { TcpLinks } from '../../../services/io/links/tcp.ts'
import type { Link, LinkEvent } from '../../../services/ports.ts'
import type { VisitFrame } from '../../../services/wire/frame.ts'
import { Events } from '../../fakes/events.ts'

const HERE = '127.0.0.1'
const timing = {
  redialMs: 20,
  redialMaxMs: 50,
  connectMs: 300,
  probeEveryMs: 100,
  linkSilenceMs: 600,
}
const script = fileURLToPath(new URL('../../fakes/echo.ts', import.meta.url))

const visit = (number: number): VisitFrame => ({
  kind: 'visit',
  epoch: 1,
  number,
  wire: 'fp32',
  segments: [{ sequence: 1, branch: 0, position: number, rows: 1, wanted: 1 }],
  operations: [],
  rows: 1,
  hidden: 1,
  body: new Uint8Array(4),
})

const startEcho = async (
  t: TestContext,
  port: number,
  next: number,
): Promise<{ child: ChildProcess; port: number }> => {
  const child = spawn(process.execPath, [script, 'b', String(port), 'a', String(next)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, port: Number(line) }
}

/** Both links of `a` up, of those events from `since` on; the one that was dialed. */
const bothUp = async (events: Events<LinkEvent>, since: number): Promise<Link> => {
  const [dialed] = await Promise.all([
    events.next((e) => e.kind === 'up' && e.link.dialed, since),
    events.next((e) => e.kind === 'up' && !e.link.dialed, since),
  ])
  assert.ok(dialed.kind === 'up')
  return dialed.link
}

test('a killed or stopped neighbour is told, and the ring is whole when it is back', async (t) => {
  const a = new TcpLinks({ node: 'a', cluster: 'home', version: '1', timing })
  t.after(() => a.close())
  const events = new Events<LinkEvent>()
  a.onEvent(events.add)
  const own = await a.start(0, HERE)
  let b = await startEcho(t, 0, own)
  a.keep({ id: 'b', addresses: [HERE], port: b.port }, 'ring')
  let since = 0
  let number = 0
  const round = async () => {
    const dialed = await bothUp(events, since)
    // The echo's own link may not yet be up at its end: what it cannot send on, it drops.
    const answer = events.next((e) => e.kind === 'frame' && e.frame.number >= number, since)
    const again = setInterval(() => a.send(dialed, visit(number)), 20)
    await answer
    clearInterval(again)
    number += 1_000
  }
  const bothDown = () =>
    Promise.all([
      events.next((e) => e.kind === 'down' && e.link.dialed, since),
      events.next((e) => e.kind === 'down' && !e.link.dialed, since),
    ])
  await round()
  for (let i = 0; i < 2; i++) {
    since = events.all.length
    b.child.kill('SIGSTOP')
    for (const down of await bothDown())
      assert.match(down.kind === 'down' ? down.reason : '', /silent for 0\.\d+ s/)
    b.child.kill('SIGCONT')
    await round()
    since = events.all.length
    b.child.kill('SIGKILL')
    await bothDown()
    b = await startEcho(t, b.port, own)
    await round()
  }
})
