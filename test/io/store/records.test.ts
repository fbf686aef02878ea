/** Weight records: imported, fetched, read, damaged. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Digests, digestAside, digestHere } from '../../../services/io/digest.ts'
import { SqliteStore } from '../../../services/io/store/client.ts'
import { LocalStore } from '../../../services/io/store/operations.ts'
import { RecordReader } from '../../../services/io/store/reader.ts'
import { limits } from '../../../services/limits.ts'
import { layoutRecord } from '../../../services/model/record.ts'
import type { Manifest } from '../../../services/model/spec.ts'
import { addressOfBytes, bytesOf, hashOf, putRecord } from '../bytes.ts'
import { entry, MiB, put, refused, withFolder, withStore } from './stores.ts'

const manifest = (name: string, shas: string[]): Manifest =>
  ({
    name,
    spec: { family: 'llama', layers: shas.length },
    records: shas.map((sha256, layer) => ({ kind: 'layer', layer, sha256, bytes: 1 })),
  }) as unknown as Manifest
const linkOf = (path: string): string => {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

test('a record comes back as it was written, in any pieces, beside the writer', () =>
  withStore(async (store, folder) => {
    const data = bytesOf(1, 9 * MiB + 12_345)
    const sha = await put(store, data)
    assert.deepEqual(await store.hasRecords([sha, 'ff'.repeat(32)]), new Set([sha]))
    const around = limits.chunkBytes - 5
    assert.deepEqual(await store.readRecord(sha, around, 10), data.subarray(around, around + 10))
    assert.deepEqual(await store.readRecord(sha, 0, data.length), data)
    const chunk = await store.getChunk(sha, 2)
    assert.deepEqual(Buffer.from(chunk.data), Buffer.from(data.subarray(8 * MiB)))
    assert.equal(chunk.sha256, hashOf(data.subarray(8 * MiB)))
    const reader = new RecordReader({ folder })
    try {
      const writer = await store.createRecord()
      await writer.write(bytesOf(2, 5 * MiB))
      assert.equal(reader.bytes(sha), data.length)
      assert.deepEqual(reader.read(sha, 0, data.length), data)
      const target = new Uint8Array(3 * MiB)
      reader.readInto(sha, 3 * MiB, target)
      assert.deepEqual(target, data.subarray(3 * MiB, 6 * MiB))
      const second = await writer.finish()
      assert.equal(addressOfBytes(reader.read(second.sha256, 0, second.bytes)), second.sha256)
    } finally {
      reader.release()
    }
  }))

test('a reader gives the tensors of a record', () =>
  withStore(async (store, folder) => {
    const { header, tensors, bytes } = layoutRecord([
      { name: 'attn_norm', type: 'F32', rows: 1, columns: 4, bytes: 16 },
    ])
    const record = new Uint8Array(bytes)
    record.set(header)
    const sha = await put(store, record)
    const plain = await put(store, bytesOf(3, 100))
    const reader = new RecordReader({ folder })
    try {
      assert.deepEqual(reader.header(sha), tensors)
      assert.throws(() => reader.header(plain), { code: 'bad-file' })
      assert.throws(() => reader.header('ab'.repeat(32)), { code: 'not-found' })
      assert.throws(() => reader.read(sha, bytes - 1, 2), { code: 'bad-value' })
      assert.throws(() => reader.read(sha, -1, 2), { code: 'bad-value' })
      assert.throws(() => reader.read(sha, 0.5, 2), { code: 'bad-value' })
    } finally {
      reader.release()
    }
  }))

test('the same record twice is kept once; a dropped one leaves nothing', () =>
  withStore(async (store) => {
    const data = bytesOf(4, 5 * MiB)
    assert.equal(await put(store, data), await put(store, data, 77_777))
    const writer = await store.createRecord()
    await writer.write(bytesOf(5, 5 * MiB))
    await writer.abort()
    await writer.abort()
    await store.putModel(manifest('m', [addressOfBytes(data)]))
    assert.equal(await store.removeUnused(), 0)
    await assert.rejects(writer.finish(), /finished or dropped/)
  }))

test('a record that was to be another one is dropped', () =>
  withStore(async (store) => {
    const data = bytesOf(17, 5 * MiB)
    const writer = await store.createRecord()
    await writer.write(data)
    const other = refused('bad-file', /does not match its hash/)
    await assert.rejects(writer.finish(addressOfBytes(bytesOf(18, 5 * MiB))), other)
    await writer.abort()
    assert.equal(await store.unusedBytes(), 0)
    const again = await store.createRecord()
    await again.write(data)
    assert.equal((await again.finish(addressOfBytes(data))).sha256, addressOfBytes(data))
    assert.ok((await store.unusedBytes()) >= 5 * MiB)
  }))

test('a transfer resumes with the chunks that are here, and checks each and the whole', () =>
  withFolder(async (folder) => {
    const data = bytesOf(6, 9 * MiB)
    const sha = addressOfBytes(data)
    const part = (i: number) => data.subarray(i * limits.chunkBytes, (i + 1) * limits.chunkBytes)
    const session = async (work: (store: SqliteStore) => Promise<void>) => {
      const store = new SqliteStore(entry, { folder })
      await store.start()
      await work(store)
      await store.close()
    }
    await session(async (store) => {
      assert.deepEqual(await store.openRecord(sha, data.length), {
        sha256: sha,
        bytes: data.length,
        have: [],
      })
      await store.putChunk(sha, 2, part(2), hashOf(part(2)))
      await store.putChunk(sha, 0, part(0), hashOf(part(0)))
      const wrong = store.putChunk(sha, 1, part(1), hashOf(part(0)))
      await assert.rejects(wrong, refused('bad-file', /Chunk 1 of record .* was damaged/))
      const short = store.putChunk(sha, 1, data.subarray(0, 5), hashOf(data.subarray(0, 5)))
      await assert.rejects(short, refused('bad-file', /5 bytes instead of 4194304/))
      for (const index of [3, -1, 0.5, Number.NaN])
        await assert.rejects(store.putChunk(sha, index, part(1), hashOf(part(1))), {
          code: 'bad-value',
        })
      await assert.rejects(store.sealRecord(sha), refused('bad-file', /2 of 3 chunks/))
      assert.equal((await store.hasRecords([sha])).size, 0, 'not before it is sealed')
      await assert.rejects(store.readRecord(sha, 0, 1), { code: 'not-found' })
    })
    await session(async (store) => {
      assert.deepEqual((await store.openRecord(sha, data.length)).have, [0, 2])
      await store.putChunk(sha, 0, part(0), hashOf(part(0)))
      await store.putChunk(sha, 1, part(1), hashOf(part(1)))
      await store.sealRecord(sha)
      await store.sealRecord(sha)
      assert.deepEqual(await store.readRecord(sha, 0, data.length), data)
      assert.deepEqual((await store.openRecord(sha, data.length)).have, [0, 1, 2])
      await assert.rejects(store.openRecord(sha, 5), { code: 'bad-value' })
    })
  }))

test('a record that does not match its address is dropped', () =>
  withStore(async (store) => {
    const data = bytesOf(7, 1_000)
    const sha = addressOfBytes(bytesOf(8, 1_000))
    await store.openRecord(sha, 1_000)
    await store.putChunk(sha, 0, data, hashOf(data))
    await assert.rejects(store.sealRecord(sha), refused('bad-file', /does not match its hash/))
    assert.deepEqual((await store.openRecord(sha, 1_000)).have, [])
    for (const bytes of [0, -1, 1.5, 2 ** 50])
      await assert.rejects(store.openRecord(sha, bytes), { code: 'bad-value' })
    await assert.rejects(store.openRecord("' OR 1", 5), { code: 'bad-value' })
    await assert.rejects(store.getChunk(sha, 0), { code: 'not-found' })
  }))

test('a removed model takes room no longer than it is read', () =>
  withStore(async (store, folder) => {
    const sha = await put(store, bytesOf(16, 5 * MiB))
    await store.putModel(manifest('m', [sha]))
    const reader = new RecordReader({ folder })
    assert.equal(reader.read(sha, 0, 10).length, 10)
    // The store's own reader, too, has it open.
    await store.readRecord(sha, 0, 10)
    await store.removeModel('m')
    const open = () =>
      readdirSync('/proc/self/fd').filter((fd) =>
        linkOf(`/proc/self/fd/${fd}`).includes(`${sha}.sqlite`),
      )
    assert.equal(open().length, 1)
    assert.deepEqual(reader.read(sha, 0, 5 * MiB), bytesOf(16, 5 * MiB))
    reader.release()
    assert.deepEqual(open(), [])
    assert.throws(() => reader.read(sha, 0, 10), { code: 'not-found' })
  }))

test('damage on disk is found when a record is read, and a later import heals it', () =>
  withFolder(async (folder) => {
    const store = new LocalStore({ folder })
    const data = bytesOf(31, 3 * MiB)
    const sha256 = await putRecord(store, data)
    const other = await putRecord(store, bytesOf(32, 1_000))
    const file = join(folder, 'records', `${sha256}.sqlite`)
    const damage = refused('bad-file', /damaged on disk .*: import its model again/)
    const bytes = readFileSync(file)
    const at = bytes.indexOf(Buffer.from(data.subarray(2 * MiB, 2 * MiB + 16)))
    assert.ok(at > 0)
    bytes.writeUInt8((bytes[at] ?? 0) ^ 1, at)
    const header = Buffer.concat([bytes.subarray(0, 100), Buffer.alloc(40_000, 0x5a)])
    const empty = Buffer.alloc(0)
    const foreign = readFileSync(join(folder, 'records', `${other}.sqlite`))
    const cut = bytes.subarray(0, MiB)
    // Where SQLite has the number by which a file of ours is known.
    const unknown = Buffer.from(bytes)
    unknown.writeUInt32BE(7, 68)
    const none = Buffer.from('no database')
    for (const broken of [bytes, cut, header, none, empty, foreign, unknown]) {
      const reader = new RecordReader({ folder })
      writeFileSync(file, broken)
      assert.throws(() => reader.read(sha256, 2 * MiB, 10), damage)
      // It is a record no longer: who looks what is lacking fetches or imports it.
      assert.equal(store.hasRecords([sha256]).size, 0)
      assert.throws(() => reader.read(sha256, 2 * MiB, 10), { code: 'not-found' })
      writeFileSync(file, broken)
      assert.throws(() => store.readRecord(sha256, 2 * MiB, 10), damage)
      // Nothing else suffers.
      assert.deepEqual(reader.read(other, 0, 1_000), bytesOf(32, 1_000))
      reader.release()
      store.readRecord(other, 0, 1)
    }
    assert.equal(await putRecord(store, data), sha256)
    assert.deepEqual(store.readRecord(sha256, 0, data.length), data)
    assert.deepEqual(
      readdirSync(join(folder, 'records')).sort(),
      [`${sha256}.sqlite`, `${other}.sqlite`].sort(),
    )
    store.close()
  }))

test('the next record begins while the last is still on its way', () =>
  withStore(async (store) => {
    const finished: Promise<{ sha256: string }>[] = []
    for (const seed of [31, 32, 33]) {
      const writer = await store.createRecord()
      await writer.write(bytesOf(seed, 26 * MiB + seed))
      finished.push(writer.finish())
    }
    const shas = (await Promise.all(finished)).map(({ sha256 }) => sha256)
    assert.deepEqual(
      shas,
      [31, 32, 33].map((seed) => addressOfBytes(bytesOf(seed, 26 * MiB + seed))),
    )
    assert.equal((await store.hasRecords(shas)).size, 3)
  }))

test('a chunk has the same hash whichever thread makes it', async () => {
  for (const length of [0, 1, 5_000_000]) {
    const data = new Uint8Array(bytesOf(51, length))
    const digests = new Digests()
    for (let i = 0; i < 3; i++) assert.equal(await digests.of(data), hashOf(data))
    assert.equal(digestHere(data), hashOf(data))
    const aside = digestAside(data)
    // As a chunk's memory is: handed on as soon as it is under way.
    data.fill(0)
    assert.equal(await aside, hashOf(bytesOf(51, length)))
  }
})

test('what is no address becomes no path', () =>
  withFolder(async (folder) => {
    const store = new LocalStore({ folder })
    writeFileSync(join(folder, 'x.sqlite'), 'x')
    for (const name of [
      '../x',
      '',
      'A'.repeat(64),
      `${'a'.repeat(64)}\n`,
      `../../${'a'.repeat(64)}`,
    ]) {
      assert.equal(store.hasRecords([name]).size, 0)
      assert.throws(() => store.readRecord(name, 0, 1), { code: 'not-found' })
      assert.throws(() => store.openRecord(name, 1), { code: 'bad-value' })
      assert.throws(() => store.putChunk(name, 0, new Uint8Array(1), ''), { name: 'MdiError' })
      assert.throws(() => store.sealRecord(name), { name: 'MdiError' })
    }
    store.close()
    assert.ok(existsSync(join(folder, 'x.sqlite')))
  }))
