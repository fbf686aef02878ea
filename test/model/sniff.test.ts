/** Files that are no model: the sentence says what they are. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { specFromGguf } from '../../services/model/architecture.ts'
import { readFolderJson } from '../../services/model/folder.ts'
import { readGguf } from '../../services/model/gguf.ts'
import { Keys } from '../../services/model/keys.ts'
import { readSafetensors } from '../../services/model/safetensors.ts'
import { otherKind, whatIs } from '../../services/model/sniff.ts'
import { memorySource } from '../../services/model/source.ts'
import { randomModel } from '../fakes/model.ts'

const lfs = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 98362432\n'
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'))

test('a file that is no GGUF file is named', async () => {
  const rows: [head: string, what: RegExp][] = [
    [lfs, /Git LFS pointer/],
    ['/annex/objects/SHA256E-s1--0.gguf\n', /git-annex pointer/],
    ['<!DOCTYPE html><title>Log in</title>', /a web page/],
    ['\n<HTML>', /a web page/],
    ['{"error":"Repository not found"}', /server's error/],
    ['{"a": 1} and so on', /a JSON text/],
    ['PK\x03\x04 pytorch_model', /ZIP archive, as PyTorch/],
    ['\x1f\x8b\x08 rest', /gzip/],
    ['\x28\xb5\x2f\xfd rest', /compressed/],
    ['\x80\x02}q\x00 rest', /pickle/],
    ['\x40\0\0\0\0\0\0\0{"__metadata__":{}}', /a safetensors file/],
    ['\0'.repeat(100), /full of zeros/],
    ['', /empty/],
    ['\x54\x01\0\0\x17\0\0\0blk.0.attn_k.weight', /importance matrix/],
  ]
  for (const [head, what] of rows) {
    const message = new RegExp(`^x\\.gguf is not a GGUF file: it is .*${what.source}`)
    await assert.rejects(readGguf(memorySource(bytes(head), 'x.gguf')), {
      code: 'bad-file',
      message,
    })
  }
  const unknown = readGguf(memorySource(bytes('something else'), 'x.gguf'))
  await assert.rejects(unknown, { message: 'x.gguf is not a GGUF file.' })
  assert.equal(whatIs(bytes('GGUF\x03\0\0\0')), undefined)
})

test('a GGUF file that is no model is named', async () => {
  const rows: [type: unknown, architecture: string, tensors: string[], what: RegExp][] = [
    ['adapter', 'llama', [], /LoRA adapter/],
    [undefined, 'llama', ['blk.0.attn_q.weight.lora_a'], /LoRA adapter/],
    ['imatrix', 'llama', [], /importance matrix/],
    [undefined, '', ['blk.0.attn_q.weight.in_sum2', 'blk.0.attn_q.weight.counts'], /importance/],
    ['mmproj', 'clip', ['v.patch_embd.weight'], /images or sound/],
    [undefined, 'clip', ['v.patch_embd.weight'], /images or sound/],
    [undefined, 'llama', [], /vocabulary without a model/],
  ]
  for (const [type, architecture, tensors, what] of rows)
    assert.match(otherKind(type, architecture, tensors) ?? '', what)
  assert.equal(otherKind('model', 'llama', ['token_embd.weight']), undefined)
  const source = memorySource(await randomModel(), 'adapter.gguf')
  const gguf = await readGguf(source)
  const metadata = new Map(gguf.metadata).set('general.type', 'adapter')
  await assert.rejects(specFromGguf(source, { ...gguf, metadata }), {
    code: 'bad-file',
    message: /^adapter\.gguf is a LoRA adapter/,
  })
})

test('pointers in place of files of a folder are named', async () => {
  const folder = { name: 'm', open: async () => memorySource(bytes(lfs), 'config.json') }
  await assert.rejects(readFolderJson(folder, 'config.json'), { message: /Git LFS pointer/ })
  const shard = memorySource(bytes(lfs), 'model.safetensors')
  await assert.rejects(
    readSafetensors(shard, () => false),
    { message: /Git LFS pointer/ },
  )
})

test('a number for each layer is taken where all are equal, and refused by name where not', () => {
  const keys = (value: unknown) => new Keys('x', 'llama.', () => value)
  for (const equal of [Int32Array.of(2, 2), Uint32Array.of(2), [2, 2, 2], 2])
    assert.equal(keys(equal).count('attention.head_count_kv', 8), 2)
  for (const mixed of [Int32Array.of(2, 4), [2, 4]])
    assert.throws(() => keys(mixed).count('attention.head_count_kv', 8), {
      code: 'unsupported',
      message: /"llama\.attention\.head_count_kv" differs from layer to layer/,
    })
  for (const none of [[], Int32Array.of(), ['a', 'b'], [[2], [2]]])
    assert.throws(() => keys(none).count('x', 8), { code: 'bad-file', message: /not one number/ })
  assert.throws(() => keys(Int32Array.of(0, 0)).count('x', 8), { message: /from 1 to 8/ })
})
