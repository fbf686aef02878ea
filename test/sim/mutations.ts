/**
 * Bugs that the harness plants, one at a time: each stands for a mistake that the code could
 * make, and must be found by the checker in some seed.
 */
import type { Job, KvOperation } from '../../services/ports.ts'
import type { TokenListener } from '../../services/ring/ledger.ts'
import type { Frame, VisitFrame } from '../../services/wire/frame.ts'
import type { Hello } from '../../services/wire/hello.ts'
import { readJson, writeJson } from '../../services/wire/json.ts'
import { type Token, tokenSchema } from '../../services/wire/requests.ts'

export type FaultKind =
  | 'kill'
  | 'power'
  | 'pause'
  | 'reset'
  | 'clog'
  | 'cut'
  | 'engine'
  | 'replan'
  | 'owner'

/** Where a bug may be planted. */
export type Mutation = {
  name: string
  /** The faults in which it shows, where those are few. */
  faults?: readonly FaultKind[]
  /** A frame that arrives on a link, as the receiver is told of it. */
  frame?(frame: Frame, from: string, to: string, epoch: number): Frame[]
  /** A job as the engine of node `node` does it. */
  job?(job: Job, node: string): Job
  /** A hello as the listener hears it. */
  hello?(hello: Hello, epoch: number): Hello
  /** A request's owner, as the ring's news reach it. */
  listener?(owner: TokenListener): TokenListener
  /** Whether a link's end is told. */
  tellsDown?(peer: string): boolean
}

/** Once every so many times. */
const every = (count: number): (() => boolean) => {
  let n = 0
  return () => ++n % count === 0
}

/** Rows go round; resets do not count. */
const isWork = (frame: Frame): frame is VisitFrame =>
  frame.kind === 'visit' && frame.segments.length > 0

const onWork = (
  name: string,
  count: number,
  change: (frame: VisitFrame) => Frame[],
): (() => Mutation) => {
  return () => {
    const now = every(count)
    return { name, frame: (f) => (isWork(f) && now() ? change(f) : [f]) }
  }
}

const onToken = (name: string, change: (frame: Frame) => Frame[]): (() => Mutation) => {
  return () => {
    const now = every(7)
    return { name, frame: (f) => (f.kind === 'token' && now() ? change(f) : [f]) }
  }
}

const onJob = (name: string, count: number, change: (job: Job) => Job): (() => Mutation) => {
  return () => {
    const now = every(count)
    return { name, job: (job) => (now() ? change(job) : job) }
  }
}

const without = (kind: KvOperation['kind'], count: number): (() => Mutation) =>
  onJob(`ignoring ${kind}`, count, (job) => ({
    ...job,
    operations: job.operations.filter((o) => o.kind !== kind),
  }))

const changedSegment = (f: VisitFrame, change: Partial<VisitFrame['segments'][0]>): Frame[] => [
  { ...f, segments: f.segments.map((s, i) => (i === 0 ? { ...s, ...change } : s)) },
]

const sampled = (job: Job, change: { step?: number; history?: number[] }): Job => ({
  ...job,
  ...(job.head && {
    head: job.head.map((h) => (h.kind === 'sample' ? { ...h, ...change } : h)),
  }),
})

/** Swaps a visit with the one that follows it on the same link. */
const swapping = (): Mutation => {
  const held = new Map<string, Frame>()
  const now = every(9)
  return {
    name: 'swapping two visits',
    frame: (f, from, to) => {
      if (!isWork(f)) return [f]
      const key = `${from} ${to}`
      const before = held.get(key)
      if (before) {
        held.delete(key)
        return [f, before]
      }
      if (!now()) return [f]
      held.set(key, f)
      return []
    },
  }
}

/** Sends a visit again long after its time. */
const stale = (): Mutation => {
  let old: VisitFrame | undefined
  const now = every(15)
  return {
    name: 'sending a stale visit',
    frame: (f) => {
      if (!isWork(f)) return [f]
      old ??= f
      return now() && old.number < f.number ? [{ ...old, number: f.number }] : [f]
    },
  }
}

/** Frames and hellos of another plan pass for those of this one. */
const anyEpoch = (): Mutation => ({
  name: 'ignoring the epoch',
  faults: ['replan'],
  hello: (hello, epoch) => ({ ...hello, epoch }),
  frame: (f, _from, _to, epoch) => [{ ...f, epoch }],
})

const lostReset = (): Mutation => {
  const kinds: Mutation = { name: 'swallowing resets' }
  let resets = 0
  kinds.frame = (f) => {
    const isReset = f.kind === 'visit' && f.operations.some((o) => o.kind === 'reset')
    return isReset && ++resets > 10 ? [] : [f]
  }
  return kinds
}

const changedToken = (f: Frame, change: (t: Token) => Partial<Token>): Frame[] => {
  if (f.kind !== 'token') return [f]
  const token = readJson(f.body, tokenSchema, 'a token')
  return [{ ...f, body: writeJson({ ...token, ...change(token) }) }]
}

/** Every kind of bug; each call makes one afresh. */
export const mutations: readonly (() => Mutation)[] = [
  onWork('losing a visit', 40, () => []),
  onJob('computing a visit twice', 30, (job) => {
    if (job.segments.length === 0) return job
    const again = job.segments.map((s) => ({ ...s, position: s.position + s.rows }))
    const twice = [...job.input, ...job.input]
    const input =
      job.input instanceof Int32Array ? Int32Array.from(twice) : Float32Array.from(twice)
    return { ...job, segments: [...job.segments, ...again], input }
  }),
  swapping,
  stale,
  onWork('a position that is off by one', 25, (f) =>
    changedSegment(f, { position: (f.segments[0]?.position ?? 0) + 1 }),
  ),
  onWork('the wrong sequence', 25, (f) =>
    changedSegment(f, { sequence: (f.segments.at(-1)?.sequence ?? 0) + 1 }),
  ),
  onWork('two sequences of a lane changed over', 3, (f) => {
    const [a, b] = f.segments
    if (!a || !b || a.rows !== b.rows) return [f]
    const segments = [
      { ...a, sequence: b.sequence, position: b.position },
      { ...b, sequence: a.sequence, position: a.position },
    ]
    return [{ ...f, segments: [...segments, ...f.segments.slice(2)] }]
  }),
  onWork('damaged activations', 25, (f) => {
    const body = f.body.slice()
    if (body.length > 0) body[0] = (body[0] as number) ^ 0x10
    return [{ ...f, body }]
  }),
  lostReset,
  without('reset', 1),
  without('close', 3),
  without('open', 5),
  without('truncate', 1),
  anyEpoch,
  () => ({ name: 'losing faults', frame: (f) => (f.kind === 'fault' ? [] : [f]) }),
  () => ({ name: 'not telling of a lost link', tellsDown: (peer) => !peer.startsWith('n') }),
  onToken('losing a token', () => []),
  () => ({
    name: 'doubling a token',
    listener: (owner) => ({
      token: (t) => {
        owner.token(t)
        if (t.step === 3) owner.token(t)
      },
      end: (e) => owner.end(e),
    }),
  }),
  onToken('another token', (f) => changedToken(f, (t) => ({ token: t.token ^ 1 }))),
  onToken('another step', (f) => changedToken(f, (t) => ({ step: t.step + 1 }))),
  () => ({ name: 'losing ends', frame: (f) => (f.kind === 'end' ? [] : [f]) }),
  () => ({
    name: 'doubling ends',
    listener: (owner) => ({
      token: (t) => owner.token(t),
      end: (e) => {
        owner.end(e)
        owner.end(e)
      },
    }),
  }),
  () => ({ name: 'not hearing cancel', frame: (f) => (f.kind === 'cancel' ? [] : [f]) }),
  () => ({ name: 'not hearing attach', frame: (f) => (f.kind === 'attach' ? [] : [f]) }),
  onJob('a history that lacks its last token', 4, (job) => {
    const history = (h: { history: readonly number[] }) => h.history.slice(0, -1)
    return {
      ...job,
      ...(job.head && {
        head: job.head.map((h) => (h.kind === 'sample' ? { ...h, history: history(h) } : h)),
      }),
    }
  }),
  onJob('sampling as of step 0', 5, (job) => sampled(job, { step: 0 })),
  onJob('the heads of two rows changed over', 2, (job) => ({
    ...job,
    ...(job.head && { head: [...job.head].reverse() }),
  })),
]

/** What the ring must bear without any harm. */
export const harmless: readonly (() => Mutation)[] = [
  onWork('doubling a visit', 12, (f) => [f, f]),
  () => ({
    name: 'doubling every reset',
    frame: (f) => (f.kind === 'visit' && f.segments.length === 0 ? [f, f] : [f]),
  }),
  onToken('doubling a token on its link', (f) => [f, f]),
  () => ({
    name: 'doubling ends on their link',
    frame: (f) => (f.kind === 'end' ? [f, f] : [f]),
  }),
  () => ({
    name: 'visits of another plan among those of this one',
    frame: (f) => (isWork(f) ? [f, { ...f, epoch: f.epoch + 1 }, { ...f, epoch: 0 }] : [f]),
  }),
  () => ({
    name: 'frames of other kinds on a link',
    frame: (f) => [f, { kind: 'fetch', epoch: f.epoch, number: 0, body: new Uint8Array(0) }],
  }),
]
