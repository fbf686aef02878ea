import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Job, JobOutput, Link, LinkEvent, Links, Refusal } from '../../services/ports.ts'
import { RingNode } from '../../services/ring/node.ts'
import type { Part } from '../../services/ring/part.ts'
import type { PlainDraft, VisitFrame } from '../../services/wire/frame.ts'
import type { Hello } from '../../services/wire/hello.ts'
import { writeJson } from '../../services/wire/json.ts'
import { HIDDEN, openOf, reset, visit } from './fakes.ts'

/** Links whose events a test makes up, and which note what is asked of them. */
class HandLinks implements Links {
  readonly asked: string[] = []
  readonly sent: (VisitFrame | PlainDraft)[] = []
  takes = true
  tell: (event: LinkEvent) => void = () => {}
  admit: (hello: Hello) => Refusal | undefined = () => undefined

  onEvent(handler: (event: LinkEvent) => void): void {
    this.tell = handler
  }
  onHello(admit: (hello: Hello) => Refusal | undefined): void {
    this.admit = admit
  }
  setEpoch(epoch: number): void {
    this.asked.push(`epoch ${epoch}`)
  }
  keep(peer: { id: string }): void {
    this.asked.push(`keep ${peer.id}`)
  }
  drop(peer: string): void {
    this.asked.push(`drop ${peer}`)
  }
  send(_link: Link, frame: VisitFrame | PlainDraft): boolean {
    if (this.takes) this.sent.push(frame)
    return this.takes
  }
  hangUp(): void {}

  pause(): void {}
}

const peer = (id: string) => ({ id, addresses: ['127.0.0.1'], port: 1 })
const partOf = (stage: number, epoch = 1): Part => ({
  epoch,
  hidden: HIDDEN,
  model: 'toy',
  vocab: 1_000,
  assignment: {
    stage,
    stages: 3,
    starter: stage === 0,
    previous: 'abc'[(stage + 2) % 3] as string,
    next: peer('abc'[(stage + 1) % 3] as string),
    wire: 'fp32',
    context: 64,
  },
  chunkRows: 8,
  sequences: 8,
})
const ring = (key: number, from: string, dialed = false): Link => ({
  key,
  peer: from,
  purpose: 'ring',
  dialed,
})

const rig = (stage: number, outputs: JobOutput[] = []) => {
  const links = new HandLinks()
  const told: string[] = []
  const jobs: Job[] = []
  const node = new RingNode({
    id: 'abc'[stage] as string,
    engine: {
      run: (job) => {
        jobs.push(job)
        const output = outputs.shift()
        return output ? Promise.resolve(output) : new Promise<JobOutput>(() => {})
      },
    },
    links,
    clock: { now: () => 0, after: () => () => {} },
    random: { uint32: () => 0 },
    onLink: (l) => told.push(`${l.direction} ${l.peer} ${l.up ? 'up' : l.reason}`),
  })
  node.start(partOf(stage))
  return { links, node, jobs, told }
}
const text = (frame: VisitFrame | PlainDraft | undefined) =>
  `${frame?.kind} ${new TextDecoder().decode(frame?.body as Uint8Array)}`

test('only the node before, of the same epoch, is taken as the previous stage', () => {
  const { links, node } = rig(1)
  const hello = (change: Partial<Hello>): Hello => ({
    version: '1',
    cluster: 'home',
    node: 'a',
    to: 'b',
    purpose: 'ring',
    epoch: 1,
    ...change,
  })
  assert.equal(links.admit(hello({})), undefined)
  assert.equal(links.admit(hello({ node: 'c' }))?.reason, 'Node c is not the stage before b.')
  assert.equal(links.admit(hello({ epoch: 2 }))?.reason, 'Node b follows plan 1, not 2.')
  assert.equal(
    links.admit(hello({ purpose: 'owner' }))?.reason,
    'Node b does not start a ring now.',
  )
  node.stop('done')
  assert.equal(links.admit(hello({}))?.reason, 'Node b follows plan none, not 1.')
})

test('a link that was greeted under an older plan takes no one’s place', () => {
  const { links, jobs } = rig(1)
  links.tell({ kind: 'up', link: ring(1, 'a') })
  links.tell({ kind: 'up', link: ring(2, 'c') })
  links.tell({ kind: 'frame', link: ring(2, 'c'), frame: visit(1, { operations: [reset] }) })
  assert.equal(jobs.length, 0)
  links.tell({ kind: 'frame', link: ring(1, 'a'), frame: visit(1, { operations: [reset] }) })
  assert.equal(jobs.length, 1)
})

test('a link that is replaced before its end is told has lost its frames', () => {
  const { links, told } = rig(1)
  links.tell({ kind: 'up', link: ring(1, 'c', true) })
  links.tell({ kind: 'up', link: ring(2, 'a') })
  links.tell({ kind: 'up', link: ring(3, 'a') })
  assert.equal(text(links.sent[0]), 'fault {"node":"a","reason":"it made a new connection"}')
  links.tell({ kind: 'down', link: ring(2, 'a'), reason: 'it closed the connection' })
  assert.equal(links.sent.length, 1)
  assert.deepEqual(told, ['next c up', 'previous a up', 'previous a up'])
})

test('a link that takes no frame is made anew, once', () => {
  const { links } = rig(1)
  links.tell({ kind: 'up', link: ring(1, 'c', true) })
  links.tell({ kind: 'up', link: ring(2, 'a') })
  links.takes = false
  links.asked.length = 0
  for (let i = 0; i < 3; i++) {
    const body = writeJson({ node: 'z', reason: 'it burns' })
    links.tell({
      kind: 'frame',
      link: ring(2, 'a'),
      frame: { kind: 'fault', epoch: 1, number: 0, body },
    })
  }
  assert.deepEqual(links.asked, ['drop c', 'keep c'])
})

test('a fault that cannot be read is one of the node that sent it; an older plan’s is none', () => {
  const { links } = rig(1)
  links.tell({ kind: 'up', link: ring(1, 'c', true) })
  links.tell({ kind: 'up', link: ring(2, 'a') })
  const body = new TextEncoder().encode('no json')
  for (const epoch of [0, 1])
    links.tell({
      kind: 'frame',
      link: ring(2, 'a'),
      frame: { kind: 'fault', epoch, number: 0, body },
    })
  assert.deepEqual(links.sent.map(text), [
    'fault {"node":"a","reason":"In a fault: this is no JSON."}',
  ])
})

test('a request that cannot be read is answered where it says whose it is, and ends nothing', () => {
  const { links } = rig(0)
  const link: Link = { key: 7, peer: 'owner', purpose: 'owner', dialed: false }
  links.tell({ kind: 'up', link })
  const ask = (kind: 'open' | 'cancel' | 'attach', value: unknown) =>
    links.tell({
      kind: 'frame',
      link,
      frame: {
        kind,
        epoch: 0,
        number: 0,
        body: typeof value === 'string' ? new TextEncoder().encode(value) : writeJson(value),
      },
    })
  ask('open', '{"id":')
  ask('open', { id: 'r', tokens: 'many' })
  ask('cancel', {})
  ask('attach', { id: 'gone', fromStep: 0 })
  const of = (id: string) => ({ ...openOf(id), model: 'toy' })
  ask('open', of('early'))
  ask('open', { ...of('foreign'), model: 'other' })
  ask('open', { ...of('beyond'), tokens: [1, 1_000] })
  ask('open', { ...of('asked'), score: [{ ids: [2_000], next: 1 }] })
  assert.deepEqual(
    links.sent.map((f) => /id":"(\w+).*code":"([\w-]+)/.exec(text(f))?.slice(1)),
    [
      ['r', 'bad-value'],
      ['gone', 'not-found'],
      ['early', 'not-ready'],
      // One token beyond the vocabulary would stop the engine, and every request with it.
      ['foreign', 'bad-value'],
      ['beyond', 'bad-value'],
      ['asked', 'bad-value'],
    ],
  )
})

test('a request that runs on for nobody makes room for one of its name', async () => {
  const { links } = rig(0, [{ x: new Float32Array(0) }])
  links.tell({ kind: 'up', link: ring(1, 'b', true) })
  const previous = ring(2, 'c')
  links.tell({ kind: 'up', link: previous })
  // The reset goes round, and the ring is whole.
  await new Promise((resolve) => setImmediate(resolve))
  const [first] = links.sent.filter((f): f is VisitFrame => f.kind === 'visit')
  links.tell({ kind: 'frame', link: previous, frame: { ...(first as VisitFrame), rows: 0 } })
  links.sent.length = 0
  const owner = (key: number): Link => ({ key, peer: 'owner', purpose: 'owner', dialed: false })
  const open = (link: Link) => {
    const body = writeJson({ ...openOf('r'), model: 'toy' })
    links.tell({ kind: 'frame', link, frame: { kind: 'open', epoch: 0, number: 0, body } })
  }
  const ends = () =>
    links.sent.flatMap((f) =>
      f.kind === 'end' ? [/"(bad-value|not-ready)"/.exec(text(f))?.[1]] : [],
    )
  links.tell({ kind: 'up', link: owner(7) })
  open(owner(7))
  assert.deepEqual(ends(), [])
  open(owner(7))
  assert.deepEqual(ends(), ['bad-value'], 'its owner is there')
  links.tell({ kind: 'down', link: owner(7), reason: 'killed' })
  links.tell({ kind: 'up', link: owner(8) })
  open(owner(8))
  assert.deepEqual(ends(), ['bad-value'], 'nobody is told that it is running already')
})

test('another part drops the links of the one before', () => {
  const { links, node } = rig(1)
  links.asked.length = 0
  node.start(partOf(0, 2))
  assert.deepEqual(links.asked, ['drop c', 'drop a', 'epoch 2', 'keep b'])
})

test('a stage that leaves as planned has the starter told before its links go', () => {
  const { links, node } = rig(1)
  links.tell({ kind: 'up', link: ring(1, 'c', true) })
  links.asked.length = 0
  node.stop('the plan has changed')
  assert.deepEqual(links.sent.map(text), [
    'fault {"node":"b","reason":"the plan has changed","planned":true}',
  ])
  assert.deepEqual(links.asked, ['drop c', 'drop a'])
})
