/**
 * A voice pipeline without a microphone: sentences are spoken by espeak-ng into a WAV,
 * recognized by pocketsphinx under a grammar, answered by a ring through Wyoming, and the answer
 * is spoken again. Prints what each step took, and how much was right.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { Cluster } from '../test/harness/cluster.ts'
import { endInOrder, freePort, Place } from '../test/harness/processes.ts'
import { importInto } from '../test/harness/rings.ts'
import { expectedOf } from '../test/harness/spoken.ts'
import { type Heard, say } from '../test/harness/voiceclient.ts'
import { readWave, resampled, writeWave } from '../test/harness/wave.ts'

const firmware = join(import.meta.dirname, '../firmware/model')
const program = new Command('voice-demo')
  .description('speak to a ring, and hear what it answers')
  .option('--model <file>', 'a GGUF file', join(firmware, 'house.gguf'))
  .option('--speech <folder>', 'grammar.jsgf and sentences.txt', join(firmware, 'speech'))
  .option('--nodes <n>', 'nodes', Number, 3)
  .option('--count <n>', 'sentences', Number, 50)
  .option('--say <text...>', 'these sentences instead')
  .option('--keep <folder>', 'keep the sounds there (WAV)')
  .option('--json', 'one JSON document at the end')
  .parse()
const options = program.opts<{
  model: string
  speech: string
  nodes: number
  count: number
  say?: string[]
  keep?: string
  json?: boolean
}>()

/** A clear voice, slow enough for the recognizer's model. */
const VOICE = ['-v', 'en-us+f2', '-s', '110']
/** Wide beams: the grammar is small, and what is pruned is lost. */
const BEAMS = [
  ...['-beam', '1e-100', '-wbeam', '1e-80', '-pbeam', '1e-100'],
  ...['-maxhmmpf', '-1', '-bestpath', 'no'],
]
const MODEL = '/usr/share/pocketsphinx/model/en-us'
const RECOGNIZER_HZ = 16_000
const SILENCE_MS = 300

const has = (name: string): boolean => spawnSync(name, ['--version']).error === undefined

const run = (name: string, words: readonly string[]): string => {
  const done = spawnSync(name, words, { encoding: 'utf8', maxBuffer: 1 << 26 })
  if (done.error) throw done.error
  if (done.status !== 0) throw new Error(`${name} failed: ${done.stderr.slice(0, 300)}`)
  return done.stdout
}

const speak = (text: string, file: string): void => {
  run('espeak-ng', [...VOICE, '-w', file, '--', text])
}

/** Debian 12 has the older program, Debian 13 the newer one, which writes JSON. */
const recognize = (file: string, grammar: string): string => {
  const shared = [
    ...['-hmm', `${MODEL}/en-us`, '-dict', `${MODEL}/cmudict-en-us.dict`, '-jsgf', grammar],
    ...BEAMS,
  ]
  if (has('pocketsphinx_continuous'))
    return run('pocketsphinx_continuous', ['-infile', file, '-logfn', '/dev/null', ...shared])
      .trim()
      .replace(/\s+/g, ' ')
  const line = run('pocketsphinx', [...shared, '-loglevel', 'ERROR', 'single', file])
  return String(Object(JSON.parse(line)).t ?? '').trim()
}

/** Words to change, add or drop to make one text of the other. */
const wordErrors = (said: string, heard: string): number => {
  const b = heard.split(' ').filter((w) => w !== '')
  let row = b.map((_, i) => i + 1)
  let first = 0
  for (const word of said.split(' ')) {
    const next: number[] = []
    let corner = first
    first += 1
    for (const [i, other] of b.entries()) {
      const up = row[i] as number
      const left = next[i - 1] ?? first
      next.push(Math.min(up + 1, left + 1, corner + (word === other ? 0 : 1)))
      corner = up
    }
    row = next
  }
  return row.at(-1) ?? first
}

const timed = <T>(work: () => T): [T, number] => {
  const start = performance.now()
  const value = work()
  return [value, performance.now() - start]
}

/** Whether what came back is what the sentence means; undefined: it means nothing by itself. */
const isRight = (said: string, { outcome }: Heard): boolean | undefined => {
  const expected = expectedOf(said)
  if (expected === undefined) return undefined
  const text = String(outcome?.data.text ?? '')
  if (expected === 'Which room?') return text === expected
  // What the guard withholds by its own rules is right: nothing is unlocked, no vacuum is named.
  if (expected.intent === 'HassTurnOff' && expected.slots.domain === 'lock')
    return text === 'Sorry, I am not allowed to unlock anything.'
  if (/^HassVacuum(Start|ReturnToBase)$/.test(expected.intent)) return text === 'Which room?'
  if (outcome?.type !== 'intent' || outcome.data.name !== expected.intent) return false
  const entities = outcome.data.entities as { name: string; value: string | number }[]
  const slots = Object.entries(expected.slots)
  return (
    entities.length === slots.length &&
    slots.every(([slot, value]) => entities.some((e) => e.name === slot && e.value === value))
  )
}

type Row = {
  said: string
  heard: string
  answer: string
  right: boolean | undefined
  ms: { speak: number; recognize: number; ring: number; reply: number }
}

const answerOf = ({ outcome }: Heard): string => {
  if (!outcome) return '(no answer)'
  const text = String(outcome.data.text ?? '')
  if (outcome.type !== 'intent') return text
  const slots = (outcome.data.entities as { name: string; value: unknown }[]).map(
    ({ name, value }) => `${name} ${value}`,
  )
  return `[${outcome.data.name} ${slots.join(', ')}] ${text}`
}

const one = async (said: string, i: number, port: number, folder: string): Promise<Row> => {
  const file = join(folder, `${String(i + 1).padStart(2, '0')}-said.wav`)
  const [, speakMs] = timed(() => speak(said, file))
  writeFileSync(file, writeWave(resampled(readWave(readFileSync(file)), RECOGNIZER_HZ, SILENCE_MS)))
  const [heard, recognizeMs] = timed(() => recognize(file, join(options.speech, 'grammar.jsgf')))
  const reply: Heard =
    heard === '' ? { outcome: undefined, firstMs: 0, ms: 0 } : await say(port, heard, `voice-${i}`)
  // A template is rendered by Home Assistant; here it is not read out.
  const aloud = String(reply.outcome?.data.text ?? 'I heard nothing.').replace(
    /\{[{%].*/s,
    'let me see',
  )
  const [, replyMs] = timed(() => speak(aloud, file.replace('-said', '-answered')))
  return {
    said,
    heard,
    answer: answerOf(reply),
    right: isRight(said, reply),
    ms: { speak: speakMs, recognize: recognizeMs, ring: reply.ms, reply: replyMs },
  }
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0

const report = (rows: readonly Row[]): void => {
  const exact = rows.filter((r) => r.heard === r.said).length
  const words = rows.reduce((n, r) => n + r.said.split(' ').length, 0)
  const errors = rows.reduce((n, r) => n + wordErrors(r.said, r.heard), 0)
  const judged = rows.filter((r) => r.right !== undefined)
  const right = judged.filter((r) => r.right).length
  const step = (key: keyof Row['ms']) => Math.round(median(rows.map((r) => r.ms[key])))
  const ms = {
    speak: step('speak'),
    recognize: step('recognize'),
    ring: step('ring'),
    reply: step('reply'),
  }
  const share = (n: number, of: number) =>
    `${n} of ${of} (${((100 * n) / Math.max(1, of)).toFixed(0)} %)`
  if (options.json)
    process.stdout.write(
      `${JSON.stringify({ sentences: rows.length, exact, words, wordErrors: errors, judged: judged.length, right, medianMs: ms, rows }, null, 2)}\n`,
    )
  else
    process.stdout.write(
      `\nRecognized exactly: ${share(exact, rows.length)}; wrong words: ${share(errors, words)}.\n` +
        `Right from end to end: ${share(right, judged.length)}.\n` +
        `Median times: speaking ${ms.speak} ms, recognizing ${ms.recognize} ms, the ring's answer ${ms.ring} ms, speaking it ${ms.reply} ms.\n`,
    )
}

const main = async (): Promise<void> => {
  endInOrder()
  const missing = [
    ...(has('espeak-ng') ? [] : ['espeak-ng']),
    ...(has('pocketsphinx_continuous') || has('pocketsphinx') ? [] : ['pocketsphinx']),
    ...(existsSync(MODEL) ? [] : ['pocketsphinx-en-us']),
  ]
  if (missing.length > 0) {
    process.stderr.write(
      `Install: ${missing.join(' ')} (as root: apt-get install ${missing.join(' ')})\n`,
    )
    process.exitCode = 1
    return
  }
  const listed = readFileSync(join(options.speech, 'sentences.txt'), 'utf8').trim().split('\n')
  const sentences = (options.say ?? listed).slice(0, options.count)
  const place = new Place().build()
  try {
    const models = join(place.folder, 'models')
    const { name } = await importInto(models, options.model)
    const cluster = await Cluster.start(place, { nodes: options.nodes, models })
    await cluster.load(name)
    const port = await freePort()
    const gateway = place
      .mdi('gateway', [
        ...['gateway', '--broker', cluster.url, '--cluster', cluster.name, '--name', 'g'],
        ...[
          '--voice-host',
          '127.0.0.1',
          '--voice-port',
          String(port),
          '--no-zeroconf',
          '--intents',
        ],
      ])
      .start()
    await gateway.line(/^Connected to the broker/)
    await say(port, 'hello', 'warm')
    const rows: Row[] = []
    for (const [i, said] of sentences.entries()) {
      const row = await one(said, i, port, options.keep ?? place.folder)
      rows.push(row)
      const { speak: a, recognize: b, ring: c, reply: d } = row.ms
      const times = [a, b, c, d].map((ms) => ms.toFixed(0)).join(' + ')
      const heard = row.heard === said ? '' : ` → heard “${row.heard}”`
      const mark = row.right === undefined ? ' ' : row.right ? '✓' : '✗'
      process.stderr.write(`${mark} ${said}${heard} → ${row.answer} (${times} ms)\n`)
    }
    report(rows)
    await cluster.close()
  } finally {
    await place.close()
  }
}

await main()
