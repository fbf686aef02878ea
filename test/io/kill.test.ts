import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { LocalStore } from '../../services/io/store.ts'
import { uniform } from '../../services/model/philox.ts'
import { addressOfBytes, bytesOf, putRecord } from './bytes.ts'

const importer = fileURLToPath(new URL('./importer.ts', import.meta.url))

/** What the killed processes had confirmed. */
type Told = { sealed: Set<string>; models: Set<string>; last: number }

/** Runs the importer until its `lines`-th line and kills it at once. */
const runAndKill = async (folder: string, lines: number, told: Told): Promise<void> => {
  const child = spawn(process.execPath, [importer, folder, String(told.last + 1)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let seen = 0
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, name = '', more = ''] = line.split(' ')
    if (word === 'sealed') told.sealed.add(name)
    if (word === 'model') {
      told.models.add(name)
      told.last = Number(more)
    }
    // The removal follows: whether it has happened is not known until it is told.
    if (word === 'model' && told.last % 3 === 2) told.models.delete(name)
    if (word === 'removed') told.sealed.delete(more)
    if (++seen === lines) child.kill('SIGKILL')
  }
  if (child.signalCode === null && child.exitCode === null) await once(child, 'exit')
  assert.equal(child.signalCode, 'SIGKILL')
}

/** Opens the store and compares it with what was told. */
const check = (folder: string, told: Told): void => {
  const store = new LocalStore({ folder })
  try {
    const here = store.hasRecords([...told.sealed])
    // The last one sealed may belong to a model whose removal was not told any more.
    const lost = [...told.sealed].filter((sha) => !here.has(sha))
    assert.ok(lost.length <= 1, `${lost.length} records are lost`)
    if (told.last % 3 !== 2) assert.deepEqual(lost, [])
    for (const sha of lost) told.sealed.delete(sha)
    for (const sha of here) {
      const { data } = store.getChunk(sha, 0)
      assert.equal(data.length, 4_194_304)
    }
    const models = new Set(store.listModels().map((m) => m.name))
    for (const name of told.models) assert.ok(models.has(name), `${name} is lost`)
    assert.ok(Number(store.getConfig('last') ?? -1) >= told.last)
  } finally {
    store.close()
  }
}

test('a process killed at any moment leaves a store that opens and goes on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mdi-kill-'))
  const told: Told = { sealed: new Set(), models: new Set(), last: -1 }
  try {
    for (let round = 0; round < 6; round++) {
      const lines = 1 + Math.floor(uniform(2_026, round) * 40)
      await runAndKill(folder, lines, told)
      check(folder, told)
    }
    assert.ok(told.sealed.size > 3, 'the test has imported something')
    // Nothing of what was under way is left once it has been opened again.
    const store = new LocalStore({ folder })
    for (const { name } of store.listModels()) store.removeModel(name)
    store.removeUnused([])
    store.close()
    assert.ok(statSync(join(folder, 'models.sqlite')).size < 1_000_000)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a log cut at any byte, as by a power cut, leaves whole records only', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mdi-cut-'))
  const from = join(folder, 'from')
  const store = new LocalStore({ folder: from })
  try {
    const shas = [1, 2, 3].map((seed) => putRecord(store, bytesOf(seed, 1_500_000)))
    const log = statSync(join(from, 'models.sqlite-wal')).size
    assert.ok(log > 4_000_000, 'the log is not written back yet')
    const kept: number[] = []
    for (let i = 0; i < 12; i++) {
      const to = join(folder, `to${i}`)
      cpSync(from, to, { recursive: true })
      rmSync(join(to, 'models.sqlite-shm'))
      truncateSync(join(to, 'models.sqlite-wal'), Math.floor(uniform(9, i) * log))
      const copy = new LocalStore({ folder: to })
      const here = copy.hasRecords(shas)
      for (const sha of here) assert.equal(addressOfBytes(copy.readRecord(sha, 0, 1_500_000)), sha)
      // In order: a later record never without the earlier ones.
      assert.deepEqual([...here], shas.slice(0, here.size))
      kept.push(here.size)
      copy.close()
      rmSync(to, { recursive: true })
    }
    assert.ok(new Set(kept).size > 2, `the cuts were at different places: ${kept}`)
  } finally {
    store.close()
    rmSync(folder, { recursive: true })
  }
})

test('the lock of a killed process is gone, that of a living one names it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mdi-lock-'))
  const child = spawn(process.execPath, [importer, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    await once(child.stdout, 'data')
    assert.throws(() => new LocalStore({ folder }), {
      code: 'store',
      message: `The store in ${folder} is in use by process ${child.pid}: stop it, or use another data folder.`,
    })
    const reading = new LocalStore({ folder, readOnly: true })
    reading.listModels()
    reading.close()
    child.kill('SIGKILL')
    await once(child, 'exit')
    new LocalStore({ folder }).close()
  } finally {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true })
  }
})
