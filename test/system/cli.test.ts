/** The command line with real processes: what people do with it, also wrongly. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { LocalStore } from '../../services/io/store/operations.ts'
import { randomModel } from '../fakes/model.ts'
import { modelFolder } from '../fakes/modelfolder.ts'
import { buildBundle, finished, type Ran, runMdi, startMdi } from '../harness/cli.ts'

const folder = mkdtempSync(join(tmpdir(), 'mdi-cli-'))
const data = join(folder, 'data')
const at = (name: string): string => join(folder, name)
const mdi = { data, entry: join(folder, 'mdi', 'mdi.cjs') }

/** One sentence for the person, no stack, the exit status of its kind. */
const refused = (ran: Ran, sentence: RegExp, code = 1): void => {
  assert.equal(ran.code, code, ran.stderr)
  assert.match(ran.stderr, sentence)
  assert.match(
    ran.stderr,
    /^(mdi|error): [^\n]+\n(\(Did you mean [^\n]+\n)?(\(see: mdi --help\)\n)?$/,
  )
  assert.equal(ran.stdout, '')
}

before(async () => {
  mkdirSync(data)
  buildBundle(join(folder, 'mdi'))
  writeFileSync(at('small.gguf'), await randomModel({ context: 128 }, { type: 'Q4_0' }))
  writeFileSync(at('other.gguf'), await randomModel({}, { type: 'Q4_1', seed: 2 }))
  const ran = await runMdi(mdi, 'import', at('small.gguf'))
  assert.equal(ran.code, 0, ran.stderr)
  assert.match(ran.stdout, /^Imported small: \d+K parameters, 2 layers, /)
})
after(() => rmSync(folder, { recursive: true }))

test('help and version', async () => {
  const help = await runMdi(mdi, '--help')
  assert.equal(help.code, 0)
  for (const word of ['import', 'models', 'remove', 'generate', 'chat', 'bench'])
    assert.match(help.stdout, new RegExp(`^  ${word}\\b`, 'm'))
  const generate = await runMdi(mdi, 'generate', '--help')
  assert.equal(generate.code, 0)
  assert.match(generate.stdout, /--arithmetic/)
  const version = await runMdi(mdi, '--version')
  assert.equal(version.code, 0)
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/)
})

/** One thread more than this machine has cores. */
const tooMany = `${availableParallelism() + 1}`

test('usage that is wrong ends with 2 and one sentence', async () => {
  const wrong: [string[], RegExp][] = [
    [['imprt'], /unknown command 'imprt'/],
    [['import'], /missing required argument 'path'/],
    [['generate', '--nonsense', 'x'], /unknown option '--nonsense'/],
    [['generate', '--max-tokens', 'many', 'x'], /whole number of at least 1/],
    [['generate', '--max-tokens', '0', 'x'], /whole number of at least 1/],
    [['generate', '--arithmetic', 'sloppy', 'x'], /It is exact or fast/],
    [['generate', '--memory', 'much', 'x'], /a size such as 600M/],
    [['import', 'x.gguf', '--weights', '3'], /It is 8, 4 or keep/],
    [['generate', '--threads', tooMany, 'x'], /from 1 to \d+, the cores here/],
    [['node', '--threads', tooMany], /from 1 to \d+, the cores here/],
  ]
  await Promise.all(
    wrong.map(async ([words, sentence]) => refused(await runMdi(mdi, ...words), sentence, 2)),
  )
})

test('what is not there is named', async () => {
  refused(
    await runMdi(mdi, 'import', at('no.gguf')),
    /Cannot read .*no\.gguf: there is no such file/,
  )
  refused(await runMdi(mdi, 'import', folder), /has several models; name one: .*small\.gguf/)
  refused(await runMdi(mdi, 'generate', '--model', 'no', 'x'), /no model no; there are: small/)
  refused(await runMdi(mdi, 'remove', 'no'), /There is no model no/)
  const empty = { ...mdi, data: join(folder, 'empty') }
  refused(await runMdi({ ...empty, cwd: folder }, 'generate', 'x'), /no model yet; get one with/)
})

test('an answer streams, has its figures, and is the same again with the same seed', async () => {
  const once = await runMdi(mdi, 'generate', '--raw', '--max-tokens', '12', '--seed', '5', 'tea')
  assert.equal(once.code, 0, once.stderr)
  assert.match(
    once.stderr,
    /^\(\d+ \+ \d+ tokens, first after \d+ ms, [\d.]+ tokens\/s(; cut at 12 tokens; --max-tokens N for more)?\)\n\(local: 2 layers, [\d.]+ MB\)\n$/,
  )
  const again = await runMdi(
    { ...mdi, input: 'tea' },
    ...['generate', '--raw', '--max-tokens', '12', '--seed', '5', '--quiet', '-'],
  )
  assert.equal(again.stdout, once.stdout)
  assert.equal(again.stderr, '')
})

type Document = {
  model: string
  nodes: { layers: number; residentBytes: number }[]
  answers: { prompt: string; tokens: number; reason: string }[]
}

test('several prompts at once, as one document', async () => {
  const words = ['generate', '--json', '--greedy', '--max-tokens', '9']
  const ran = await runMdi(mdi, ...words, 'one', 'two', 'three')
  assert.equal(ran.code, 0, ran.stderr)
  const { model, nodes, answers } = JSON.parse(ran.stdout) as Document
  assert.deepEqual(
    nodes.map((n) => [n.layers, n.residentBytes > 1e6]),
    [[2, true]],
  )
  assert.equal(model, 'small')
  assert.deepEqual(
    answers.map((a) => a.prompt),
    ['one', 'two', 'three'],
  )
  for (const { tokens, reason } of answers)
    assert.ok(reason === 'end' || (reason === 'length' && tokens === 9))
})

test('a prompt longer than the context, and more context than the model has', async () => {
  const long = 'word '.repeat(400)
  refused(
    await runMdi(mdi, 'generate', '--raw', long),
    /has (more than 128|\d{3,}) tokens\b.*[Ss]horten it/,
  )
  refused(
    await runMdi(mdi, 'generate', '--context', '129', 'x'),
    /small was made for 128 positions; a context of 129 is more/,
  )
})

test('a model that does not fit is refused beforehand, with the figures', async () => {
  refused(
    await runMdi(mdi, 'generate', '--memory', '100K', 'x'),
    /small needs 1\d\d MB here \(program and tokenizer 1\d\d MB, weights \d+ MB, working memory \d+ MB, cache \d+ MB for 128 positions\); \d+ MB are available/,
  )
})

test('values beyond their bounds', async () => {
  refused(await runMdi(mdi, 'generate', '--seed', '4294967296', 'x'), /A seed is below/)
  refused(await runMdi(mdi, 'generate', '--temperature=-1', 'x'), /emperature/)
  refused(await runMdi(mdi, 'generate', '--top-p', '7', 'x'), /--top-p must be a number above 0/)
})

test('a node refuses settings with more threads than it has cores', async () => {
  const node = {
    ...mdi,
    data: join(folder, 'node'),
    cwd: folder,
    env: { MDI_ENGINE_THREADS: tooMany },
  }
  refused(
    await runMdi(node, 'node', '--broker', 'mqtt://127.0.0.1:9', '--host', '127.0.0.1'),
    new RegExp(`engine\\.threads is ${tooMany}, but this machine has \\d+ cores`),
  )
})

test('an answer that a limit has cut says so, and how to have more', async () => {
  const help = (await runMdi(mdi, 'generate', '--help')).stdout.replace(/\s+/g, ' ')
  assert.match(help, /tokens of the answer at most; otherwise 512/)
  assert.match(help, /otherwise the model's own, 4096 at most/)
  // No end token comes in two of its few hundred tokens, by this seed.
  const words = ['--max-tokens', '2', '--seed', '5']
  const few = await runMdi(mdi, 'generate', '--raw', ...words, 'tea')
  assert.match(few.stderr, /; cut at 2 tokens; --max-tokens N for more\)/)
  const chat = await runMdi({ ...mdi, input: 'tea\n' }, 'chat', ...words)
  assert.match(chat.stderr, /^\(cut at 2 tokens; --max-tokens N for more\)$/m)
  const room = await runMdi(
    mdi,
    'generate',
    '--raw',
    '--context',
    '16',
    '--seed',
    '5',
    'tea for ten',
  )
  assert.match(room.stderr, /cut where the context was full; --context N for more/)
})

test('--system is refused where there is no place for it', async () => {
  const raw = await runMdi(mdi, 'generate', '--raw', '--system', 'Be brief.', 'x')
  refused(raw, /With --raw there is no place for --system/, 2)
  const path = at('plain')
  mkdirSync(path)
  for (const [name, bytes] of Object.entries(modelFolder())) writeFileSync(join(path, name), bytes)
  const plain = { ...mdi, data: at('plain') }
  assert.equal((await runMdi(plain, 'import', path)).code, 0)
  const ran = await runMdi(plain, 'generate', '--system', 'Be brief.', 'x')
  assert.match(ran.stderr, /mdi: plain has no chat template, so there is no place for --system/)
  assert.equal(ran.code, 1)
})

test('Ctrl-C ends an answer at once, with what was there, and status 130', async () => {
  const child = startMdi(mdi, ['generate', '--raw', '--max-tokens', '100', '--seed', '1', 'tea'])
  const ran = finished(child)
  // The first text is out: the answer runs.
  child.stdout?.once('data', () => child.kill('SIGINT'))
  const { code, stdout, stderr } = await ran
  // A short answer may have ended by itself just before.
  assert.ok(code === 130 || code === 0, stderr)
  assert.ok(stdout.length > 0)
  assert.doesNotMatch(stderr, /bug/)
})

test('a chat answers line by line and ends with its input', async () => {
  const words = ['chat', '--max-tokens', '5', '--seed', '3']
  const ran = await runMdi({ ...mdi, input: 'hello\n\nand again\n' }, ...words)
  assert.equal(ran.code, 0, ran.stderr)
  assert.ok(ran.stdout.split('\n').length >= 3, JSON.stringify(ran.stdout))
})

test('Ctrl-C in a chat stops the answer and not the chat', async () => {
  const child = startMdi(mdi, ['chat', '--max-tokens', '90', '--seed', '4'])
  const ran = finished(child)
  child.stdin?.write('hello\n')
  child.stdout?.once('data', () => {
    child.kill('SIGINT')
    child.stdin?.end('again\n')
  })
  const { code, stdout, stderr } = await ran
  assert.equal(code, 0, stderr)
  assert.ok(stdout.trimEnd().includes('\n'), 'there are two answers')
})

test('models are listed, as a table and as a document, and removed', async () => {
  assert.equal((await runMdi(mdi, 'import', at('other.gguf'), '--name', 'second')).code, 0)
  refused(await runMdi(mdi, 'generate', 'x'), /Say which model with --model: /)
  const table = await runMdi(mdi, 'models')
  assert.match(table.stdout, /^MODEL +FAMILY +PARAMETERS +LAYERS +CONTEXT +DISK +MEMORY +FITS\n/)
  const listed = await runMdi(mdi, 'models', '--json')
  const { models } = JSON.parse(listed.stdout) as { models: { name: string }[] }
  assert.deepEqual(models.map((m) => m.name).sort(), ['second', 'small'])
  // The engine's files of it go with it, and no other model's.
  const runtime = () => readdirSync(join(mdi.data, 'runtime')).filter((f) => f.endsWith('.bin'))
  const before = runtime()
  const ran = await runMdi(mdi, 'generate', '--model', 'second', '--max-tokens', '2', 'x')
  assert.equal(ran.code, 0, ran.stderr)
  assert.ok(runtime().length > before.length)
  const removed = await runMdi(mdi, 'remove', 'second')
  assert.deepEqual(runtime(), before)
  assert.match(removed.stdout, /^Removed second; .* are free again\.\n$/)
  assert.doesNotMatch((await runMdi(mdi, 'models')).stdout, /second/)
})

test('beside a process that has the store, an export reads it and a removal touches nothing', async () => {
  const place = at('held')
  const held = { ...mdi, data: place }
  mkdirSync(place)
  assert.equal((await runMdi(held, 'import', at('other.gguf'), '--name', 'one')).code, 0)
  mkdirSync(join(place, 'downloads', 'one', 'x'), { recursive: true })
  const service = new LocalStore({ folder: place })
  try {
    refused(await runMdi(held, 'remove', 'one'), /is in use by process/)
    refused(await runMdi(held, 'remove', '--unfinished'), /is in use by process/)
    assert.ok(existsSync(join(place, 'downloads', 'one', 'x')))
    const exported = await runMdi(held, 'export', 'one', at('held-stick'))
    assert.equal(exported.code, 0, exported.stderr)
  } finally {
    service.close()
  }
  const again = await runMdi(
    { ...held, data: at('held-other'), cwd: folder },
    'import',
    at('held-stick'),
  )
  assert.equal(again.code, 0, again.stderr)
})

test('what strangers write into a file does not reach the terminal as a command', async () => {
  const keys = { 'tokenizer.ggml.model': { type: 'string', value: '\u001b[2Jgpt9' } } as const
  writeFileSync(at('escape.gguf'), await randomModel({}, { keys }))
  const ran = await runMdi(mdi, 'import', at('escape.gguf'))
  refused(ran, /gpt9/)
  assert.ok(!ran.stderr.includes('\u001b'), JSON.stringify(ran.stderr))
})

test('a model that names no end token imports, and that is said', async () => {
  const files = modelFolder()
  const path = at('endless')
  mkdirSync(path)
  for (const [name, bytes] of Object.entries(files))
    if (name !== 'tokenizer_config.json') writeFileSync(join(path, name), bytes)
  const change = (name: string, from: string, to: string) =>
    writeFileSync(join(path, name), String(Buffer.from(files[name] ?? [])).replaceAll(from, to))
  change('config.json', 'eos_token_id', 'no_token_id')
  change('tokenizer.json', '</s>', '<other>')
  const ran = await runMdi({ ...mdi, data: at('endless') }, 'import', path)
  assert.equal(ran.code, 0, ran.stderr)
  assert.match(ran.stderr, /^endless names no token that ends an answer: .*--max-tokens/m)
})

test('bench measures', async () => {
  const ran = await runMdi(mdi, 'bench', '--prompt', '20', '--tokens', '5', '--json')
  assert.equal(ran.code, 0, ran.stderr)
  const figures = JSON.parse(ran.stdout) as Record<string, number>
  for (const key of ['prefillTokensPerSecond', 'decodeTokensPerSecond', 'residentBytes'])
    assert.ok((figures[key] as number) > 0, key)
})
