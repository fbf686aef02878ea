import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { importSafetensors } from '../../services/model/import.ts'
import { dequantize, typeByName } from '../../services/model/quants.ts'
import { goldenBytes } from '../fakes/golden.ts'
import { MemoryRecords } from '../fakes/records.ts'
import { memoryFolder, type PlainTensor, safetensorsFile } from '../harness/folder.ts'
import { referenceOf } from './records.ts'

const golden = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../golden/${name}.json`, import.meta.url), 'utf8'))

/** As in quants.py. */
const halves: Readonly<Record<string, number[]>> = {
  Q2_K: [80, 82],
  Q3_K: [108],
  Q6_K: [208],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q4_1: [0, 2],
  Q5_1: [0, 2],
}

test('dequantization is bit for bit that of the library gguf', () => {
  const digests = golden('quants') as Record<string, string>
  assert.equal(Object.keys(digests).length, 13)
  for (const [name, digest] of Object.entries(digests)) {
    const type = typeByName(name)
    const bytes = goldenBytes(name, 64 * type.bytes)
    for (let block = 0; block < bytes.length; block += type.bytes)
      for (const at of halves[name] ?? [0])
        bytes[block + at + 1] = (bytes[block + at + 1] as number) & 0xbb
    // Adding zero makes −0 into 0.
    const values = dequantize(type, bytes, 64 * type.elements).map((v) => v + 0)
    const have = createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex')
    assert.equal(have, digest, name)
  }
})

type Case = {
  config: Record<string, unknown>
  shapes: Record<string, number[]>
  logits: number[]
}
const families = golden('families') as { ids: number[]; cases: Record<string, Case> }

/** As in families.py; matrices in BF16, which has room for them, vectors in F32. */
const tensorOf = (name: string, shape: number[], gemma: boolean): PlainTensor => {
  const bytes = goldenBytes(
    name,
    shape.reduce((product, n) => product * n, 1),
  )
  const one = shape.length === 1 && !name.includes('bias') && !gemma ? 1 : 0
  const values = Float32Array.from(bytes, (b) => one + (2 * b - 255) / 1_024)
  return { dtype: shape.length === 1 ? 'F32' : 'BF16', shape, values }
}

const tokenizer = { added_tokens: [], model: { type: 'BPE', vocab: { a: 0 }, merges: [] } }
const textSpec = () => assert.fail('there is a tokenizer.json')

for (const [name, { config, shapes, logits }] of Object.entries(families.cases))
  test(`${name}: what transformers computes`, async () => {
    const gemma = String(config.model_type).startsWith('gemma')
    const tensors = Object.entries(shapes).map(([tensor, shape]) => [
      tensor,
      tensorOf(tensor, shape, gemma),
    ])
    const folder = memoryFolder({
      'config.json': config,
      'tokenizer.json': tokenizer,
      'model.safetensors': safetensorsFile(Object.fromEntries(tensors)),
    })
    const store = new MemoryRecords()
    const { manifest } = await importSafetensors(folder, store, {
      rounding: 'keep',
      textSpec,
    })
    const model = referenceOf(manifest, store)
    const have = model.forward(families.ids).at(-1) as Float32Array
    assert.equal(have.length, logits.length)
    const worst = Math.max(...have.map((v, i) => Math.abs(v - (logits[i] as number))))
    assert.ok(worst < 2e-5, `${worst}`)
    assert.ok(Math.max(...logits.map(Math.abs)) > 0.5)
  })
