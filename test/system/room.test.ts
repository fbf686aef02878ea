/** A small disk on which two models have room, and the engine's files of one of them. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { MdiError } from '../../services/errors.ts'
import { dropRuntimeFiles, withRoom } from '../../services/lifecycle/runtimefiles.ts'
import type { Manifest } from '../../services/model/spec.ts'
import { randomModel } from '../fakes/model.ts'
import { buildBundle, runMdi } from '../harness/cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'mdi-room-'))
const disk = join(folder, 'disk')
const data = join(disk, 'data')
const entry = join(folder, 'mdi', 'mdi.cjs')
mkdirSync(disk)
const mounted =
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=120m', 'none', disk], { stdio: 'ignore' })
    .status === 0
const skip = mounted ? false : 'a file system can be mounted by root only'

before(async () => {
  buildBundle(join(folder, 'mdi'))
  mkdirSync(data, { recursive: true })
  const shape = { hidden: 512, heads: 8, headDim: 64, feedForward: 1_536, layers: 8 }
  for (const seed of [1, 2])
    writeFileSync(join(folder, `m${seed}.gguf`), await randomModel(shape, { type: 'Q8_0', seed }))
})
after(() => {
  if (mounted) spawnSync('umount', ['-l', disk])
  rmSync(folder, { recursive: true })
})

const runtime = (): string[] =>
  readdirSync(join(data, 'runtime')).filter((file) => file.endsWith('.bin'))
const speak = (model: string) =>
  runMdi({ entry, data }, 'generate', '--model', model, '--max-tokens', '2', '--raw', 'tea')

test('a model that finds the disk full takes the room of another one’s prepared files', {
  skip,
}, async () => {
  for (const name of ['m1', 'm2']) {
    const ran = await runMdi({ entry, data }, 'import', join(folder, `${name}.gguf`))
    assert.equal(ran.code, 0, ran.stderr)
  }
  const spoken = await speak('m1')
  assert.equal(spoken.code, 0, spoken.stderr)
  const first = runtime()
  const { bavail, bsize } = statfsSync(disk)
  writeFileSync(join(disk, 'fill'), Buffer.alloc(Math.max(0, bavail * bsize - 4_000_000)))
  for (const name of ['m2', 'm1']) {
    const { code, stderr } = await speak(name)
    assert.equal(code, 0, stderr)
    assert.equal(runtime().length, first.length, 'those of one model')
  }
  assert.deepEqual(runtime(), first)
})

test('other errors, and a disk that has nothing to give up, are told as they are', async () => {
  const place = join(folder, 'place')
  mkdirSync(join(place, 'runtime'), { recursive: true })
  const sha = 'a'.repeat(64)
  const manifest = { records: [{ sha256: sha }] } as unknown as Manifest
  const fails = (code: 'disk-full' | 'bad-file') => {
    let times = 0
    const work = async () => {
      times += 1
      throw new MdiError(code, 'no')
    }
    const freed: number[] = []
    return withRoom(
      place,
      () => manifest,
      (n) => freed.push(n),
      work,
    ).then(
      () => assert.fail(),
      (error) => ({ code: error.code, times, freed }),
    )
  }
  writeFileSync(join(place, 'runtime', `${sha}-q8.bin`), 'own')
  writeFileSync(join(place, 'runtime', 'forms-exact.json'), '{}')
  assert.deepEqual(await fails('disk-full'), { code: 'disk-full', times: 1, freed: [] })
  writeFileSync(join(place, 'runtime', `${'b'.repeat(64)}-q8split.bin`), 'other')
  assert.deepEqual(await fails('bad-file'), { code: 'bad-file', times: 1, freed: [] })
  assert.deepEqual(await fails('disk-full'), { code: 'disk-full', times: 2, freed: [5] })
  assert.equal(await dropRuntimeFiles(join(folder, 'none'), () => new Set()), 0)
  assert.equal(await dropRuntimeFiles(place, () => new Set()), 3)
  assert.deepEqual(readdirSync(join(place, 'runtime')), ['forms-exact.json'])
})
