/** The bundle, copied to an empty folder without `node_modules`, is all that is needed. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { version } from '../../services/version.ts'
import { randomModel } from '../fakes/model.ts'
import { buildBundle, runMdi } from '../harness/cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'mdi-bundle-'))
const data = join(folder, 'data')
const bundle = { data, entry: join(folder, 'out', 'mdi.cjs') }
after(() => rmSync(folder, { recursive: true }))

before(() => {
  mkdirSync(data)
  assert.match(buildBundle(join(folder, 'out')).said, /MB {2}mdi\.cjs\n/)
})

test('it knows its version', async () => {
  const ran = await runMdi(bundle, '--version')
  assert.equal(ran.stdout, `${version}\n`)
  assert.equal(ran.stderr, '')
})

test('it imports a model and speaks, with its workers, as the sources do', async () => {
  const file = join(folder, 'tiny.gguf')
  writeFileSync(file, await randomModel({}, { type: 'Q4_1' }))
  const imported = await runMdi(bundle, 'import', file)
  assert.equal(imported.code, 0, imported.stderr)
  const words = ['generate', '--greedy', '--arithmetic', 'exact', '--max-tokens', '8', 'tea', 'oil']
  const spoken = await runMdi(bundle, ...words)
  assert.equal(spoken.code, 0, spoken.stderr)
  assert.match(spoken.stdout, /^\[1\] /m)
  assert.match(spoken.stdout, /^\[2\] /m)
  const sources = await runMdi({ data }, ...words)
  const lines = (text: string) => text.split('\n').sort()
  assert.deepEqual(lines(spoken.stdout), lines(sources.stdout))
})

test('what computes reports nothing to anyone: it leaves no files of its own', async () => {
  const home = join(folder, 'home')
  mkdirSync(home)
  const quiet = { ...bundle, env: { HOME: home, TMPDIR: home } }
  const ran = await runMdi(quiet, 'generate', '--raw', '--max-tokens', '4', 'tea')
  assert.equal(ran.code, 0, ran.stderr)
  assert.deepEqual(readdirSync(home), [])
})

test('without the setting of the C library it starts itself anew with it', async () => {
  const ran = await runMdi({ ...bundle, env: { MALLOC_MMAP_THRESHOLD_: '' } }, '--version')
  assert.equal(ran.stdout, `${version}\n`)
  assert.equal(ran.stderr, '')
})

test('the addons are those of their architectures', () => {
  const machines = { x64: 0x3e, arm64: 0xb7 }
  for (const [arch, machine] of Object.entries(machines)) {
    const addons = join(folder, 'out', 'addons', `linux-${arch}`)
    assert.deepEqual(readdirSync(addons).sort(), [
      'better_sqlite3.node',
      'libonnxruntime.so.1',
      'onnxruntime_binding.node',
      'serialport.node',
    ])
    for (const name of readdirSync(addons)) {
      const file = readFileSync(join(addons, name))
      assert.equal(file.subarray(0, 4).toString('latin1'), '\x7fELF', name)
      assert.equal(file.readUInt16LE(18), machine, name)
    }
  }
})

test('it names no folder of the machine on which it was made', () => {
  const text = readFileSync(bundle.entry, 'utf8')
  assert.ok(!text.includes(fileURLToPath(new URL('../..', import.meta.url))))
})

test('the licences of what is in it come with it', () => {
  const text = readFileSync(join(folder, 'out', 'LICENSES'), 'utf8')
  for (const name of ['mdi-llm', 'commander 15', 'better-sqlite3 13', 'zod 4'])
    assert.match(text, new RegExp(`^${name}`, 'm'))
})
