import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MdiError } from '../../services/errors.ts'
import { openFile } from '../../services/io/file.ts'
import { limits } from '../../services/limits.ts'
import { runtimeBytes } from '../../services/model/blocks.ts'
import { allFinite } from '../../services/model/finite.ts'
import { type GgufMetadata, readGguf } from '../../services/model/gguf.ts'
import { ggufHeader, type NewTensor, type TypedValue } from '../../services/model/ggufwriter.ts'
import { type ImportOptions, importGguf } from '../../services/model/import.ts'
import { freeName } from '../../services/model/modelname.ts'
import { dequantize, tensorTypes, typeByName } from '../../services/model/quants.ts'
import { memorySource } from '../../services/model/source.ts'
import { randomModel, smallShape } from '../fakes/model.ts'
import { MemoryRecords } from '../fakes/records.ts'
import { realModel } from '../harness/shared.ts'

const textSpec = (metadata: GgufMetadata) => ({
  tokenizer: {},
  tokenizerConfig: {},
  endIds: [Number(metadata.get('tokenizer.ggml.eos_token_id'))],
  addBos: false,
})
const importBytes = (
  bytes: Uint8Array,
  store = new MemoryRecords(),
  options: Partial<ImportOptions> = {},
) => importGguf(memorySource(bytes, 'some model.gguf'), store, { textSpec, ...options })

test('a model becomes records, byte for byte', async () => {
  const bytes = await randomModel({}, { type: 'Q4_1', types: { ffn_down: 'Q8_0' } })
  const gguf = await readGguf(memorySource(bytes))
  const store = new MemoryRecords()
  const { manifest, resumed, loss } = await importBytes(bytes, store)
  assert.equal(resumed, 0)
  assert.equal(loss, undefined)
  assert.deepEqual(store.models.get('some-model'), manifest)
  assert.deepEqual(manifest.spec, {
    family: 'llama',
    layers: 2,
    hidden: 64,
    heads: 4,
    kvHeads: 2,
    headDim: 16,
    feedForward: 96,
    vocab: 300,
    context: 256,
    normEpsilon: Math.fround(1e-5),
    rope: { theta: 10_000, dim: 16, interleaved: true },
    tiedHead: false,
  })
  assert.deepEqual(manifest.types, { Q4_1: 14, Q8_0: 2, F32: 5 })
  assert.deepEqual(manifest.text.endIds, [2])
  assert.deepEqual(
    manifest.records.map((r) => [r.kind, r.layer]),
    [
      ['embedding', undefined],
      ['layer', 0],
      ['layer', 1],
      ['head', undefined],
    ],
  )
  let parameters = 0
  for (const ref of manifest.records) {
    const record = store.record(ref.sha256)
    assert.equal(record.bytes.length, ref.bytes)
    let running = 0
    for (const t of record.tensors) {
      const prefix = ref.kind === 'layer' ? `blk.${ref.layer}.` : ''
      const source = gguf.tensors.get(`${prefix}${t.name}.weight`)
      assert.ok(source)
      assert.equal(t.offset % limits.recordAlignment, 0)
      assert.deepEqual(
        record.bytes.subarray(t.offset, t.offset + t.bytes),
        bytes.subarray(source.offset, source.offset + source.bytes),
      )
      running += runtimeBytes(typeByName(t.type), t.rows, t.columns)
      parameters += t.rows * t.columns
    }
    assert.equal(running, ref.runtimeBytes)
  }
  assert.equal(manifest.parameters, parameters)
})

test('a tied head has no matrix of its own', async () => {
  const store = new MemoryRecords()
  const { manifest } = await importBytes(await randomModel({ tiedHead: true }), store)
  assert.equal(manifest.spec.tiedHead, true)
  const head = store.record(manifest.records.at(-1)?.sha256 as string)
  assert.deepEqual(
    head.tensors.map((t) => t.name),
    ['output_norm'],
  )
})

for (const type of ['F32', 'F16', 'BF16'])
  for (const rounding of ['Q8_0', 'Q4_1', 'keep'] as const)
    test(`${type} becomes ${rounding}`, async () => {
      const bytes = await randomModel({}, { type })
      const gguf = await readGguf(memorySource(bytes))
      const store = new MemoryRecords()
      const { manifest, loss } = await importBytes(bytes, store, { rounding })
      if (rounding === 'keep') assert.equal(loss, undefined)
      else assert.ok(loss && loss > 0.001 && loss < (rounding === 'Q8_0' ? 0.007 : 0.1), `${loss}`)
      // `types` says what the file had.
      assert.equal(manifest.types[type], type === 'F32' ? 21 : 16)
      const record = store.record(manifest.records[1]?.sha256 as string)
      for (const t of record.tensors) {
        const source = gguf.tensors.get(`blk.0.${t.name}.weight`)
        assert.ok(source)
        const wantedType = t.rows === 1 ? 'F32' : rounding === 'keep' ? type : rounding
        assert.equal(t.type, wantedType)
        const count = t.rows * t.columns
        const part = bytes.subarray(source.offset, source.offset + source.bytes)
        const wanted = dequantize(source.type, part, count)
        const have = dequantize(
          typeByName(t.type),
          record.bytes.subarray(t.offset, t.offset + t.bytes),
          count,
        )
        const error = Math.hypot(...have.map((v, i) => v - (wanted[i] as number)))
        const power = Math.hypot(...wanted)
        const bound = wantedType === 'Q8_0' ? 0.008 : wantedType === 'Q4_1' ? 0.1 : 0
        assert.ok(error / power <= bound, `${t.name}: ${error / power}`)
      }
    })

test('rows that are no whole blocks stay in floats', async () => {
  const store = new MemoryRecords()
  const shape = { hidden: 48, heads: 3, kvHeads: 1 }
  const { manifest } = await importBytes(await randomModel(shape, { type: 'F16' }), store)
  const record = store.record(manifest.records[1]?.sha256 as string)
  const types = Object.fromEntries(record.tensors.map((t) => [t.name, t.type]))
  assert.equal(types.attn_q, 'F16')
  assert.equal(types.ffn_down, 'Q8_0')
})

test('RoPE: factors of the file, and the scalings that keys name', async () => {
  const factors = [1, 1, 1.5, 2, 4, 8, 8, 8]
  const { manifest } = await importBytes(
    await randomModel({ ropeFactors: factors, theta: 500_000 }),
  )
  assert.deepEqual(manifest.spec.rope, { theta: 500_000, dim: 16, interleaved: true, factors })
  await refuse(await randomModel({ ropeFactors: [1, 2] }), 'bad-file', /RoPE factors/)
  await refuse(await randomModel({ ropeFactors: [0, 1, 1, 1, 1, 1, 1, 1] }), 'bad-file', /RoPE/)
  const text = (value: string): TypedValue => ({ type: 'string', value })
  const f32 = (value: number): TypedValue => ({ type: 'f32', value })
  const scaled = await edited((keys) => {
    keys.set('llama.rope.scaling.type', text('linear')).set('llama.rope.scaling.factor', f32(4))
  })
  const linear = (await importBytes(scaled)).manifest.spec.rope.factors
  assert.deepEqual(linear, new Array(8).fill(4))
  const yarn = await edited((keys) => {
    keys.set('llama.rope.scaling.type', text('yarn'))
  })
  await refuse(yarn, 'unsupported', /"yarn"/)
})

/** The small model with other keys or tensors. */
const edited = async (
  change: (keys: Map<string, TypedValue>, tensors: NewTensor[]) => void,
): Promise<Uint8Array> => {
  const bytes = await randomModel()
  const gguf = await readGguf(memorySource(bytes))
  const keys = new Map<string, TypedValue>()
  for (const [key, value] of gguf.metadata)
    if (typeof value === 'string') keys.set(key, { type: 'string', value })
    else if (typeof value === 'number')
      keys.set(key, { type: Number.isInteger(value) ? 'u32' : 'f32', value })
    else if (Array.isArray(value)) keys.set(key, { type: 'strings', value })
  const tensors = [...gguf.tensors.values()].map(
    ({ name, type, shape }): NewTensor => ({ name, type, shape, data: () => [] }),
  )
  change(keys, tensors)
  const header = ggufHeader(keys, tensors)
  // The data is all zeros: only what is refused, or the spec, is looked at.
  const whole = new Uint8Array(header.length + bytes.length + 65_536)
  whole.set(header)
  return whole
}

const refuse = async (bytes: Uint8Array, code: string, sentence: RegExp): Promise<void> => {
  const store = new MemoryRecords()
  await assert.rejects(importBytes(bytes, store), (error) => {
    assert.ok(error instanceof MdiError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, sentence)
    assert.match(error.message, /^some model.gguf[^\n]+\.$/)
    return true
  })
  assert.equal(store.records.size + store.models.size + store.writes.length, 0)
}

test('what is not supported is refused by its name, before anything is written', async () => {
  const text = (value: string): TypedValue => ({ type: 'string', value })
  const u32 = (value: number): TypedValue => ({ type: 'u32', value })
  const set = (key: string, value: TypedValue) =>
    edited((keys) => {
      keys.set(key, value)
    })
  const drop = (key: string) =>
    edited((keys) => {
      keys.delete(key)
    })
  await refuse(await set('general.architecture', text('mamba')), 'unsupported', /"mamba"/)
  await refuse(await drop('general.architecture'), 'bad-file', /general.architecture/)
  await refuse(await set('llama.expert_count', u32(8)), 'unsupported', /mixture of experts/)
  await refuse(await drop('llama.block_count'), 'bad-file', /llama.block_count/)
  await refuse(await set('llama.block_count', u32(100_000)), 'bad-file', /100000.*1 to 512/)
  await refuse(await set('llama.block_count', text('2')), 'bad-file', /not one number/)
  await refuse(await set('llama.block_count', u32(3)), 'bad-file', /lacks.*blk\.2\.attn_norm/)
  await refuse(await set('llama.attention.head_count_kv', u32(3)), 'bad-file', /cannot share/)
  await refuse(await set('llama.attention.value_length', u32(8)), 'unsupported', /widths/)
  await refuse(await set('llama.feed_forward_length', u32(128)), 'bad-file', /96 × 64.*128 × 64/)
  await refuse(await set('llama.rope.dimension_count', u32(32)), 'bad-file', /1 to 16/)
  const tokens: TypedValue = { type: 'strings', value: new Array(301).fill('t') }
  await refuse(await set('tokenizer.ggml.tokens', tokens), 'bad-file', /301 tokens but 300/)
})

test('a tensor that is missing, of another shape, or unknown is named', async () => {
  const F32 = typeByName('F32')
  const without = (name: string) =>
    edited((_, tensors) =>
      tensors.splice(
        tensors.findIndex((t) => t.name === name),
        1,
      ),
    )
  await refuse(await without('token_embd.weight'), 'bad-file', /"token_embd.weight"/)
  await refuse(await without('blk.1.ffn_up.weight'), 'bad-file', /"blk.1.ffn_up.weight"/)
  const shaped = await edited((_, tensors) => {
    const norm = tensors.find((t) => t.name === 'blk.0.attn_norm.weight')
    if (norm) Object.assign(norm, { shape: [32] })
  })
  await refuse(shaped, 'bad-file', /"blk.0.attn_norm.weight" is 1 × 32.*1 × 64/)
  const extra = await edited((_, tensors) => {
    tensors.push({ name: 'blk.0.attn_q_norm.weight', type: F32, shape: [16], data: () => [] })
  })
  await refuse(extra, 'unsupported', /"blk.0.attn_q_norm.weight".*llama/)
  const rotations = await edited((_, tensors) => {
    tensors.push({ name: 'blk.0.attn_rot_embd', type: F32, shape: [16], data: () => [] })
  })
  await importBytes(rotations)
})

test('weights that are no numbers are refused', async () => {
  const bytes = await randomModel({}, { type: 'F32' })
  const q = (await readGguf(memorySource(bytes))).tensors.get('blk.1.attn_q.weight')
  new DataView(bytes.buffer).setFloat32((q?.offset as number) + 400, Number.NaN, true)
  const store = new MemoryRecords()
  await assert.rejects(importBytes(bytes, store), /weights of attn_q of layer 1 are not all finite/)
  assert.equal(store.aborted, 1)
  assert.equal(store.models.size, 0)
})

test('a scale that is no number is refused, in every type and place', async () => {
  for (const type of tensorTypes) {
    const bytes = await randomModel(
      { hidden: 256, headDim: 64, feedForward: 256, layers: 1 },
      { type: type.name },
    )
    const found = (await readGguf(memorySource(bytes))).tensors.get('blk.0.ffn_up.weight')
    // Whatever of the last block is no number shows in its values.
    const at = (found?.offset ?? 0) + (found?.bytes ?? 0) - type.bytes
    const block = bytes.subarray(at, at + type.bytes)
    const sound = block.slice()
    let harmful = 0
    for (let i = 0; i + 1 < type.bytes; i += 2) {
      block.set(sound)
      block.set([0xff, 0xff], i)
      const sane = dequantize(type, block, type.elements).every(Number.isFinite)
      assert.equal(allFinite(type, block), sane, `${type.name} at ${i}`)
      if (sane) continue
      harmful++
      const store = new MemoryRecords()
      await assert.rejects(importBytes(bytes, store, { rounding: 'keep' }), (error) => {
        assert.ok(error instanceof MdiError)
        assert.match(
          error.message,
          /is damaged: the weights of ffn_up of layer 0 are not all finite/,
        )
        return true
      })
      assert.equal(store.models.size, 0)
    }
    assert.ok(harmful > 0, type.name)
  }
})

test('stopped at any write, an import goes on where it was', async () => {
  const bytes = await randomModel({}, { type: 'F16' })
  const whole = new MemoryRecords()
  const wanted = await importBytes(bytes, whole)
  const seen = new Set<number>()
  for (let allowed = 0; allowed < whole.writes.length; allowed += 3) {
    const store = new MemoryRecords()
    store.allowed = allowed
    await assert.rejects(importBytes(bytes, store), /no more/)
    assert.equal(store.models.size, 0)
    store.allowed = Number.POSITIVE_INFINITY
    const again = await importBytes(bytes, store)
    seen.add(again.resumed)
    assert.deepEqual(again.manifest, wanted.manifest)
    assert.equal(again.loss, wanted.loss)
    // Nothing is left of the journal.
    assert.deepEqual([...store.config.values()].filter(Boolean), [])
  }
  assert.deepEqual(seen, new Set([0, 1, 2, 3]))
})

test('a journal counts only for the same content, rounding and records', async () => {
  const bytes = await randomModel({}, { type: 'F16' })
  const store = new MemoryRecords()
  store.allowed = 12
  await assert.rejects(importBytes(bytes, store), /no more/)
  store.allowed = Number.POSITIVE_INFINITY
  const other = await randomModel({}, { type: 'F16', seed: 2 })
  assert.equal(other.length, bytes.length)
  assert.equal((await importBytes(other, store, { name: 'other' })).resumed, 0)
  assert.equal((await importBytes(bytes, store, { rounding: 'Q4_1' })).resumed, 0)
  // A record that the store has lost is written again.
  store.records.clear()
  assert.equal((await importBytes(bytes, store)).resumed, 0)
  for (const key of store.config.keys()) store.config.set(key, '{"records":')
  assert.equal((await importBytes(bytes, store)).resumed, 0)
})

test('a name that another model has is refused before anything is written', async () => {
  const store = new MemoryRecords()
  const bytes = await randomModel()
  const { manifest } = await importBytes(bytes, store)
  const written = store.writes.length
  await assert.rejects(importBytes(await randomModel({}, { seed: 2 }), store), (error) => {
    assert.ok(error instanceof MdiError)
    assert.match(error.message, /^some-model is another model here; remove it .* --name\.$/)
    return true
  })
  assert.equal(store.writes.length, written)
  assert.deepEqual(store.models.get('some-model'), manifest)
  // The same file again is no other model, and neither is one under a name of its own.
  await importBytes(bytes, store, { rounding: 'keep' })
  await importBytes(await randomModel({}, { seed: 2 }), store, { name: 'second' })
  assert.deepEqual([...store.models.keys()], ['some-model', 'second'])
})

test('it can be stopped, and says how far it is', async () => {
  const bytes = await randomModel()
  const stop = new AbortController()
  const store = new MemoryRecords()
  const done: number[] = []
  const onProgress: ImportOptions['onProgress'] = (p) => {
    done.push(p.done)
    if (done.length === 8) stop.abort(new MdiError('cancelled', 'Stopped.'))
  }
  await assert.rejects(importBytes(bytes, store, { onProgress, signal: stop.signal }), /Stopped/)
  const progress: { done: number; total: number }[] = []
  const { resumed } = await importBytes(bytes, store, { onProgress: (p) => progress.push(p) })
  assert.ok(resumed > 0 && (progress[0]?.done ?? 0) > 0)
  assert.equal(progress.at(-1)?.done, progress.at(-1)?.total)
})

test('chunks stay small whatever the model', async () => {
  const store = new MemoryRecords()
  const shape = { ...smallShape, vocab: 60_000, hidden: 64, tiedHead: true }
  await importBytes(await randomModel(shape, { type: 'F32' }), store, { rounding: 'keep' })
  assert.ok(Math.max(...store.writes) <= limits.chunkBytes)
})

test('a name is shortened unless another model has it', async () => {
  const store = new MemoryRecords()
  const some = await randomModel()
  const other = await randomModel({}, { seed: 5 })
  const named = async (bytes: Uint8Array, file: string) => {
    const { manifest } = await importGguf(memorySource(bytes, file), store, { textSpec })
    return manifest.name
  }
  assert.equal(await named(some, 'toy.Q4_0.gguf'), 'toy')
  assert.equal(await named(some, 'toy.Q4_0.gguf'), 'toy', 'the same again')
  assert.equal(await named(other, 'toy.Q8_0.gguf'), 'toy.Q8_0')
  assert.equal(await named(other, 'toy.Q8_0.gguf'), 'toy.Q8_0')
  // One that was imported under its whole name keeps it.
  assert.equal(await freeName(store, 'toy.Q8_0.gguf', () => true), 'toy.Q8_0')
})

const real = realModel()
test('the real file', { skip: real ? false : 'no model at hand' }, async () => {
  const source = await openFile(real as string)
  const { manifest } = await importGguf(source, new MemoryRecords(), { textSpec })
  await source.close()
  const { spec } = manifest
  assert.deepEqual(manifest.types, { Q4_1: 210, Q8_0: 1, F32: 61 })
  assert.equal(manifest.parameters, 134_515_008)
  assert.equal(manifest.records.length, 32)
  assert.deepEqual(
    [spec.layers, spec.hidden, spec.heads, spec.kvHeads, spec.headDim, spec.feedForward],
    [30, 576, 9, 3, 64, 1_536],
  )
  assert.deepEqual([spec.vocab, spec.tiedHead, spec.context], [49_152, true, 8_192])
})
