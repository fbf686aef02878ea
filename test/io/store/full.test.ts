/** A disk that is really full: a small file system in memory, where one can be mounted. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { LocalStore } from '../../../services/io/store/operations.ts'
import { limits } from '../../../services/limits.ts'
import type { Manifest } from '../../../services/model/spec.ts'
import { addressOfBytes, bytesOf, hashOf, putRecord, sumsOf } from '../bytes.ts'

const disk = mkdtempSync(join(tmpdir(), 'mdi-full-'))
const folder = join(disk, 'store')
const mounted =
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=80m', 'none', disk], { stdio: 'ignore' })
    .status === 0
const skip = mounted ? false : 'a file system can be mounted by root only'
after(() => {
  if (mounted) spawnSync('umount', ['-l', disk])
  rmSync(disk, { recursive: true })
})
const free = (): number => {
  const { bavail, bsize } = statfsSync(disk)
  return bavail * bsize
}
/** Fills the disk to the last byte. */
const fill = (): void => {
  try {
    for (;;) writeFileSync(join(disk, 'fill'), Buffer.alloc(Math.max(1, free())), { flag: 'a' })
  } catch (error) {
    assert.equal((error as { code?: unknown }).code, 'ENOSPC')
  }
}
const put = (store: LocalStore, seed: number, bytes: number): Promise<string> =>
  putRecord(store, bytesOf(seed, bytes))
const full = { name: 'MdiError', code: 'disk-full' }
let sealed = ''

before(async () => {
  if (!mounted) return
  const store = new LocalStore({ folder })
  sealed = await put(store, 1, 3_000_000)
  store.close()
})

test('an import that fills the disk is dropped, and its room comes back', { skip }, () => {
  const store = new LocalStore({ folder })
  const room = free()
  for (let round = 0; round < 2; round++) {
    const handle = store.beginImport()
    assert.throws(() => {
      for (let seed = 2; ; seed++) {
        const chunk = bytesOf(seed, limits.chunkBytes)
        store.writeImport(handle, chunk, sumsOf(chunk))
      }
    }, full)
    store.abortImport(handle)
    assert.ok(free() > room - 1_000_000, `${free()} of ${room} bytes are free`)
  }
  assert.equal(store.readRecord(sealed, 0, 3_000_000).length, 3_000_000)
  store.close()
})

test('on a disk without a byte left a model can be removed', { skip }, async () => {
  const store = new LocalStore({ folder })
  const other = await put(store, 9, 9_000_000)
  store.putModel({ name: 'm', records: [{ sha256: other }] } as unknown as Manifest)
  fill()
  await assert.rejects(put(store, 10, 9_000_000), full)
  assert.ok(store.removeModel('m') >= 9_000_000)
  assert.ok(free() >= 9_000_000)
  store.close()
})

test('a fetch that meets a full disk at any moment goes on when there is room', { skip }, () => {
  const data = bytesOf(77, 200_000)
  const sha = addressOfBytes(data)
  let refusals = 0
  for (let kept = 0; kept <= 400_000; kept += 8_192) {
    rmSync(join(disk, 'fill'), { force: true })
    const store = new LocalStore({ folder })
    const room = Math.max(0, free() - kept)
    try {
      writeFileSync(join(disk, 'fill'), Buffer.alloc(room))
      store.openRecord(sha, data.length)
      store.putChunk(sha, 0, data, hashOf(data))
      store.sealRecord(sha)
    } catch (error) {
      assert.equal((error as { code?: unknown }).code, 'disk-full')
      refusals += 1
      rmSync(join(disk, 'fill'))
      if (store.openRecord(sha, data.length).have.length === 0)
        store.putChunk(sha, 0, data, hashOf(data))
      store.sealRecord(sha)
    }
    assert.deepEqual(store.readRecord(sha, 0, data.length), data, `${kept} bytes were free`)
    store.removeUnused([sealed])
    store.close()
  }
  assert.ok(refusals > 10, `${refusals} refusals`)
})

test('on a disk without a byte left what must survive a restart is kept', { skip }, () => {
  rmSync(join(disk, 'fill'), { force: true })
  const store = new LocalStore({ folder })
  fill()
  const long = 'x'.repeat(500_000)
  for (const key of ['plan', 'requests', 'plan']) store.setConfig(key, `${key} ${long}`)
  store.close()
  const again = new LocalStore({ folder })
  assert.equal(again.getConfig('plan'), `plan ${long}`)
  // When the reserve is used up too, it is said.
  fill()
  assert.throws(() => {
    for (let i = 0; ; i++) again.setConfig(`key ${i}`, long)
  }, full)
  again.close()
})

test('on a disk without a byte left a store opens and reads', { skip }, () => {
  rmSync(join(disk, 'fill'), { force: true })
  new LocalStore({ folder }).close()
  fill()
  const store = new LocalStore({ folder })
  assert.equal(store.readRecord(sealed, 0, 3_000_000).length, 3_000_000)
  store.close()
})
