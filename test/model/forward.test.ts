import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { openFile } from '../../services/io/file.ts'
import { memorySource } from '../../services/model/source.ts'
import { randomModel } from '../fakes/model.ts'
import { realModel, sharedFile } from '../harness/shared.ts'
import { logSoftmax, ReferenceModel } from './forward.ts'

test('a random model has sane logits, and the past matters', async () => {
  const model = await ReferenceModel.open(memorySource(await randomModel({}, { type: 'F32' })))
  const logits = model.forward([5, 6, 7, 8]).at(-1) as Float32Array
  const deviation = Math.sqrt(logits.reduce((s, l) => s + l * l, 0) / logits.length)
  assert.ok(deviation > 0.3 && deviation < 3, `${deviation}`)
  model.reset()
  assert.deepEqual(model.forward([5, 6, 7, 8]).at(-1), logits)
  model.reset()
  assert.notDeepEqual(model.forward([6, 5, 7, 8]).at(-1), logits)
})

type Prompt = { ids: number[]; greedy: number[]; top: [number[], number[]][] }
const reference = sharedFile('models/reference.json')
const real = realModel()
// Half a minute of plain loops: only where it is asked for.
const slow = process.env.MDI_SLOW && reference && real ? false : 'MDI_SLOW is not set'

test('the plain forward pass agrees with an independent one', { skip: slow }, async () => {
  const source = await openFile(real as string)
  const model = await ReferenceModel.open(source)
  const prompts = JSON.parse(readFileSync(reference as string, 'utf8')) as Prompt[]
  for (const { ids, greedy, top } of prompts.slice(0, 2)) {
    model.reset()
    let logits = model.forward(ids).at(-1) as Float32Array
    for (const [step, token] of greedy.slice(0, 8).entries()) {
      const have = logSoftmax(logits)
      const [best, wanted] = top[step] as [number[], number[]]
      assert.equal(have.indexOf(Math.max(...have)), best[0])
      for (let i = 0; i < 10; i++) {
        const difference = (have[best[i] as number] as number) - (wanted[i] as number)
        assert.ok(Math.abs(difference) < 1e-4, `${difference}`)
      }
      logits = model.forward([token])[0] as Float32Array
    }
  }
  await source.close()
})
