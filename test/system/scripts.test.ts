/** The scripts that a person runs: the demonstration and the comparison with a reference. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readGguf } from '../../services/model/gguf.ts'
import { memorySource } from '../../services/model/source.ts'
import { textSpecFromGguf } from '../../services/model/text.ts'
import { Tokenizer } from '../../services/model/tokenizer.ts'
import { randomModel } from '../fakes/model.ts'
import { finished, type Ran } from '../harness/cli.ts'
import { bounds, type Case, divergence, missed, readReference } from '../harness/compare.ts'
import { logSoftmax, ReferenceModel } from '../model/forward.ts'

const folder = mkdtempSync(join(tmpdir(), 'mdi-scripts-'))
const temporary = join(folder, 'tmp')
mkdirSync(temporary)
after(() => rmSync(folder, { recursive: true }))

/** Starts a script with a folder for temporary files that must be empty again at the end. */
const start = (name: string, ...words: string[]) => {
  const script = fileURLToPath(new URL(`../../scripts/${name}.ts`, import.meta.url))
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...words], {
    env: { ...process.env, TMPDIR: temporary, MALLOC_MMAP_THRESHOLD_: '65536' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}
const run = (name: string, ...words: string[]): Promise<Ran> => finished(start(name, ...words))

const nothingLeft = () => assert.deepEqual(readdirSync(temporary), [])

test('the demonstration answers several prompts at once, and leaves nothing', async () => {
  const words = [
    '--json',
    '--nodes',
    '2',
    '--greedy',
    '--max-tokens',
    '4',
    '--prompt',
    'one',
    '--prompt',
    'two',
  ]
  const ran = await run('demo', ...words)
  assert.equal(ran.code, 0, ran.stderr)
  const { nodes, answers } = JSON.parse(ran.stdout) as {
    nodes: { layers: number; residentBytes: number }[]
    answers: { tokens: number; prompt: string }[]
  }
  assert.ok(nodes.length === 2 && nodes.every((n) => n.layers > 0 && n.residentBytes > 1e6))
  assert.deepEqual(
    answers.map((a) => a.prompt),
    ['one', 'two'],
  )
  nothingLeft()
})

test('stopped or failed, the demonstration leaves nothing either', async () => {
  const child = start('demo')
  const ran = finished(child)
  child.stdout?.on('data', (text: string) => {
    if (text.includes('Building')) child.kill('SIGINT')
  })
  const { code, stderr } = await ran
  assert.equal(code, 130, stderr)
  nothingLeft()
  writeFileSync(join(folder, 'bad.gguf'), 'no model')
  const failed = await run('demo', '--model', join(folder, 'bad.gguf'))
  assert.equal(failed.code, 1)
  assert.match(failed.stderr, /^mdi: bad\.gguf is not a GGUF file\.\n$/)
  nothingLeft()
})

const PROMPT = 'tea in the rain'
const STEPS = 6

/** What plain loops over dequantized weights make of a model. */
const referenceOf = async (file: Uint8Array): Promise<Case> => {
  const text = `<|im_start|>user\n${PROMPT}<|im_end|>\n<|im_start|>assistant\n`
  const { metadata } = await readGguf(memorySource(file))
  const ids = new Tokenizer(textSpecFromGguf(metadata)).encode(text, { control: { foreign: [] } })
  const model = await ReferenceModel.open(memorySource(file))
  const made: Case = { prompt: PROMPT, text, ids, greedy: [], margin: [], top: [] }
  let logits = model.forward(ids).at(-1) as Float32Array
  for (let step = 0; step < STEPS; step++) {
    const logs = logSoftmax(logits)
    const best = [...logs.keys()].sort((a, b) => (logs[b] as number) - (logs[a] as number))
    const top = best.slice(0, 64)
    made.greedy.push(top[0] as number)
    made.margin.push((logs[top[0] as number] as number) - (logs[top[1] as number] as number))
    made.top.push([top, top.map((id) => logs[id] as number)])
    logits = model.forward([top[0] as number])[0] as Float32Array
    if (top[0] === 2) break
  }
  return made
}

test('a model agrees with plain loops, and a reference that is wrong is missed', async () => {
  const file = await randomModel({}, { type: 'Q4_1', seed: 5 })
  const model = join(folder, 'small.gguf')
  const reference = join(folder, 'reference.json')
  writeFileSync(model, file)
  const right = await referenceOf(file)
  writeFileSync(reference, JSON.stringify([right]))
  const ran = await run('verify', model, reference, '--json')
  assert.equal(ran.code, 0, ran.stdout + ran.stderr)
  const document = JSON.parse(ran.stdout) as { all: { kl: number }; missed: string[] }
  assert.ok(Math.abs(document.all.kl) < 1e-6, `${document.all.kl}`)
  const wrong = structuredClone(right)
  const [ids] = wrong.top[0] as [number[], number[]]
  ids.reverse()
  wrong.text += ' '
  writeFileSync(reference, JSON.stringify([wrong]))
  const failed = await run('verify', model, reference)
  assert.equal(failed.code, 1)
  assert.match(failed.stdout, /MISSED: The template's text differs for "tea in the rain"\./)
  assert.match(failed.stdout, /MISSED: KL is /)
  writeFileSync(reference, '[{"prompt": 1}]')
  const refused = await run('verify', model, reference)
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /^mdi: reference\.json: [^\n]+\n$/)
  nothingLeft()
})

test('divergence and bounds, worked out by hand', () => {
  const half = Math.log(0.5)
  const quarter = Math.log(0.25)
  assert.equal(divergence([half, half], [half, half]), 0)
  // ½·ln(½ ÷ ¼) + ½ of the rest against ¾ of it: ½·ln 2 + ½·ln(½ ÷ ¾)
  const want = 0.5 * Math.log(2) + 0.5 * Math.log(2 / 3)
  assert.ok(Math.abs(divergence([half], [quarter]) - want) < 1e-15)
  const good = {
    prompt: 'p',
    textEqual: true,
    idsEqual: true,
    steps: 100,
    bits: '',
    kl: 0.005,
    same: 94,
    clear: 90,
    clearSame: 86,
    greedySame: 3,
    greedyEqual: false,
  }
  assert.deepEqual(missed([good], 'fast'), [])
  assert.equal(missed([good], 'exact').length, 3)
  assert.equal(missed([{ ...good, same: 93 }], 'fast').length, 1)
  assert.equal(missed([{ ...good, kl: Number.NaN }], 'fast').length, 1)
  assert.equal(bounds.exact.kl, 1e-4)
  assert.throws(() => readReference('[]', 'r.json'), { code: 'bad-file' })
  assert.throws(() => readReference('{', 'r.json'), { message: 'r.json is not JSON.' })
})
