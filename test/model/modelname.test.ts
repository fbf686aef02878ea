import assert from 'node:assert/strict'
import { test } from 'node:test'
import { meantNames, modelName, shortName } from '../../services/model/modelname.ts'

test('names', () => {
  assert.equal(modelName('../my model (1).GGUF'), 'my-model-1-')
  assert.equal(modelName('.gguf'), 'model')
  const rows: [file: string, name: string][] = [
    ['SmolLM2-135M-Instruct.Q4_1.gguf', 'SmolLM2-135M-Instruct'],
    ['gemma-3-1b-it-Q4_K_M.gguf', 'gemma-3-1b-it'],
    ['qwen3-0.6b-UD-Q4_K_XL.gguf', 'qwen3-0.6b'],
    ['tiny_iq4_nl.gguf', 'tiny'],
    ['Phi-3-mini-4k-instruct-fp16.gguf', 'Phi-3-mini-4k-instruct'],
    ['a-BF16-00001-of-00002.gguf', 'a'],
    ['Q4_0.gguf', 'Q4_0'],
    ['model-v0.2', 'model-v0.2'],
    ['my-Q-model.gguf', 'my-Q-model'],
  ]
  for (const [file, name] of rows) assert.equal(shortName(modelName(file)), name, file)
})

test('which model a person may mean', () => {
  const names = ['SmolLM2-135M-Instruct', 'smollm2-1.7b', 'Qwen3', 'qwen3']
  const rows: [given: string, meant: string[]][] = [
    ['smollm2-135m-instruct', ['SmolLM2-135M-Instruct']],
    ['smollm2-135', ['SmolLM2-135M-Instruct']],
    ['smollm2', ['SmolLM2-135M-Instruct', 'smollm2-1.7b']],
    ['qwen3', ['qwen3']],
    ['QWEN3', ['Qwen3', 'qwen3']],
    ['wen3', []],
    ['', []],
  ]
  for (const [given, meant] of rows) assert.deepEqual(meantNames(names, given), meant, given)
})
