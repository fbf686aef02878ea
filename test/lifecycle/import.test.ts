/** Importing and exporting with a real store: files, folders, exported models. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, beforeEach, test } from 'node:test'
import { MdiError } from '../../services/errors.ts'
import { openFile } from '../../services/io/file.ts'
import { SqliteStore } from '../../services/io/store/client.ts'
import { exportModel } from '../../services/io/store/exported.ts'
import { importPath } from '../../services/lifecycle/import.ts'
import { pull } from '../../services/lifecycle/pull.ts'
import { EXPORT_FILE } from '../../services/model/exported.ts'
import { readGguf } from '../../services/model/gguf.ts'
import { tensorTypes } from '../../services/model/quants.ts'
import { parseSource } from '../../services/model/sources.ts'
import type { RandomOptions } from '../../services/model/synthetic.ts'
import { randomModel } from '../fakes/model.ts'
import { modelFolder } from '../fakes/modelfolder.ts'

const root = mkdtempSync(join(tmpdir(), 'mdi-import-'))
const entry = new URL('../io/entry.ts', import.meta.url)
let data: string
let store: SqliteStore
let count = 0

const openStore = async (folder: string): Promise<SqliteStore> => {
  const opened = new SqliteStore(entry, { folder })
  await opened.start()
  return opened
}

beforeEach(async () => {
  data = join(root, `data${count++}`)
  store = await openStore(data)
})
afterEach(async () => {
  await store.close()
})
after(() => rmSync(root, { recursive: true }))

const model = (options: RandomOptions = {}) => randomModel({}, options).then(Buffer.from)

/** By way of `mdi pull PATH`. */
const get = (path: string) => pull(store, data, { sources: [parseSource(path)] }, { hub: {} })

test('a folder in safetensors imports from the disk', async () => {
  const folder = join(root, 'stick', 'tiny')
  mkdirSync(folder, { recursive: true })
  for (const [name, bytes] of Object.entries(modelFolder()))
    writeFileSync(join(folder, name), bytes)
  assert.equal((await importPath(folder, store)).manifest.name, 'tiny')
  // The stick's only model is found; of several one must be named.
  assert.equal((await get(join(root, 'stick'))).manifest.name, 'tiny')
  writeFileSync(join(root, 'stick', 'other.gguf'), await model())
  await assert.rejects(get(join(root, 'stick')), {
    code: 'not-found',
    message: /several models; name one: .*other\.gguf, .*tiny\./,
  })
  mkdirSync(join(root, 'nothing'))
  await assert.rejects(importPath(join(root, 'nothing'), store), {
    message: /has no model: neither a GGUF file/,
  })
})

test('every tensor type imports', async () => {
  for (const { name: type } of tensorTypes) {
    const path = join(root, `${type}.gguf`)
    writeFileSync(path, await randomModel({ hidden: 256, headDim: 64, feedForward: 256 }, { type }))
    const { manifest } = await importPath(path, store)
    assert.ok((manifest.types[type] ?? 0) > 10, type)
  }
})

test('a model whose text side is of no use is refused when it is imported', async () => {
  const folder = join(root, `text${count}`)
  mkdirSync(folder)
  for (const [name, bytes] of Object.entries(modelFolder()))
    writeFileSync(join(folder, name), bytes)
  const good = JSON.parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8'))
  const bad: [string, unknown][] = [
    ['another kind', { model: { type: 'Unigram', vocab: [['a', 0]] } }],
    ['nothing', {}],
    ['merges of numbers', { ...good, model: { ...good.model, merges: [1, 2] } }],
  ]
  for (const [what, tokenizer] of bad) {
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer))
    const refused = await importPath(folder, store).then(
      () => assert.fail(what),
      (error) => error,
    )
    assert.ok(refused instanceof MdiError, `${what}: ${refused.stack}`)
    assert.match(refused.code, /^(bad-file|unsupported)$/)
  }
  assert.equal(await store.unusedBytes(), 0, 'nothing was written for it')
})

test('a link in a folder leads to a model, as in a hub’s cache', async () => {
  const folder = join(root, `links${count}`)
  mkdirSync(join(folder, 'snapshot'), { recursive: true })
  writeFileSync(join(folder, 'blob'), await model())
  symlinkSync('../blob', join(folder, 'snapshot', 'linked.gguf'))
  assert.equal((await importPath(join(folder, 'snapshot'), store)).manifest.name, 'linked')
})

test('where nothing can be written, an export says so', async () => {
  const path = join(root, `out${count}.gguf`)
  writeFileSync(path, await model())
  const { manifest } = await importPath(path, store)
  const sentence = { name: 'MdiError', message: /^Cannot write into .*: .*\.$/ }
  for (const place of [path, join(path, 'x'), join(root, 'no', 'such', 'stick'), '/proc/x'])
    await assert.rejects(exportModel(store, manifest, place), sentence, place)
})

test('an exported model is the same elsewhere, and damage is found', async () => {
  const path = join(root, 'carry.gguf')
  writeFileSync(path, await model())
  const { manifest } = await importPath(path, store)
  const stick = join(root, `stick${count}`)
  const target = await exportModel(store, manifest, stick)
  await assert.rejects(exportModel(store, manifest, stick), { message: /is there already/ })
  const other = await openStore(join(root, `other${count}`))
  try {
    assert.deepEqual((await importPath(target, other)).manifest, manifest)
    const found = await importPath(stick, other, { name: 'renamed' })
    assert.equal(found.manifest.name, 'renamed')
    const { sha256: hash } = manifest.records[1] as { sha256: string }
    await other.removeModel('carry')
    writeFileSync(path, await model({ seed: 5 }))
    await importPath(path, other)
    await assert.rejects(importPath(target, other), { message: /carry is another model here/ })
    await other.removeModel('carry')
    await other.removeModel('renamed')
    const record = join(target, 'records', hash)
    const bytes = readFileSync(record)
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1
    writeFileSync(record, bytes)
    await assert.rejects(importPath(target, other), { code: 'bad-file', message: /does not match/ })
    writeFileSync(record, bytes.subarray(0, -1))
    await assert.rejects(importPath(target, other), { code: 'bad-file', message: /cut short/ })
    assert.deepEqual(await other.listModels(), [])
  } finally {
    await other.close()
  }
})

test('of a damaged file nothing is gone on with, nor of one that was repaired meanwhile', async () => {
  const path = join(root, `mended${count}.gguf`)
  const good = await model({ type: 'F16' })
  const clean = await openStore(join(root, `clean${count}`))
  writeFileSync(path, good)
  const { manifest } = await importPath(path, clean)
  await clean.close()
  const { tensors } = await readGguf(await openFile(path))
  const at = (name: string, by: number) => (tensors.get(name)?.offset ?? 0) + by
  // Behind what is sampled: a weight of layer 0 is another, one of layer 1 no number.
  const bad = Buffer.from(good)
  bad.writeUInt16LE(0x3c00, at('blk.0.ffn_down.weight', 4_000))
  bad.writeUInt16LE(0x7e00, at('blk.1.ffn_down.weight', 4_000))
  writeFileSync(path, bad)
  await assert.rejects(importPath(path, store), {
    code: 'bad-file',
    message: /the weights of ffn_down of layer 1 are not all finite/,
  })
  writeFileSync(path, good)
  const mended = await importPath(path, store)
  assert.equal(mended.resumed, 0)
  assert.deepEqual(mended.manifest.records, manifest.records)
  await store.removeModel(manifest.name)
  // The same where the import was broken off before it came to the damage.
  writeFileSync(path, bad)
  const stop = new AbortController()
  const onProgress = ({ done, total }: { done: number; total: number }) => {
    if (done > total * 0.6) stop.abort(new MdiError('cancelled', 'enough'))
  }
  await assert.rejects(importPath(path, store, { signal: stop.signal, onProgress }))
  writeFileSync(path, good)
  assert.deepEqual((await importPath(path, store)).manifest.records, manifest.records)
})

test('a stranger’s manifest is checked before anything is made of it', async () => {
  const path = join(root, 'base.gguf')
  writeFileSync(path, await model())
  const { manifest } = await importPath(path, store)
  const target = await exportModel(store, manifest, join(root, `hostile${count}`))
  const file = join(target, EXPORT_FILE)
  const good = JSON.parse(readFileSync(file, 'utf8'))
  const bad: [string, (m: typeof good) => void, RegExp][] = [
    ['a path as its name', (m) => (m.manifest.name = '../x'), /manifest\.name/],
    ['a path as a record', (m) => (m.manifest.records[0].sha256 = '../../x'), /sha256/],
    ['too few records', (m) => m.manifest.records.pop(), /records of its layers/],
    ['millions of layers', (m) => (m.manifest.spec.layers = 1e7), /spec\.layers/],
    ['other shapes', (m) => (m.manifest.spec.hidden = 128), /of another model/],
    ['heads that share badly', (m) => (m.manifest.spec.kvHeads = 3), /heads make no sense/],
    ['a tokenizer that is none', (m) => (m.manifest.text.tokenizer = 5), /tokenizer/],
    ['a first token beyond all', (m) => (m.manifest.text.bosId = 999_999), /names token 999999/],
    ['a last token beyond all', (m) => (m.manifest.text.endIds = [5_000]), /names token 5000/],
    ['factors of no rope', (m) => (m.manifest.spec.rope.factors = [1]), /rope factors/],
    [
      'a window in no layer',
      (m) => (m.manifest.spec.window = { size: 4, layers: [9] }),
      /a window in a layer/,
    ],
    [
      'records exchanged',
      (m) => (m.manifest.records[0].sha256 = m.manifest.records[1].sha256),
      /another model|cut short/,
    ],
  ]
  for (const [what, change, message] of bad) {
    const value = structuredClone(good)
    change(value)
    writeFileSync(file, JSON.stringify(value))
    await assert.rejects(importPath(target, store), { code: 'bad-file', message }, what)
  }
  writeFileSync(file, 'no JSON')
  await assert.rejects(importPath(target, store), { message: /is not JSON/ })
  for (const [format, message] of [
    [3, /later version/],
    [1, /earlier version of mdi: .* export it again/],
  ] as const) {
    writeFileSync(file, JSON.stringify({ ...good, format }))
    await assert.rejects(importPath(target, store), { code: 'unsupported', message })
  }
})
