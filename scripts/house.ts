/**
 * Measures the model in the box (`scripts/house`) through the ring's own path: every record
 * of its evaluation sets, greedy, several at once.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { arithmetic, several, whole } from '../services/cli/options.ts'
import { json, ProgressBar, table, tellError } from '../services/cli/output.ts'
import { MdiError } from '../services/errors.ts'
import type { LocalRing } from '../services/lifecycle/local.ts'
import { defaultSampling } from '../services/model/sampler.ts'
import type { Arithmetic } from '../services/ports.ts'
import type { Answer } from '../services/requests/generation.ts'
import { trustOf } from '../services/voice/intent.ts'
import { importInto, openRing, withFolder } from '../test/harness/rings.ts'
import { type EvalRecord, isRight, isWrongPlace, withheldFor } from '../test/harness/score.ts'

const folder = fileURLToPath(new URL('../firmware/model', import.meta.url))
/** What the issue of the model in the box asks for, in percent. */
const bounds: Record<string, number> = {
  heldout: 97,
  slips: 90,
  smalltalk: 90,
  ood: 90,
  outside: 85,
}
const WRONG_PLACE_BOUND = 0.5
const AT_ONCE = 8
const ANSWER_TOKENS = 120

type Options = {
  model: string
  set?: string[]
  limit?: number
  arithmetic: Arithmetic
  misses: number
  json?: boolean
}

type Share = { right: number; of: number }
type SetResult = {
  set: string
  all: Share
  seen: Share
  unseen: Share
  wrongPlace: number
  /** The same of what the gateway lets through; and what it withholds though it is right. */
  wrongPlaceGated: number
  rightWithheld: number
  misses: { said: string; answer: string }[]
}

const answer = (ring: LocalRing, id: string, record: EvalRecord): Promise<Answer> =>
  new Promise((resolve, reject) => {
    void ring.generations.submit(
      ring.model,
      {
        id,
        input: { messages: record.messages },
        sampling: { ...defaultSampling, temperature: 0 },
        maxTokens: ANSWER_TOKENS,
        stop: [],
        lineLogprob: true,
      },
      { text: () => {}, end: resolve, error: reject },
    )
  })

const evaluate = async (
  ring: LocalRing,
  set: string,
  records: readonly EvalRecord[],
  bar: ProgressBar,
): Promise<SetResult> => {
  const share = (): Share => ({ right: 0, of: 0 })
  const result: SetResult = {
    set,
    all: share(),
    seen: share(),
    unseen: share(),
    wrongPlace: 0,
    wrongPlaceGated: 0,
    rightWithheld: 0,
    misses: [],
  }
  const trust = trustOf(ring.model.manifest.text)
  let next = 0
  const worker = async () => {
    while (next < records.length) {
      const index = next++
      const record = records[index] as EvalRecord
      const { text, lineLogprob } = await answer(ring, `${set}-${index}`, record)
      const right = isRight(record, text)
      const groups = [result.all]
      if (record.seen !== undefined) groups.push(record.seen ? result.seen : result.unseen)
      for (const group of groups) {
        group.of += 1
        if (right) group.right += 1
      }
      const withheld = withheldFor(record, text, trust, lineLogprob)
      if (isWrongPlace(record, text)) result.wrongPlace += 1
      if (isWrongPlace(record, text) && !withheld) result.wrongPlaceGated += 1
      // Where it only asks for the place, nothing is lost.
      if (right && withheld && withheld !== 'no place') result.rightWithheld += 1
      if (!right) result.misses.push({ said: record.messages.at(-1)?.content ?? '', answer: text })
      bar.show({ step: set, done: result.all.of, total: records.length, unit: 'steps' })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  bar.stop()
  return result
}

const percent = ({ right, of }: Share): string => (of === 0 ? '–' : ((right * 100) / of).toFixed(1))

const show = (results: readonly SetResult[], misses: number): void => {
  table(
    [
      'SET',
      'OF',
      'RIGHT %',
      'SEEN %',
      'UNSEEN %',
      'WANTED %',
      'WRONG PLACE %',
      'SENT %',
      'WITHHELD %',
    ],
    results.map((r) => [
      r.set,
      r.all.of,
      percent(r.all),
      percent(r.seen),
      percent(r.unseen),
      bounds[r.set] ?? '',
      percent({ right: r.wrongPlace, of: r.all.of }),
      percent({ right: r.wrongPlaceGated, of: r.all.of }),
      percent({ right: r.rightWithheld, of: r.all.of }),
    ]),
  )
  for (const r of results)
    for (const miss of r.misses.slice(0, misses))
      process.stdout.write(`${r.set}: ${miss.said}\n  → ${miss.answer.replaceAll('\n', ' ⏎ ')}\n`)
}

/** A wrong place counts where the gateway would let it through: it is what acts. */
const missed = (r: SetResult): boolean =>
  r.set === 'commands'
    ? (r.wrongPlaceGated * 100) / r.all.of > WRONG_PLACE_BOUND
    : (r.all.right * 100) / r.all.of < (bounds[r.set] ?? 0)

const run = async (options: Options): Promise<boolean> => {
  if (!existsSync(options.model))
    throw new MdiError('not-found', `There is no file ${options.model}.`)
  const sets = options.set ?? [...Object.keys(bounds), 'commands']
  const bar = new ProgressBar()
  return withFolder(async (data) => {
    const manifest = await importInto(data, options.model)
    const ring = await openRing(data, manifest, {
      arithmetic: options.arithmetic,
      context: 1_024,
      threads: 1,
    })
    try {
      const results: SetResult[] = []
      for (const set of sets) {
        const file = join(folder, 'eval', `${set}.jsonl`)
        if (!existsSync(file)) throw new MdiError('not-found', `There is no set ${set} (${file}).`)
        const lines = readFileSync(file, 'utf8').trim().split('\n').slice(0, options.limit)
        const records = lines.map((line) => JSON.parse(line) as EvalRecord)
        results.push(await evaluate(ring, set, records, bar))
      }
      if (options.json) json({ arithmetic: options.arithmetic, results })
      else show(results, options.misses)
      return results.every((r) => !missed(r))
    } finally {
      await ring.close()
    }
  })
}

const program = new Command('scripts/house')
  .description('measure the model in the box on its evaluation sets, through the ring')
  .option('--model <file>', 'a GGUF file', join(folder, 'house.gguf'))
  .option('--set <name>', `${Object.keys(bounds).join(', ')} or commands; again for more`, several)
  .option('--limit <n>', 'only the first records of each set', whole(1))
  .option('--arithmetic <kind>', 'fast or exact', arithmetic, 'fast')
  .option('--misses <n>', 'show so many misses of each set', whole(0), 0)
  .option('--json', 'one JSON document instead of a table')
  .action(async (options: Options) => {
    try {
      if (!(await run(options))) process.exitCode = 1
    } catch (error) {
      process.exitCode = tellError(error)
    }
  })
await program.parseAsync()
