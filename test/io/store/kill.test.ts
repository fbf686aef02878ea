import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { LocalStore } from '../../../services/io/store/operations.ts'
import { limits } from '../../../services/limits.ts'
import { uniform } from '../../../services/model/philox.ts'
import { addressOfBytes, bytesOf, chunksOf, hashOf } from '../bytes.ts'

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
    assert.deepEqual(readdirSync(join(folder, 'records')), [])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a log cut at any byte, as by a power cut, leaves whole chunks only, and the fetch goes on', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mdi-cut-'))
  const from = join(folder, 'from')
  const store = new LocalStore({ folder: from })
  const C = limits.chunkBytes
  const data = bytesOf(1, 2 * C + 1_500_000)
  const chunks = chunksOf(data)
  const sha = addressOfBytes(data)
  const logOf = (name: string) =>
    readdirSync(join(name, 'records')).find((file) => file.endsWith('-wal')) ?? ''
  try {
    store.openRecord(sha, data.length)
    // The log is written back when it is longer than two chunks: the last ones stay in it.
    const put = (to: LocalStore, i: number) => {
      const chunk = chunks[i] as Uint8Array
      to.putChunk(sha, i, chunk, hashOf(chunk))
    }
    for (const i of [2, 0, 1]) put(store, i)
    const log = statSync(join(from, 'records', logOf(from))).size
    assert.ok(log > C, 'the log is not written back yet')
    const kept = new Set<number>()
    for (let i = 0; i < 12; i++) {
      const to = join(folder, `to${i}`)
      cpSync(from, to, { recursive: true })
      const wal = join(to, 'records', logOf(to))
      rmSync(wal.replace(/-wal$/, '-shm'))
      truncateSync(wal, Math.floor(uniform(9, i) * log))
      const copy = new LocalStore({ folder: to })
      const { have } = copy.openRecord(sha, data.length)
      // In order: a later chunk never without the earlier ones.
      assert.deepEqual(have, [2, 0, 1].slice(0, have.length).sort())
      kept.add(have.length)
      for (const i of [0, 1, 2]) if (!have.includes(i)) put(copy, i)
      copy.sealRecord(sha)
      assert.deepEqual(copy.readRecord(sha, 0, data.length), data)
      copy.close()
      rmSync(to, { recursive: true })
    }
    assert.ok(kept.size > 1, `the cuts were at different places: ${[...kept]}`)
  } finally {
    store.close()
    rmSync(folder, { recursive: true })
  }
})

test('a fetched record whose file is damaged is fetched anew', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mdi-part-'))
  const data = bytesOf(1, 2_000_000)
  const sha = addressOfBytes(data)
  const part = join(folder, 'records', `${sha}.part`)
  try {
    const first = new LocalStore({ folder })
    first.openRecord(sha, data.length)
    first.putChunk(sha, 0, data, hashOf(data))
    first.close()
    const whole = readFileSync(part)
    for (const broken of [
      Buffer.from('no database at all, whatever its name says'.repeat(50)),
      Buffer.alloc(0),
      Buffer.concat([whole.subarray(0, 100), Buffer.alloc(70_000, 0x5a)]),
      Buffer.concat([whole.subarray(0, 68), Buffer.alloc(4, 7), whole.subarray(72)]),
    ]) {
      writeFileSync(part, broken)
      const store = new LocalStore({ folder })
      assert.deepEqual(store.openRecord(sha, data.length).have, [])
      store.close()
    }
    // Of another length, too: what was fetched was another's.
    writeFileSync(part, whole)
    const store = new LocalStore({ folder })
    assert.deepEqual(store.openRecord(sha, data.length - 1).have, [])
    assert.deepEqual(store.openRecord(sha, data.length).have, [])
    store.putChunk(sha, 0, data, hashOf(data))
    store.sealRecord(sha)
    assert.deepEqual(store.readRecord(sha, 0, data.length), data)
    store.close()
  } finally {
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
