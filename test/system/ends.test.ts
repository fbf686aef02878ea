/** How commands end when output, input or surroundings are not as assumed; with real processes. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { randomModel } from '../fakes/model.ts'
import { buildBundle, finished, runMdi, runMdiIn, startMdi } from '../harness/cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'mdi-ends-'))
const data = join(folder, 'data')
const mdi = { data, entry: join(folder, 'mdi', 'mdi.cjs') }
const answer = ['generate', '--greedy', '--arithmetic', 'exact', '--max-tokens', '200']
const root = process.getuid?.() === 0

before(async () => {
  chmodSync(folder, 0o755)
  mkdirSync(data)
  buildBundle(join(folder, 'mdi'))
  writeFileSync(join(folder, 'Toy.Q4_0.gguf'), await randomModel({}, { type: 'Q4_0' }))
  const ran = await runMdi(mdi, 'import', join(folder, 'Toy.Q4_0.gguf'))
  assert.match(ran.stdout, /^Imported Toy: /)
})
after(() => rmSync(folder, { recursive: true }))

/** Runs a command whose output goes to a full disk. */
const intoFull = (...words: string[]) => {
  const full = openSync('/dev/full', 'w')
  return finished(startMdi(mdi, words, { stdio: ['pipe', full, 'pipe'] }))
}

test('output on a full disk is one sentence and status 1, whatever is written', async () => {
  const commands = [
    [...answer, '--quiet', 'a'],
    [...answer, 'a', 'b'],
    [...answer, '--json', 'a'],
    ['models'],
    ['models', '--json'],
    ['--help'],
    ['export', 'toy', join(folder, 'stick')],
  ]
  for (const words of commands) {
    const { code, signal, stderr } = await intoFull(...words)
    assert.deepEqual([code, signal], [1, null], `${words}: ${stderr}`)
    assert.equal(stderr, 'mdi: The output cannot be written: the disk is full.\n', `${words}`)
  }
  const child = startMdi(mdi, ['chat', '--max-tokens', '50'], {
    stdio: ['pipe', openSync('/dev/full', 'w'), 'pipe'],
  })
  child.stdin?.end('hello\nagain\n')
  const { code, stderr } = await finished(child)
  assert.equal(code, 1)
  assert.match(stderr, /^mdi: The output cannot be written: the disk is full\.$/m)
})

test('a reader that goes away is no error, and the process ends by itself', async () => {
  for (const words of [[...answer, '--quiet', 'a'], ['models'], ['chat', '--max-tokens', '200']]) {
    const child = startMdi(mdi, words)
    child.stdin?.end('hello\nagain\n')
    child.stdout?.once('data', () => child.stdout?.destroy())
    const { code, signal, stderr } = await finished(child)
    assert.deepEqual([code, signal], [0, null], `${words}: ${stderr}`)
    assert.doesNotMatch(stderr, /terminate|Error/)
  }
})

test('nobody who reads the figures changes nothing', async () => {
  const child = startMdi(mdi, [...answer, 'a'], {
    stdio: ['pipe', 'pipe', openSync('/dev/full', 'w')],
  })
  const { code, stdout } = await finished(child)
  assert.equal(code, 0)
  assert.ok(stdout.length > 1)
})

test('a second Ctrl-C ends the process at once, with status 130 and without an abort', async () => {
  const child = startMdi(mdi, [...answer, '--max-tokens', '4000', '--context', '256', 'a'])
  const ran = finished(child)
  child.stdout?.once('data', () => {
    child.kill('SIGINT')
    child.kill('SIGINT')
  })
  const { code, signal, stderr } = await ran
  assert.deepEqual([code, signal], [130, null], stderr)
  assert.doesNotMatch(stderr, /terminate/)
})

test('what Windows writes is read, and what is no text is refused', async () => {
  const tokens = async (input: Buffer | string): Promise<number | string> => {
    const child = startMdi(mdi, ['generate', '--json', '--max-tokens', '1', '-'])
    child.stdin?.end(input)
    const { code, stdout, stderr } = await finished(child)
    return code === 0 ? JSON.parse(stdout).answers[0].promptTokens : stderr
  }
  const text = 'Grüße an 3 Räume'
  const plain = await tokens(text)
  assert.equal(typeof plain, 'number')
  const big = Buffer.from(`\ufeff${text}`, 'utf16le').swap16()
  const inputs = [Buffer.from(`\ufeff${text}`), Buffer.from(`\ufeff${text}`, 'utf16le'), big]
  for (const input of inputs) assert.equal(await tokens(input), plain)
  for (const input of [Buffer.from(text, 'latin1'), Buffer.from(text, 'utf16le')])
    assert.match(String(await tokens(input)), /^mdi: Standard input is not a text in UTF-8/)
  const twice = await runMdi(mdi, 'generate', '-', '-')
  assert.deepEqual([twice.code, twice.stdout], [2, ''])
  assert.match(twice.stderr, /can be one of the prompts only/)
})

test('names in another case and beginnings are enough, but not for removing', async () => {
  for (const name of ['toy', 'TOY', 'To']) {
    const ran = await runMdi(mdi, 'generate', '--model', name, '--max-tokens', '1', 'a')
    assert.equal(ran.code, 0, ran.stderr)
  }
  const part = await runMdi(mdi, 'remove', 'to')
  assert.match(part.stderr, /There is no model to; there are: Toy/)
  const data = join(folder, 'other')
  mkdirSync(data)
  await runMdi({ ...mdi, data }, 'import', join(folder, 'Toy.Q4_0.gguf'))
  assert.match((await runMdi({ ...mdi, data }, 'remove', 'tOY')).stdout, /^Removed Toy;/)
})

/** As a user without an entry in the system's list. */
const stranger = ['setpriv', '--reuid', '54321', '--regid', '54321', '--clear-groups']
const skip = root ? false : 'only root may run commands as others'

test('a user without a home needs --data only, and is told so', { skip }, async () => {
  const own = join(folder, 'strangers')
  mkdirSync(own)
  chownSync(own, 54_321, 54_321)
  const env = [...stranger, 'env', '-u', 'HOME', '-u', 'MDI_DATA']
  const none = await runMdiIn({ ...mdi, cwd: folder }, env, 'models')
  assert.deepEqual([none.code, none.stdout], [2, ''])
  assert.match(none.stderr, /^mdi: There is no home folder here .*--data FOLDER or MDI_DATA/)
  const some = await runMdiIn({ ...mdi, cwd: folder }, env, '--data', own, 'models')
  assert.equal(some.code, 0, some.stderr)
})

test("another's models: what may be read is listed, what may not is said", { skip }, async () => {
  const theirs = join(folder, 'theirs')
  mkdirSync(theirs)
  await runMdi({ ...mdi, data: theirs }, 'import', join(folder, 'Toy.Q4_0.gguf'))
  const look = () => runMdiIn({ ...mdi, data: theirs, cwd: folder }, stranger, 'models')
  chmodSync(theirs, 0o555)
  const listed = await look()
  assert.match(listed.stdout, /^Toy +llama/m, listed.stderr)
  chmodSync(theirs, 0o700)
  const hidden = await look()
  assert.deepEqual([hidden.code, hidden.stdout], [1, ''])
  assert.match(hidden.stderr, /cannot be seen: it is another user's.*--data/)
  chmodSync(theirs, 0o755)
  chmodSync(join(theirs, 'models.sqlite'), 0o600)
  assert.match((await look()).stderr, /cannot be seen/)
  const file = await runMdi({ ...mdi, data: join(folder, 'Toy.Q4_0.gguf'), cwd: folder }, 'models')
  assert.match(file.stderr, /cannot be seen: it is no folder/)
})
