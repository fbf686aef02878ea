/** The store: models, settings, how it is opened and closed. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { SqliteStore } from '../../../services/io/store/client.ts'
import { LocalStore } from '../../../services/io/store/operations.ts'
import type { Manifest } from '../../../services/model/spec.ts'
import { addressOfBytes, bytesOf } from '../bytes.ts'
import { entry, MiB, put, refused, sizeOf, withFolder, withStore } from './stores.ts'

const manifest = (name: string, shas: string[]): Manifest =>
  ({
    name,
    spec: { family: 'llama', layers: shas.length },
    records: shas.map((sha256, layer) => ({ kind: 'layer', layer, sha256, bytes: 1 })),
  }) as unknown as Manifest

test('models share records; a removed one gives its room back to the disk', () =>
  withStore(async (store, folder) => {
    const [a, b, c] = [
      await put(store, bytesOf(11, 6 * MiB)),
      await put(store, bytesOf(12, 8 * MiB)),
      await put(store, bytesOf(13, 3 * MiB)),
    ]
    await store.putModel(manifest('one', [a, b]))
    await store.putModel(manifest('two', [b, c, 'ee'.repeat(32)]))
    assert.deepEqual(
      (await store.listModels()).map((m) => m.name),
      ['one', 'two'],
    )
    const before = sizeOf(folder)
    const first = await store.removeModel('one')
    assert.ok(first >= 6 * MiB && first < 7 * MiB, `${first} bytes`)
    assert.ok(sizeOf(folder) <= before - 6 * MiB, 'they are back')
    assert.deepEqual(await store.hasRecords([a, b, c]), new Set([b, c]))
    assert.equal(addressOfBytes(await store.readRecord(b, 0, 8 * MiB)), b)
    // A model under a name that is taken replaces the old one.
    await store.putModel(manifest('two', [c]))
    assert.deepEqual(await store.hasRecords([b, c]), new Set([c]))
    await store.removeModel('two')
    assert.ok(sizeOf(folder) < MiB, `${sizeOf(folder)} bytes are left`)
    assert.equal(await store.getModel('two'), undefined)
    const gone = refused('not-found', /^There is no model named two in the store\.$/)
    await assert.rejects(store.removeModel('two'), gone)
  }))

test('records of a broken-off import are removed when asked, wanted ones kept', () =>
  withStore(async (store) => {
    const a = await put(store, bytesOf(14, 2 * MiB))
    const b = await put(store, bytesOf(15, 2 * MiB))
    assert.ok((await store.removeUnused([b])) >= 2 * MiB)
    assert.deepEqual(await store.hasRecords([a, b]), new Set([b]))
  }))

test('settings survive and are replaced', () =>
  withFolder(async (folder) => {
    for (const value of ['first', 'zweiter — 値']) {
      const store = new SqliteStore(entry, { folder })
      await store.start()
      assert.equal(await store.getConfig('epoch'), value === 'first' ? undefined : 'first')
      await store.setConfig('epoch', value)
      assert.equal(await store.getConfig('epoch'), value)
      await store.close()
    }
    const db = new Database(join(folder, 'config.sqlite'))
    assert.equal(db.pragma('user_version', { simple: true }), 1)
    db.close()
  }))

test('a full store says so, and takes the next record when there is room', () =>
  withStore(
    async (store, folder) => {
      const kept = await put(store, bytesOf(21, 5 * MiB))
      const writer = await store.createRecord()
      const full = refused('disk-full', /^There is no room left for .*records: free some/)
      await assert.rejects(writer.write(bytesOf(22, 48 * MiB)), full)
      await writer.abort()
      // All of its chunks are on their way before the first is answered; the next record's, too.
      const ahead = await store.createRecord()
      await ahead.write(bytesOf(25, 16 * MiB))
      const finished = ahead.finish()
      const next = await store.createRecord()
      await next.write(bytesOf(26, 1_000))
      await assert.rejects(finished, full)
      await ahead.abort()
      await next.abort()
      await store.putModel(manifest('m', [kept]))
      assert.equal(addressOfBytes(await store.readRecord(kept, 0, 5 * MiB)), kept)
      await put(store, bytesOf(23, 5 * MiB))
      assert.ok(sizeOf(join(folder, 'records')) <= 14 * MiB)
    },
    { maxBytes: 14 * MiB },
  ))

test('a second opening is refused with the process number; reading only is let in', () =>
  withStore(async (store, folder) => {
    const sha = await put(store, bytesOf(24, 1_000))
    await store.putModel(manifest('m', [sha]))
    const second = new SqliteStore(entry, { folder })
    await assert.rejects(
      second.start(),
      refused('store', new RegExp(`is in use by this process \\(${process.pid}\\): stop it`)),
    )
    await second.close()
    const reading = new SqliteStore(entry, { folder, readOnly: true })
    await reading.start()
    assert.deepEqual(
      (await reading.listModels()).map((m) => m.name),
      ['m'],
    )
    assert.equal((await reading.readRecord(sha, 0, 10)).length, 10)
    for (const change of [
      () => reading.removeModel('m'),
      () => reading.setConfig('a', 'b'),
      async () => (await reading.createRecord()).finish(),
    ])
      await assert.rejects(change(), refused('store', /open for reading only/))
    await reading.close()
  }))

test('an opened store without a folder, of another kind, newer or damaged: one sentence each', () =>
  withFolder(async (folder) => {
    const options = { folder }
    const file = join(folder, 'models.sqlite')
    assert.throws(
      () => new LocalStore({ folder: join(folder, 'none'), readOnly: true }),
      refused('not-found', /^There is no store in .*none yet: import a model first\.$/),
    )
    writeFileSync(join(folder, 'plain'), 'x')
    assert.throws(
      () => new LocalStore({ folder: join(folder, 'plain', 'sub') }),
      refused('store', /cannot be opened for writing \(ENOTDIR\)/),
    )
    const other = new Database(file)
    other.exec('CREATE TABLE t (x)')
    other.close()
    assert.throws(() => new LocalStore(options), refused('store', /is not a store of mdi/))
    rmSync(file)
    new LocalStore(options).close()
    const newer = new Database(file)
    newer.pragma('user_version = 99')
    newer.close()
    assert.throws(() => new LocalStore(options), refused('store', /written by a newer version/))
    writeFileSync(file, 'This is no database at all, whatever its name says.'.repeat(100))
    assert.throws(() => new LocalStore(options), refused('store', /models in .* are damaged/))
    // Nothing stays locked after a refusal.
    rmSync(file)
    new LocalStore(options).close()
  }))

test('calls before the start and after the end are refused', () =>
  withFolder(async (folder) => {
    const store = new SqliteStore(entry, { folder })
    await assert.rejects(store.listModels(), /has not been started/)
    await store.start()
    const last = store.setConfig('a', 'b')
    await store.close()
    await last
    await store.close()
    await assert.rejects(store.listModels(), refused('store', /closed/))
  }))

test('a store whose records have other names is refused, its settings are kept', () =>
  withFolder(async (folder) => {
    const store = new LocalStore({ folder })
    store.setConfig('epoch', '7')
    store.close()
    const db = new Database(join(folder, 'models.sqlite'))
    db.pragma('user_version = 2')
    db.close()
    const earlier = refused('store', /was written by an earlier version of mdi.* import them again/)
    assert.throws(() => new LocalStore({ folder }), earlier)
    rmSync(join(folder, 'models.sqlite'))
    const again = new LocalStore({ folder })
    assert.equal(again.getConfig('epoch'), '7')
    again.close()
  }))

test('a store that is closed while a record goes to the disk keeps it', () =>
  withFolder(async (folder) => {
    const store = new SqliteStore(entry, { folder })
    await store.start()
    const writer = await store.createRecord()
    await writer.write(bytesOf(41, 9 * MiB))
    const finished = writer.finish()
    await new Promise((resolve) => setImmediate(resolve))
    const [{ sha256 }] = await Promise.all([finished, store.close()])
    const again = new LocalStore({ folder, readOnly: true })
    assert.deepEqual(again.readRecord(sha256, 0, 9 * MiB), bytesOf(41, 9 * MiB))
    again.close()
  }))
