/** What is said of a model's memory, against what a process that answers takes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { buildBundle, finished, runMdi, startMdi } from '../harness/cli.ts'
import { realModel } from '../harness/shared.ts'

const folder = mkdtempSync(join(tmpdir(), 'mdi-memory-'))
const data = join(folder, 'data')
const mdi = { data, entry: join(folder, 'mdi', 'mdi.cjs') }
after(() => rmSync(folder, { recursive: true }))

const real = realModel()
const skip =
  process.platform !== 'linux' ? 'needs /proc' : real ? false : 'no real model is at hand'

/** Anonymous memory of a process: what the system cannot take back. */
const anonymous = (pid: number): number =>
  1024 *
  Number(/^Anonymous:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1])

test('a real model takes about what is said, and less is refused', { skip }, async () => {
  mkdirSync(data)
  buildBundle(join(folder, 'mdi'))
  const imported = await runMdi(mdi, 'import', real as string, '--name', 'real')
  assert.equal(imported.code, 0, imported.stderr)
  const prompt = 'the quick brown fox jumps over a lazy dog '.repeat(20)
  const words = ['generate', '--raw', '--context', '256', '--max-tokens', '20', '--quiet', prompt]
  // The first time a model is loaded its runtime files are made.
  assert.equal((await runMdi(mdi, ...words)).code, 0)
  const child = startMdi(mdi, words)
  const ran = finished(child)
  await once(child.stdout as NonNullable<typeof child.stdout>, 'data')
  const taken = anonymous(child.pid as number)
  assert.equal((await ran).code, 0)
  const refused = await runMdi(mdi, ...words, '--memory', '150M')
  assert.equal(refused.code, 1)
  const said = Number(/needs (\d+) MB here/.exec(refused.stderr)?.[1]) * 1e6
  assert.ok(Math.abs(said / taken - 1) < 0.25, `${said / 1e6} MB said, ${taken / 1e6} MB taken`)
})
