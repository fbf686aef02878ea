/** Files that are computed with, damaged at every class of place: never believed, always made anew. */
import assert from 'node:assert/strict'
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { OrtEngine } from '../../../services/io/ort/engine.ts'
import { ensureSealed, sealOf, sealState } from '../../../services/io/ort/seal.ts'
import { open as opened, rows, score, testModel } from '../../fakes/engine.ts'
import { random } from '../../fakes/random.ts'

const withFolder = async (work: (folder: string) => Promise<void> | void): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'mdi-seal-'))
  try {
    await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const content = Buffer.from(Array.from({ length: 10_000 }, (_, i) => (i * 7) & 255))
const make = (folder: string) =>
  ensureSealed(folder, 'f.bin', content.length, (fd) => writeFileSync(fd, content))

test('a sealed file is made once, and believed only as long as it is what was written', () =>
  withFolder((folder) => {
    const [path, seal] = [join(folder, 'f.bin'), join(folder, sealOf('f.bin'))]
    assert.equal(make(folder), 'made')
    assert.equal(make(folder), 'there')
    const damages: [string, () => void][] = [
      ['a flipped bit', () => writeFileSync(path, flipped(content, 5_000))],
      ['the first byte', () => writeFileSync(path, flipped(content, 0))],
      ['the last byte', () => writeFileSync(path, flipped(content, content.length - 1))],
      ['cut short', () => truncateSync(path, 9_999)],
      ['cut to nothing', () => truncateSync(path, 0)],
      ['longer', () => writeFileSync(path, Buffer.concat([content, Buffer.alloc(1)]))],
      ['zeros', () => writeFileSync(path, Buffer.alloc(content.length))],
      ['without a seal', () => rmSync(seal)],
      ['a seal cut short', () => truncateSync(seal, 3)],
      ['a seal with a flipped bit', () => writeFileSync(seal, flipped(readFileSync(seal), 2))],
      ['an empty seal', () => writeFileSync(seal, '')],
    ]
    for (const [what, damage] of damages) {
      damage()
      assert.equal(sealState(folder, 'f.bin'), 'damaged', what)
      assert.equal(make(folder), 'mended', what)
      assert.deepEqual(readFileSync(path), content, what)
      assert.equal(make(folder), 'there', what)
    }
    rmSync(path)
    assert.equal(make(folder), 'made')
  }))

const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] as number) ^ 0x10
  return copy
}

test('whatever is damaged among prepared files, the answers are the same, and it is told', () =>
  withFolder(async (folder) => {
    const { manifest, source } = await testModel({ tiedHead: false }, { type: 'Q4_0' })
    const { layers, context, vocab } = manifest.spec
    const open = async () => {
      const engine = new OrtEngine({ source, folder, threads: 1 })
      const part = { manifest, first: 0, end: layers, ends: true, context }
      const report = await engine.load({ ...part, arithmetic: 'exact' })
      const scores = await score(engine, vocab, [opened(1)], [rows(1, 0, 3)], [4, 5, 6])
      await engine.close()
      return { mended: report.mended ?? 0, text: JSON.stringify(scores) }
    }
    const sound = await open()
    assert.equal(sound.mended, 0)
    const draw = random(7)
    const files = readdirSync(folder).filter((file) => file.endsWith('.bin'))
    assert.ok(files.length >= layers + 2)
    for (let i = 0; i < 24; i++) {
      const file = files[Math.floor(draw() * files.length)] as string
      const path = join(folder, file)
      const bytes = readFileSync(path)
      if (i % 3 === 0) truncateSync(path, Math.floor(draw() * bytes.length))
      else writeFileSync(path, flipped(bytes, Math.floor(draw() * bytes.length)))
      const after = await open()
      assert.equal(after.mended, 1, file)
      assert.equal(after.text, sound.text, file)
    }
    // What was measured is measured again where it is damaged.
    writeFileSync(join(folder, 'forms-exact.json'), '{"cpu":')
    assert.equal((await open()).text, sound.text)
  }))
