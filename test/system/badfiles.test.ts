/** Imports that cannot succeed: one sentence, a status, and nothing left half-written. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { hostileFiles } from '../fakes/hostile.ts'
import { randomModel } from '../fakes/model.ts'
import { buildBundle, finished, runMdi, runMdiIn, startMdi } from '../harness/cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'mdi-bad-'))
const at = (name: string): string => join(folder, name)
const entry = join(folder, 'mdi', 'mdi.cjs')
const dataFolder = (name: string): string => {
  mkdirSync(at(name), { recursive: true })
  return at(name)
}
after(() => rmSync(folder, { recursive: true }))

/** Some megabytes, so that an import takes a moment. */
const large = { hidden: 512, heads: 8, headDim: 64, feedForward: 1_536, layers: 8 }

before(async () => {
  buildBundle(join(folder, 'mdi'))
  writeFileSync(at('good.gguf'), await randomModel({}, { type: 'Q4_0' }))
  writeFileSync(at('large.gguf'), await randomModel(large, { type: 'Q8_0' }))
})

const models = async (data: string): Promise<string[]> => {
  const ran = await runMdi({ entry, data }, 'models', '--json')
  assert.equal(ran.code, 0, ran.stderr)
  return (JSON.parse(ran.stdout) as { models: { name: string }[] }).models.map((m) => m.name)
}

const isRefused = (
  ran: { code: number | null; stdout: string; stderr: string },
  sentence: RegExp,
): void => {
  assert.equal(ran.code, 1, ran.stderr)
  assert.match(ran.stderr, sentence)
  assert.match(ran.stderr, /^mdi: [^\n]+\.\n$/, 'one sentence')
  assert.equal(ran.stdout, '')
}

test('damaged and hostile files are refused by name, and a good one is then taken', async (t) => {
  const data = dataFolder('hostile')
  for (const [name, { file, sentence }] of Object.entries(await hostileFiles())) {
    await t.test(name, async () => {
      writeFileSync(at('bad.gguf'), file)
      isRefused(await runMdi({ entry, data }, 'import', at('bad.gguf')), sentence)
    })
  }
  assert.deepEqual(await models(data), [])
  assert.equal((await runMdi({ entry, data }, 'import', at('good.gguf'))).code, 0)
  assert.deepEqual(await models(data), ['good'])
})

/** How a small disk of one's own can be had here. */
const smallDisk = (path: string): string[] | undefined => {
  const mount = `mount -t tmpfs -o size=5m tmpfs '${path}' && exec "$@"`
  const ways = [
    ['unshare', '-m', 'sh', '-c', mount, 'sh'],
    ['unshare', '-rm', 'sh', '-c', mount, 'sh'],
  ]
  return ways.find(([file, ...words]) => spawnSync(file as string, [...words, 'true']).status === 0)
}
const disk = dataFolder('disk')
const mounted = smallDisk(disk)

test('a full disk ends an import with one sentence', {
  skip: mounted ? false : 'no mounts of one’s own may be made here',
}, async () => {
  // Five megabytes of disk, and a model of some twenty.
  const ran = await runMdiIn({ entry, data: disk }, mounted as string[], 'import', at('large.gguf'))
  isRefused(ran, /no room left|disk .*full|are free/i)
})

/** Starts an import and kills it when some layers are in and others are not. */
const killImport = async (data: string): Promise<void> => {
  const records = join(data, 'records')
  mkdirSync(records, { recursive: true })
  const watcher = watch(records)
  const child = startMdi({ entry, data }, ['import', at('large.gguf')])
  const ran = finished(child)
  for await (const _ of on(watcher)) {
    const sealed = readdirSync(records).filter((file) => file.endsWith('.sqlite'))
    if (sealed.length > 1 || child.exitCode !== null) break
  }
  child.kill('SIGKILL')
  assert.equal((await ran).signal, 'SIGKILL', 'killed before it was done')
}

test('what a broken-off import left is told, and dropped when asked', async () => {
  const data = dataFolder('left')
  await killImport(data)
  const told = await runMdi({ entry, data }, 'models')
  const left = /broken off; what it left takes [\d.]+ [kM]B: .* `mdi remove --unfinished`/
  assert.match(told.stdout, left)
  const dropped = await runMdi({ entry, data }, 'remove', '--unfinished')
  assert.equal(dropped.code, 0, dropped.stderr)
  assert.match(dropped.stdout, /^Dropped what was unfinished; [\d.]+ [kM]B are free again\.\n$/)
  assert.deepEqual(readdirSync(join(data, 'records')), [])
  assert.doesNotMatch((await runMdi({ entry, data }, 'models')).stdout, /broken off/)
  const again = await runMdi({ entry, data }, 'remove', '--unfinished')
  assert.equal(again.stdout, 'Nothing is unfinished.\n')
  const neither = await runMdi({ entry, data }, 'remove')
  assert.equal(neither.code, 2)
  assert.match(neither.stderr, /Say which model, or --unfinished/)
  // The whole import is as the first one would have been.
  const whole = await runMdi({ entry, data }, 'import', at('large.gguf'))
  assert.equal(whole.code, 0, whole.stderr)
  assert.doesNotMatch((await runMdi({ entry, data }, 'models')).stdout, /broken off/)
})

test('an import that is killed leaves a store that opens, and goes on', async () => {
  const data = dataFolder('killed')
  await killImport(data)
  assert.deepEqual(await models(data), [], 'a half import is no model')
  const again = await runMdi({ entry, data }, 'import', at('large.gguf'))
  assert.equal(again.code, 0, again.stderr)
  assert.match(again.stdout, /\n\d+ records were there already\.\n$/)
  // What was put together from two halves speaks as what was imported at once.
  const whole = dataFolder('whole')
  assert.equal((await runMdi({ entry, data: whole }, 'import', at('large.gguf'))).code, 0)
  const words = [
    'generate',
    '--greedy',
    '--arithmetic',
    'exact',
    '--max-tokens',
    '8',
    '--raw',
    'tea',
  ]
  const [a, b] = [
    await runMdi({ entry, data }, ...words),
    await runMdi({ entry, data: whole }, ...words),
  ]
  assert.equal(a.code, 0, a.stderr)
  assert.equal(a.stdout, b.stdout)
})

/** Changes of a folder as they come. */
async function* on(watcher: ReturnType<typeof watch>): AsyncGenerator<void> {
  try {
    for (;;) {
      await once(watcher, 'change')
      yield
    }
  } finally {
    watcher.close()
  }
}
