import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import { MdiError } from '../../../services/errors.ts'
import { WeightServer } from '../../../services/io/fetch/serve.ts'
import { fetchManifest, fetchRecords } from '../../../services/io/fetch/transfer.ts'
import type { PeerConnection } from '../../../services/io/links/connection.ts'
import { TcpLinks } from '../../../services/io/links/tcp.ts'
import { limits } from '../../../services/limits.ts'
import {
  manifestBytes,
  manifestReference,
  readManifest,
  sha256Of,
} from '../../../services/model/manifest.ts'
import type { Manifest } from '../../../services/model/spec.ts'
import type { Progress } from '../../../services/ports.ts'
import { chunkBody } from '../../../services/wire/fetch.ts'
import { MemoryStore } from '../../fakes/store.ts'
import { addressOfBytes } from '../bytes.ts'

const HERE = '127.0.0.1'
const timing = { connectMs: 500, helloMs: 300, probeEveryMs: 50, linkSilenceMs: 1_000 }

/** Bytes that differ from chunk to chunk and from record to record. */
const bytesFrom = (seed: number, length: number): Uint8Array => {
  const words = new Uint32Array(Math.ceil(length / 4))
  let x = seed * 2_654_435_761 + 1
  for (let i = 0; i < words.length; i++) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0
    words[i] = x
  }
  return new Uint8Array(words.buffer, 0, length)
}

const C = limits.chunkBytes
/** Three chunks and a bit; exactly one; a few bytes. */
const records = [bytesFrom(1, 3 * C + 17), bytesFrom(2, C), bytesFrom(3, 5)]
const wanted = records.map((r) => ({ sha256: addressOfBytes(r), bytes: r.length }))

type Server = {
  peer: { id: string; addresses: string[]; port: number }
  store: MemoryStore
  links: TcpLinks
  connections: PeerConnection[]
}

const server = async (
  t: TestContext,
  id: string,
  serve?: (connection: PeerConnection) => void,
): Promise<Server> => {
  const store = new MemoryStore()
  for (const record of records) store.add(record)
  const weights = new WeightServer(store)
  const connections: PeerConnection[] = []
  const links = new TcpLinks({
    node: id,
    cluster: 'home',
    version: '1',
    timing,
    onWeights: (connection) => {
      connections.push(connection)
      if (serve) serve(connection)
      else weights.serve(connection)
    },
  })
  t.after(() => links.close())
  const port = await links.start(0, HERE)
  return { peer: { id, addresses: [HERE], port }, store, links, connections }
}

const client = (t: TestContext) => {
  const links = new TcpLinks({ node: 'me', cluster: 'home', version: '1', timing })
  t.after(() => links.close())
  return {
    store: new MemoryStore(),
    options: (...sources: Server[]) => ({
      sources: sources.map((s) => s.peer),
      dial: (peer: Server['peer'], signal: AbortSignal) => links.dial(peer, 'weights', signal),
      redialMs: 5,
    }),
  }
}

const assertWhole = (store: MemoryStore) => {
  for (const [i, { sha256 }] of wanted.entries()) {
    assert.ok(store.entries.get(sha256)?.sealed, `record ${i}`)
    assert.equal(addressOfBytes(store.whole(sha256)), sha256)
  }
}

test('records that are lacking come whole, those that are there are not fetched', async (t) => {
  const a = await server(t, 'a')
  const { store, options } = client(t)
  store.add(records[1] as Uint8Array)
  const progress: Progress[] = []
  await fetchRecords(store, [...wanted, wanted[2] as (typeof wanted)[0]], {
    ...options(a),
    onProgress: (p) => progress.push(p),
  })
  assertWhole(store)
  assert.equal(store.puts.length, 5)
  const total = 3 * C + 17 + 5
  assert.deepEqual(progress.at(-1), { step: 'fetching', done: total, total, unit: 'bytes' })
  assert.deepEqual(progress[0]?.done, 0)
  assert.equal(a.connections.length, 1, 'one link for all of it')
})

test('a wire cut in mid-transfer: it goes on with the same source, nothing fetched twice', async (t) => {
  const a = await server(t, 'a')
  const { store, options } = client(t)
  let cut = false
  store.beforePut = (index) => {
    if (cut || index !== 1) return
    cut = true
    a.connections[0]?.close('cut')
  }
  await fetchRecords(store, wanted, options(a))
  assertWhole(store)
  assert.ok(a.connections.length >= 2)
  const puts = store.puts.map((p) => `${p.sha256} ${p.index}`)
  assert.equal(new Set(puts).size, puts.length)
})

test('a source that dies: the rest comes from another', async (t) => {
  const a = await server(t, 'a')
  const b = await server(t, 'b')
  const { store, options } = client(t)
  let dying: Promise<void> | undefined
  store.beforePut = () => {
    dying ??= a.links.close()
  }
  await fetchRecords(store, wanted, options(a, b))
  await dying
  assertWhole(store)
  assert.equal(b.connections.length, 1)
})

test('no source left: one sentence; what arrived stays, and the next time only the rest comes', async (t) => {
  const a = await server(t, 'a')
  const { store, options } = client(t)
  a.store.beforeGet = (index) => {
    if (index === 3) throw new MdiError('store', 'The disk of node a is broken.')
  }
  const one = wanted.slice(0, 1)
  await assert.rejects(fetchRecords(store, one, options(a)), {
    code: 'store',
    message: 'The disk of node a is broken.',
  })
  const before = store.puts.length
  assert.equal(before, 3)
  a.store.beforeGet = () => {}
  const progress: Progress[] = []
  await fetchRecords(store, one, { ...options(a), onProgress: (p) => progress.push(p) })
  assert.equal(store.puts.length, before + 1)
  assert.ok(progress.some((p) => p.done >= 3 * C))
  const nowhere = { ...a, peer: { ...a.peer, port: 1 } }
  await assert.rejects(fetchRecords(new MemoryStore(), one, options(nowhere)), {
    code: 'node-lost',
    message: /Node a is seen but unreachable.*127\.0\.0\.1:1/,
  })
  await assert.rejects(fetchRecords(new MemoryStore(), one, options()), { code: 'not-found' })
})

test('of several sources that fail, the one that could not be reached is told', async (t) => {
  const a = await server(t, 'a')
  const empty = await server(t, 'empty')
  empty.store.entries.clear()
  const nowhere = { ...a, peer: { ...a.peer, port: 1 } }
  const one = wanted.slice(0, 1)
  const { store, options } = client(t)
  for (const sources of [
    [nowhere, empty],
    [empty, nowhere],
  ])
    await assert.rejects(fetchRecords(store, one, options(...sources)), {
      code: 'node-lost',
      message: /^Node a is seen but unreachable.*127\.0\.0\.1:1 /,
    })
  await assert.rejects(fetchRecords(store, one, options(empty)), {
    code: 'not-found',
    message: /^Node empty lacks it: There is no record/,
  })
})

test('a source that is away is waited for longer than one that lacks it', async (t) => {
  const a = await server(t, 'a')
  const empty = await server(t, 'empty')
  empty.store.entries.clear()
  const { store, options } = client(t)
  const { dial, ...rest } = options(empty, a)
  let tries = 0
  // As many rounds as would end a fetch that no one can serve.
  const late: typeof dial = (peer, signal) =>
    peer.id === 'a' && ++tries <= limits.fetchRounds + 1
      ? Promise.reject(new MdiError('node-lost', 'Node a is not there yet.'))
      : dial(peer, signal)
  await fetchRecords(store, wanted, { ...rest, dial: late })
  assertWhole(store)
})

test('a full disk ends it at once, and is not taken for the source’s fault', async (t) => {
  const a = await server(t, 'a')
  const b = await server(t, 'b')
  const { store, options } = client(t)
  store.beforePut = (index) => {
    if (index === 1) throw new MdiError('disk-full', 'The disk is full.')
  }
  await assert.rejects(fetchRecords(store, wanted, options(a, b)), { code: 'disk-full' })
  assert.equal(b.connections.length, 0)
  store.beforePut = () => {}
  await fetchRecords(store, wanted, options(a))
  assertWhole(store)
})

/** A source that answers each fetch with bytes that are not those asked for. */
const liar = (length: number, honestHash: boolean) => (connection: PeerConnection) =>
  connection.onFrame(({ number }) => {
    const data = new Uint8Array(length)
    const hash = honestHash ? sha256Of(data) : 'ab'.repeat(32)
    connection.send({ kind: 'chunk', epoch: 0, number, body: chunkBody(hash, data) })
  })

test('a source that sends other bytes is not asked again; an honest one makes it whole', async (t) => {
  const one = [wanted[1] as (typeof wanted)[0]]
  for (const [what, serve] of [
    ['a wrong chunk hash', liar(C, false)],
    ['a wrong whole', liar(C, true)],
    ['a wrong length', liar(5, true)],
  ] as const) {
    const bad = await server(t, 'bad', serve)
    const good = await server(t, 'good')
    const { store, options } = client(t)
    await fetchRecords(store, one, options(bad, good))
    assert.ok(store.entries.get(one[0]?.sha256 ?? '')?.sealed, what)
    const alone = client(t)
    await assert.rejects(fetchRecords(alone.store, one, alone.options(bad)), MdiError, what)
  }
})

test('leftovers of a wrong transfer are dropped once and fetched anew', async (t) => {
  const a = await server(t, 'a')
  const { store, options } = client(t)
  const [one] = wanted.slice(1, 2)
  assert.ok(one)
  await store.openRecord(one.sha256, one.bytes)
  const junk = new Uint8Array(C)
  await store.putChunk(one.sha256, 0, junk, sha256Of(junk))
  await fetchRecords(store, [one], options(a))
  assert.ok(store.entries.get(one.sha256)?.sealed)
})

test('a source that answers probes but no fetch is given up for another', async (t) => {
  const mute = await server(t, 'mute', () => {})
  const good = await server(t, 'good')
  const { store, options } = client(t)
  await fetchRecords(store, wanted, { ...options(mute, good), fetchMs: 2_000 })
  assertWhole(store)
})

test('a transfer that is given up ends at once, and leaves no link', async (t) => {
  const left = Promise.withResolvers<void>()
  const mute = await server(t, 'mute', (c) => c.onEnd(() => left.resolve()))
  const { store, options } = client(t)
  const giveUp = new AbortController()
  const fetching = fetchRecords(store, wanted, { ...options(mute), signal: giveUp.signal })
  setImmediate(() => giveUp.abort())
  await assert.rejects(fetching, { code: 'cancelled' })
  const again = new AbortController()
  const second = fetchRecords(store, wanted, { ...options(mute), signal: again.signal })
  // Once its link stands.
  while (mute.connections.length === 0) await new Promise((resolve) => setImmediate(resolve))
  again.abort()
  await assert.rejects(second, { code: 'cancelled' })
  await left.promise
})

test('a peer that asks for too much ahead, or for nonsense', async (t) => {
  const a = await server(t, 'a')
  const links = new TcpLinks({ node: 'x', cluster: 'home', version: '1', timing })
  t.after(() => links.close())
  const connection = await links.dial(a.peer, 'weights')
  const answer = new Promise<string>((resolve) =>
    connection.onFrame((f) => resolve(`${f.kind} ${Buffer.from(f.body)}`)),
  )
  connection.send({ kind: 'fetch', epoch: 0, number: 1, body: Buffer.from('{"what":"x"}') })
  assert.match(await answer, /^fetch-error .*bad-value.*In a fetch/)
  a.store.beforeGet = () => new Promise(() => {})
  const ended = new Promise<void>((resolve) => connection.onEnd(() => resolve()))
  const fetch = Buffer.from(JSON.stringify({ what: 'record', sha256: wanted[0]?.sha256, index: 0 }))
  for (let i = 0; i <= limits.fetchesAhead; i++)
    connection.send({ kind: 'fetch', epoch: 0, number: i, body: fetch })
  await ended
})

const manifest = (filler: number): Manifest => ({
  name: 'tiny',
  spec: {
    family: 'llama',
    layers: 1,
    hidden: 4,
    heads: 1,
    kvHeads: 1,
    headDim: 4,
    feedForward: 8,
    vocab: 10,
    context: 16,
    normEpsilon: 1e-5,
    rope: { theta: 10_000, dim: 4, interleaved: true },
    tiedHead: true,
  },
  text: {
    tokenizer: { vocab: { b: 1, a: 0, '7': 7, é: 3 }, filler: 'x'.repeat(filler) },
    tokenizerConfig: {},
    endIds: [2],
    addBos: true,
  },
  records: [],
  source: { file: 'tiny.gguf', bytes: 1 },
  parameters: 1,
  types: { F32: 1 },
})

test('a manifest of several chunks comes as it was; its address is that of its content', async (t) => {
  const a = await server(t, 'a')
  const { options } = client(t)
  const long = manifest(2 * C)
  await a.store.putModel({ ...manifest(10), name: 'other' })
  await a.store.putModel(long)
  const reference = manifestReference(long)
  assert.ok(reference.bytes > 2 * C)
  assert.deepEqual(await fetchManifest(reference, options(a)), long)
  await assert.rejects(fetchManifest({ ...reference, manifest: '00'.repeat(32) }, options(a)), {
    code: 'not-found',
  })
  // The model was imported again under its name: the old address is no longer there.
  await a.store.putModel(manifest(20))
  const b = await server(t, 'b')
  await b.store.putModel(manifest(20))
  await assert.rejects(fetchManifest(reference, options(b)), { code: 'not-found' })
})

test('a manifest’s address does not depend on the order of keys; damage is noticed', () => {
  const a = manifest(3)
  const { name, ...rest } = a
  const turned = { ...rest, name }
  assert.deepEqual(manifestReference(turned), manifestReference(a))
  const bytes = manifestBytes(a)
  assert.deepEqual(readManifest(bytes, sha256Of(bytes)), a)
  const damaged = bytes.slice()
  damaged[5] = 0x20
  assert.throws(() => readManifest(damaged, sha256Of(bytes)), { code: 'bad-file' })
  for (const text of ['null', '{}', '[', '7']) {
    const other = new TextEncoder().encode(text)
    assert.throws(() => readManifest(other, sha256Of(other)), { code: 'bad-file' }, text)
  }
})
