import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { MdiError } from '../../services/errors.ts'
import { openFolder } from '../../services/io/file.ts'
import { importSafetensors } from '../../services/model/import.ts'
import { textSpecFromGguf } from '../../services/model/text.ts'
import { Tokenizer } from '../../services/model/tokenizer.ts'
import { random } from '../fakes/random.ts'
import { MemoryRecords } from '../fakes/records.ts'
import { memoryFolder, type PlainTensor, safetensorsFile } from '../harness/folder.ts'

const config = {
  model_type: 'llama',
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-6,
  eos_token_id: [2, 3],
}
const bpe = {
  added_tokens: [
    { id: 1, content: '<s>', special: true },
    { id: 2, content: '</s>', special: true },
  ],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
  },
  decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', vocab: { '<s>': 1, '</s>': 2, a: 4, b: 5, ab: 6 }, merges: ['a b'] },
}
const names = { bos_token: '<s>', eos_token: { content: '</s>' } }

const next = random(9)
const tensor = (dtype: PlainTensor['dtype'], ...shape: number[]): PlainTensor => {
  const count = shape.reduce((product, n) => product * n, 1)
  return { dtype, shape, values: Float32Array.from({ length: count }, () => next() - 0.5) }
}
const layer = (i: number): Record<string, PlainTensor> => ({
  [`model.layers.${i}.input_layernorm.weight`]: tensor('BF16', 32),
  [`model.layers.${i}.self_attn.q_proj.weight`]: tensor('BF16', 32, 32),
  [`model.layers.${i}.self_attn.k_proj.weight`]: tensor('F16', 16, 32),
  [`model.layers.${i}.self_attn.v_proj.weight`]: tensor('F32', 16, 32),
  [`model.layers.${i}.self_attn.o_proj.weight`]: tensor('BF16', 32, 32),
  [`model.layers.${i}.post_attention_layernorm.weight`]: tensor('BF16', 32),
  [`model.layers.${i}.mlp.gate_proj.weight`]: tensor('BF16', 64, 32),
  [`model.layers.${i}.mlp.up_proj.weight`]: tensor('BF16', 64, 32),
  [`model.layers.${i}.mlp.down_proj.weight`]: tensor('BF16', 32, 64),
})
const ends: Record<string, PlainTensor> = {
  'model.embed_tokens.weight': tensor('BF16', 10, 32),
  'model.norm.weight': tensor('BF16', 32),
  'lm_head.weight': tensor('BF16', 10, 32),
}
const tensors = { ...ends, ...layer(0), ...layer(1) }
const files = {
  'config.json': config,
  'tokenizer.json': bpe,
  'tokenizer_config.json': names,
  'model.safetensors': safetensorsFile(tensors),
}
type Files = Readonly<Record<string, Uint8Array | object | string>>

const importFiles = (content: Files, store = new MemoryRecords()) =>
  importSafetensors(memoryFolder(content), store, { textSpec: textSpecFromGguf })

const refused = async (content: Files, code: string, sentence: RegExp): Promise<void> => {
  const store = new MemoryRecords()
  await assert.rejects(importFiles(content, store), (error) => {
    assert.ok(error instanceof MdiError, String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, sentence)
    return true
  })
  assert.equal(store.writes.length + store.models.size, 0)
}
const configured = (change: object): Files => ({
  ...files,
  'config.json': { ...config, ...change },
})

test('a folder becomes a model', async () => {
  const store = new MemoryRecords()
  const { manifest, loss } = await importFiles(files, store)
  assert.equal(manifest.name, 'some-model')
  assert.ok(loss && loss < 0.01)
  assert.deepEqual(manifest.spec.rope, { theta: 10_000, dim: 8, interleaved: false })
  assert.equal(manifest.spec.tiedHead, false)
  assert.deepEqual(manifest.types, { BF16: 17, F16: 2, F32: 2 })
  const { endIds, addBos, bosId, bosToken, eosToken } = manifest.text
  assert.deepEqual([endIds, addBos, bosId], [[2, 3], true, 1])
  assert.deepEqual([bosToken, eosToken], ['<s>', '</s>'])
  const tokenizer = new Tokenizer(manifest.text)
  assert.deepEqual(tokenizer.encode('abb', { bos: true }), [1, 6, 5])
  const head = store.record(manifest.records.at(-1)?.sha256 as string)
  assert.deepEqual(
    head.tensors.map((t) => [t.name, t.type]),
    [
      ['output_norm', 'F32'],
      ['output', 'Q8_0'],
    ],
  )
})

test('several files by an index, and the same identity again', async () => {
  const weight_map: Record<string, string> = {}
  for (const name of Object.keys(tensors))
    weight_map[name] = name.includes('layers.1') ? 'm-2.safetensors' : 'm-1.safetensors'
  const split = {
    ...files,
    'model.safetensors.index.json': { weight_map },
    'm-1.safetensors': safetensorsFile({ ...ends, ...layer(0) }),
    'm-2.safetensors': safetensorsFile(layer(1)),
  }
  const store = new MemoryRecords()
  store.allowed = 20
  await assert.rejects(importFiles(split, store), /no more/)
  store.allowed = Number.POSITIVE_INFINITY
  assert.ok((await importFiles(split, store)).resumed > 0)
  const { 'm-2.safetensors': _, ...lacking } = split
  await refused(lacking, 'bad-file', /lacks the file m-2\.safetensors/)
  const away = (file: unknown) => ({
    ...split,
    'model.safetensors.index.json': { weight_map: { a: file } },
  })
  for (const file of ['../m.safetensors', '/etc/passwd', '.safetensors', 'm.bin', 7])
    await refused(away(file), 'bad-file', /index\.json is damaged/)
  await refused({ ...split, 'm-2.safetensors': split['m-1.safetensors'] }, 'bad-file', /two files/)
})

test('a tied head may stand in the file or not', async () => {
  const tied = configured({ tie_word_embeddings: true })
  assert.equal((await importFiles(tied)).manifest.spec.tiedHead, true)
  const { 'lm_head.weight': _, ...rest } = tensors
  const without = safetensorsFile(rest)
  const { manifest } = await importFiles({ ...tied, 'model.safetensors': without })
  assert.equal(manifest.records.length, 4)
  assert.equal(
    (await importFiles({ ...files, 'model.safetensors': without })).manifest.spec.tiedHead,
    true,
  )
  const untied = { ...configured({ tie_word_embeddings: false }), 'model.safetensors': without }
  await refused(untied, 'bad-file', /"lm_head\.weight"/)
})

test('a model within a model that sees: only its text part', async () => {
  const inner = Object.entries(tensors).map(([name, t]) => [`language_model.${name}`, t])
  const seeing = {
    ...files,
    'config.json': { model_type: 'llama', text_config: config, vision_config: {} },
    'model.safetensors': safetensorsFile({
      ...Object.fromEntries(inner),
      'vision_tower.embeddings.weight': tensor('F32', 2, 3, 4),
      'multi_modal_projector.weight': tensor('F32', 2, 3),
    }),
  }
  assert.equal((await importFiles(seeing)).manifest.records.length, 4)
})

test('what is not supported is refused by its name', async () => {
  await refused(configured({ model_type: 'mamba2' }), 'unsupported', /"mamba2"/)
  await refused(configured({ model_type: 'mixtral' }), 'unsupported', /"mixtral"/)
  await refused(configured({ model_type: undefined }), 'bad-file', /"model_type"/)
  await refused(configured({ hidden_act: 'relu' }), 'unsupported', /"relu"/)
  const awq = configured({ quantization_config: { quant_method: 'awq' } })
  await refused(awq, 'unsupported', /"awq".*GGUF/)
  const yarn = configured({ rope_scaling: { type: 'yarn', factor: 4 } })
  await refused(yarn, 'unsupported', /"yarn"/)
  const chunked = configured({ layer_types: ['chunked_attention', 'full_attention'] })
  await refused(chunked, 'unsupported', /"chunked_attention"/)
  await refused(configured({ num_hidden_layers: 3 }), 'bad-file', /layers\.2\.input_layernorm/)
  await refused(configured({ num_hidden_layers: 1 }), 'unsupported', /layers\.1\./)
  await refused(configured({ hidden_size: '32' }), 'bad-file', /"hidden_size" is not one number/)
  await refused(configured({ intermediate_size: 65 }), 'bad-file', /64 × 32.*65 × 32/)
  await refused(configured({ head_dim: 7 }), 'bad-file', /rotates 7/)
  const biased = safetensorsFile({
    ...tensors,
    'model.layers.0.self_attn.o_proj.bias': tensor('BF16', 32),
  })
  await refused({ ...files, 'model.safetensors': biased }, 'unsupported', /o_proj\.bias/)
})

test('what is missing or damaged is said', async () => {
  const without = (name: keyof typeof files): Files => {
    const { [name]: _, ...rest } = files
    return rest
  }
  await refused(without('config.json'), 'bad-file', /no config\.json/)
  await refused(without('model.safetensors'), 'bad-file', /lacks the file model\.safetensors/)
  await refused(without('tokenizer.json'), 'bad-file', /no tokenizer\.json/)
  await refused(
    { ...without('model.safetensors'), 'pytorch_model.bin': 'x' },
    'unsupported',
    /weights in pytorch_model\.bin, .* convert it to safetensors/,
  )
  await refused({ ...files, 'config.json': '{' }, 'bad-file', /config\.json is not JSON/)
  await refused({ ...files, 'config.json': '[]' }, 'bad-file', /config\.json is no object/)
  await refused({ ...files, 'tokenizer.json': '[]' }, 'bad-file', /tokenizer\.json is no object/)
})

test('chat templates, wherever they stand', async () => {
  const template = async (more: Files) =>
    (await importFiles({ ...files, ...more })).manifest.text.chatTemplate
  assert.equal(await template({}), undefined)
  const inside = (chat_template: unknown) => ({
    'tokenizer_config.json': { ...names, chat_template },
  })
  assert.equal(await template(inside('one')), 'one')
  const several = [
    { name: 'tool_use', template: 'two' },
    { name: 'default', template: 'three' },
  ]
  assert.equal(await template(inside(several)), 'three')
  assert.equal(await template({ 'chat_template.json': { chat_template: 'four' } }), 'four')
  assert.equal(await template({ ...inside('one'), 'chat_template.jinja': 'five' }), 'five')
})

test('whether a text begins with a token of its own', async () => {
  const adds = async (post_processor: unknown, more: object = {}) =>
    (
      await importFiles({
        ...files,
        'tokenizer.json': { ...bpe, post_processor },
        'tokenizer_config.json': { ...names, ...more },
      })
    ).manifest.text.addBos
  assert.equal(await adds(null), false)
  assert.equal(await adds(null, { add_bos_token: true }), true)
  assert.equal(await adds({ type: 'ByteLevel' }), false)
  assert.equal(await adds({ type: 'Sequence', processors: [bpe.post_processor] }), true)
  const plain = { type: 'TemplateProcessing', single: [{ Sequence: { id: 'A' } }] }
  assert.equal(await adds(plain, { add_bos_token: true }), false)
})

/** Fields of a SentencePiece model, in hex: pieces, trainer_spec, normalizer_spec. */
const pieceHex = (text: string, scoreHex: string, kind?: number): string => {
  const name = Buffer.from(text)
  const body = Buffer.concat([
    Buffer.from([0x0a, name.length]),
    name,
    Buffer.from(`15${scoreHex}`, 'hex'),
    Buffer.from(kind === undefined ? [] : [0x18, kind]),
  ])
  return Buffer.concat([Buffer.from([0x0a, body.length]), body]).toString('hex')
}

test('end tokens are known by name too, and are control tokens then', async () => {
  const added = [
    ...bpe.added_tokens,
    { id: 7, content: '<end_of_turn>', special: false },
    { id: 8, content: '<think>', special: false },
  ]
  const tokenizer = { ...bpe, added_tokens: added }
  const { text } = (await importFiles({ ...files, 'tokenizer.json': tokenizer })).manifest
  assert.deepEqual(text.endIds, [2, 3, 7])
  const made = new Tokenizer(text)
  assert.deepEqual(
    [7, 8].map((id) => made.isControl(id)),
    [true, false],
  )
})

test('without tokenizer_config.json a text begins as the tokenizer has it', async () => {
  const { 'tokenizer_config.json': _, ...rest } = files
  const { eos_token_id: __, ...bare } = config
  const { text } = (await importFiles({ ...rest, 'config.json': bare })).manifest
  assert.deepEqual([text.bosToken, text.bosId, text.addBos], ['<s>', 1, true])
  assert.deepEqual(text.endIds, [2])
  const processor = { type: 'ByteLevel' }
  const without = { ...rest, 'tokenizer.json': { ...bpe, post_processor: processor } }
  assert.equal((await importFiles(without)).manifest.text.bosToken, undefined)
})

test('a SentencePiece model', async () => {
  const pieces = [
    pieceHex('<unk>', '00000000', 2),
    pieceHex('<s>', '00000000', 3),
    pieceHex('</s>', '00000000', 3),
    pieceHex('<0x0A>', '00000000', 6),
    pieceHex('▁', '000080bf'),
    pieceHex('a', '000000c0'),
    pieceHex('▁a', '000040c0'),
  ]
  // trainer_spec: model_type 2 (BPE); ids as they are by default.
  const model = (type: string, more = '') =>
    new Uint8Array(Buffer.from(`${pieces.join('')}120218${type}${more}`, 'hex'))
  const { 'tokenizer.json': _, ...rest } = files
  const withModel = (bytes: Uint8Array): Files => ({
    ...rest,
    'tokenizer.model': bytes,
    'tokenizer_config.json': {
      chat_template: 'hi',
      added_tokens_decoder: { 8: { content: '<|end|>', special: true } },
    },
  })
  const { text } = (await importFiles(withModel(model('02')))).manifest
  assert.deepEqual([text.bosId, text.addBos, text.chatTemplate], [1, true, 'hi'])
  assert.deepEqual(text.endIds, [2, 3, 8])
  const tokenizer = new Tokenizer(text)
  assert.deepEqual(tokenizer.encode('aa', { bos: true }), [1, 6, 5])
  assert.deepEqual(tokenizer.encode('a<|end|>', { control: { foreign: [] } }), [6, 8])
  // normalizer_spec: no space before the text.
  const bare = (await importFiles(withModel(model('02', '1a021800')))).manifest.text
  assert.deepEqual(new Tokenizer(bare).encode('aa'), [5, 5])
  await refused(withModel(model('01')), 'unsupported', /no BPE/)
  await refused(withModel(new Uint8Array(64).fill(0xff)), 'bad-file', /no SentencePiece model/)
  await refused(withModel(new Uint8Array(0)), 'bad-file', /0 tokens/)
})

test('a folder on disk', async (t) => {
  const path = await mkdtemp(join(tmpdir(), 'mdi-folder-'))
  t.after(() => rm(path, { recursive: true }))
  const inside = join(path, 'My Model')
  await mkdir(inside)
  await writeFile(join(path, 'secret.json'), '{}')
  for (const [name, content] of Object.entries(files))
    await writeFile(
      join(inside, name),
      content instanceof Uint8Array ? content : JSON.stringify(content),
    )
  const folder = openFolder(`${inside}/`)
  assert.equal(await folder.open('../secret.json'), undefined)
  assert.equal(await folder.open('nothing.json'), undefined)
  const { manifest } = await importSafetensors(folder, new MemoryRecords(), {
    textSpec: textSpecFromGguf,
  })
  await folder.close()
  assert.equal(manifest.name, 'My-Model')
  assert.equal(manifest.source.file, 'My Model')
})
