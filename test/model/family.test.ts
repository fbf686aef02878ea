import assert from 'node:assert/strict'
import { test } from 'node:test'
import { specFromGguf } from '../../services/model/architecture.ts'
import { readGguf } from '../../services/model/gguf.ts'
import type { TypedValue } from '../../services/model/ggufwriter.ts'
import { importGguf } from '../../services/model/import.ts'
import { memorySource } from '../../services/model/source.ts'
import { layerRope, layerWindow, type ModelSpec } from '../../services/model/spec.ts'
import { familyShapes, randomModel } from '../fakes/model.ts'
import { MemoryRecords } from '../fakes/records.ts'
import { ReferenceModel } from './forward.ts'

const textSpec = () => ({ tokenizer: {}, tokenizerConfig: {}, endIds: [2], addBos: false })

/** Imports a random model of this family. */
const imported = async (name: string) => {
  const bytes = await randomModel(familyShapes[name], { type: 'F32' })
  const store = new MemoryRecords()
  const report = await importGguf(memorySource(bytes), store, {
    textSpec,
    rounding: 'keep',
  })
  return { bytes, store, spec: report.manifest.spec, manifest: report.manifest }
}

/** What the spec has beyond Llama's. */
const beyond = (spec: ModelSpec) => {
  const { qkvBias, headNorms, postNorms, activation, embeddingScale } = spec
  const { attentionScale, attentionSoftcap, logitSoftcap, window } = spec
  const all = { qkvBias, headNorms, postNorms, activation, embeddingScale, attentionScale }
  const more = { attentionSoftcap, logitSoftcap, window }
  return Object.fromEntries(Object.entries({ ...all, ...more }).filter(([, v]) => v !== undefined))
}

test('each family, beyond Llama', async () => {
  assert.deepEqual(beyond((await imported('qwen2')).spec), { qkvBias: true })
  assert.deepEqual(beyond((await imported('qwen3')).spec), { headNorms: true })
  assert.deepEqual(beyond((await imported('mistral')).spec), {
    window: { size: 5, layers: [0, 1] },
  })
  assert.deepEqual(beyond((await imported('phi3')).spec), { window: { size: 6, layers: [0, 1] } })
  const gemma = { postNorms: true, activation: 'gelu', embeddingScale: 8 }
  assert.deepEqual(beyond((await imported('gemma2')).spec), {
    ...gemma,
    attentionSoftcap: 50,
    logitSoftcap: 30,
    window: { size: 4, layers: [0] },
  })
  const { spec } = await imported('gemma3')
  const local = { theta: 10_000, dim: 16, interleaved: false }
  assert.deepEqual(beyond(spec), {
    ...gemma,
    headNorms: true,
    window: { size: 4, layers: [0, 1, 2, 3, 4, 6], rope: local },
  })
  assert.deepEqual(layerRope(spec, 4), local)
  assert.deepEqual(layerRope(spec, 5), { ...local, theta: 1_000_000 })
  assert.deepEqual(
    [4, 5, 6].map((i) => layerWindow(spec, i)),
    [4, undefined, 4],
  )
})

/** What a file of this family says when keys are set, or taken out (undefined). */
const specWith = async (
  family: string,
  shape: object,
  keys: Record<string, number | undefined>,
): Promise<ModelSpec> => {
  const bytes = await randomModel({ ...familyShapes[family], ...shape }, { type: 'F32' })
  const source = memorySource(bytes)
  const gguf = await readGguf(source)
  const metadata = new Map(gguf.metadata)
  for (const [key, value] of Object.entries(keys))
    if (value === undefined) metadata.delete(`${family}.${key}`)
    else metadata.set(`${family}.${key}`, value)
  return (await specFromGguf(source, { ...gguf, metadata })).spec
}

test('soft caps count wherever a file names them, and 0 is none', async () => {
  const caps = async (family: string, attention?: number, logits?: number) => {
    const spec = await specWith(
      family,
      {},
      {
        attn_logit_softcapping: attention,
        final_logit_softcapping: logits,
      },
    )
    return [spec.attentionSoftcap, spec.logitSoftcap]
  }
  assert.deepEqual(await caps('gemma3', undefined, 30), [undefined, 30])
  assert.deepEqual(await caps('gemma3', 50), [50, undefined])
  assert.deepEqual(await caps('gemma2', undefined, 20), [50, 20])
  assert.deepEqual(await caps('gemma2', 0), [undefined, 30])
})

test('what a file leaves out is as its family was made', async () => {
  const bare = { 'rope.freq_base': undefined, 'attention.sliding_window': undefined }
  const gemma2 = await specWith('gemma2', { context: 8_192 }, bare)
  assert.deepEqual(gemma2.window, { size: 4_096, layers: [0] })
  assert.equal(gemma2.rope.theta, 10_000)
  const gemma3 = await specWith('gemma3', {}, { 'rope.freq_base': undefined })
  assert.equal(gemma3.rope.theta, 1_000_000)
  assert.equal(gemma3.window?.rope?.theta, 10_000)
  assert.equal((await specWith('qwen3', {}, bare)).rope.theta, 10_000)
})

test('only Llama files rotate neighbours', async () => {
  for (const name of Object.keys(familyShapes))
    assert.equal((await imported(name)).spec.rope.interleaved, name === 'mistral', name)
})

test('fused tensors are taken apart', async () => {
  const { bytes, store, manifest } = await imported('phi3')
  const record = store.record(manifest.records[1]?.sha256 as string)
  const names = record.tensors.map((t) => `${t.name} ${t.rows}`)
  for (const wanted of ['attn_q 64', 'attn_k 32', 'attn_v 32', 'ffn_gate 96', 'ffn_up 96'])
    assert.ok(names.includes(wanted), wanted)
  // Their bytes follow each other in the file as in the record's order of Q, K and V.
  const [q, k, v] = ['attn_q', 'attn_k', 'attn_v'].map((name) => {
    const t = record.tensors.find((x) => x.name === name)
    return Buffer.from(record.bytes.subarray(t?.offset, (t?.offset ?? 0) + (t?.bytes ?? 0)))
  })
  assert.ok(Buffer.from(bytes).includes(Buffer.concat([q, k, v] as Buffer[])))
  assert.deepEqual(manifest.spec.rope.factors, [1, 1.25, 1.5, 2, 3, 4, 6, 8])
})

test('what a family is beyond Llama changes its logits', async () => {
  const ids = [5, 9, 5, 30, 7, 8, 11, 12]
  for (const [name, shape] of Object.entries(familyShapes)) {
    const logits = async (change: object) => {
      const bytes = await randomModel({ ...shape, ...change }, { type: 'F32' })
      const model = await ReferenceModel.open(memorySource(bytes))
      return model.forward(ids).at(-1) as Float32Array
    }
    const base = await logits({})
    assert.ok(base.every(Number.isFinite), name)
    if (shape.window) assert.notDeepEqual(base, await logits({ window: 100 }), name)
  }
})

test('a file may say which layers are windowed', async () => {
  const layersOf = async (pattern: TypedValue) => {
    const bytes = await randomModel(familyShapes.gemma3, {
      keys: { 'gemma3.attention.sliding_window_pattern': pattern },
    })
    const report = await importGguf(memorySource(bytes), new MemoryRecords(), {
      textSpec,
    })
    return report.manifest.spec.window?.layers
  }
  assert.deepEqual(await layersOf({ type: 'u32', value: 3 }), [0, 1, 3, 4, 6])
  const flags = [true, false, false, true, true, false, false]
  assert.deepEqual(await layersOf({ type: 'bools', value: flags }), [0, 3, 4])
})
