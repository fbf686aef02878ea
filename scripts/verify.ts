/**
 * Compares a model with a reference (`scripts/verify`), through the ring's own path: the
 * same requests, scheduler and engine as any answer.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { Command, CommanderError } from 'commander'
import { arithmetic, whole } from '../services/cli/options.ts'
import { json, table, tellError } from '../services/cli/output.ts'
import { MdiError } from '../services/errors.ts'
import { defaultSampling } from '../services/model/sampler.ts'
import type { Manifest } from '../services/model/spec.ts'
import { CHUNK_ROWS } from '../services/plan/room.ts'
import type { Arithmetic } from '../services/ports.ts'
import type { Answer, TextRequest } from '../services/requests/generation.ts'
import type { Token } from '../services/wire/requests.ts'
import {
  type Case,
  CLEAR_MARGIN,
  divergence,
  missed,
  type Result,
  readReference,
  totals,
} from '../test/harness/compare.ts'
import type { Ring } from '../test/harness/owner.ts'
import { endInOrder } from '../test/harness/processes.ts'
import { importInto, openProcesses, openRing, withFolder } from '../test/harness/rings.ts'

type Options = {
  arithmetic: Arithmetic
  nodes: number[]
  threads?: number
  chunkRows: number
  json?: boolean
}

/** One request to its end, with its tokens. */
const ask = (
  ring: Ring,
  request: Pick<TextRequest, 'id' | 'input' | 'maxTokens' | 'score'>,
): Promise<{ answer: Answer; tokens: Token[] }> =>
  new Promise((resolve, reject) => {
    const tokens: Token[] = []
    const sampling = { ...defaultSampling, temperature: 0 }
    void ring.generations.submit(
      ring.model,
      { stop: [], sampling, ...request },
      {
        text: () => {},
        token: (token) => tokens.push(token),
        end: (answer) => resolve({ answer, tokens }),
        error: reject,
      },
    )
  })

const messages = (prompt: string) => [{ role: 'user', content: prompt }]

/** Steps fed with the reference's own tokens. */
const scored = async (ring: Ring, id: string, of: Case) => {
  const score = of.greedy.map((next, i) => ({ ids: (of.top[i] as [number[], number[]])[0], next }))
  const input = { messages: messages(of.prompt) }
  const { tokens } = await ask(ring, { id, input, maxTokens: score.length, score })
  if (tokens.length !== score.length)
    throw new Error(`${tokens.length} steps came back of ${score.length}`)
  // Every bit of every log-probability: what a split may not change.
  const bits = createHash('sha256').update(JSON.stringify(tokens.map((t) => [t.token, t.logprobs])))
  let kl = 0
  let same = 0
  let clear = 0
  let clearSame = 0
  for (const [i, token] of tokens.entries()) {
    const [ids, logs] = of.top[i] as [number[], number[]]
    kl += divergence(logs, token.logprobs as number[])
    const equal = token.token === ids[0] ? 1 : 0
    same += equal
    if ((of.margin[i] as number) < CLEAR_MARGIN) continue
    clear += 1
    clearSame += equal
  }
  const { length: steps } = tokens
  return { steps, kl: kl / steps, same, clear, clearSame, bits: bits.digest('hex') }
}

const compareCase = async (ring: Ring, of: Case, index: number): Promise<Result> => {
  const made = await ring.model.chat.prompt(messages(of.prompt))
  const idsEqual = made.ids.length === of.ids.length && made.ids.every((id, i) => id === of.ids[i])
  const common = { prompt: of.prompt, textEqual: made.text === of.text, idsEqual }
  if (!idsEqual)
    // Steps of another prompt cannot be compared.
    return {
      ...common,
      steps: of.greedy.length,
      kl: Number.NaN,
      same: 0,
      clear: 0,
      clearSame: 0,
      greedySame: 0,
      greedyEqual: false,
      bits: '',
    }
  const steps = await scored(ring, `score-${index}`, of)
  const { tokens } = await ask(ring, {
    id: `greedy-${index}`,
    input: { messages: messages(of.prompt) },
    maxTokens: of.greedy.length,
  })
  const differs = of.greedy.findIndex((id, i) => tokens[i]?.token !== id)
  const greedySame = differs < 0 ? of.greedy.length : differs
  return { ...common, ...steps, greedySame, greedyEqual: differs < 0 }
}

const show = (results: readonly Result[]): void => {
  const all = totals(results)
  const yes = (b: boolean) => (b ? 'equal' : 'DIFFERS')
  table(
    ['PROMPT', 'TEXT', 'IDS', 'STEPS', 'KL', 'SAME TOP', 'CLEAR MARGIN', 'GREEDY'],
    [
      ...results.map((r) => [
        r.prompt.length > 32 ? `${r.prompt.slice(0, 31)}…` : r.prompt,
        yes(r.textEqual),
        yes(r.idsEqual),
        r.steps,
        r.kl.toExponential(2),
        `${r.same}/${r.steps}`,
        `${r.clearSame}/${r.clear}`,
        r.greedyEqual ? 'equal' : `parts at ${r.greedySame}`,
      ]),
      [
        'all',
        '',
        '',
        all.steps,
        all.kl.toExponential(2),
        `${all.same}/${all.steps}`,
        `${all.clearSame}/${all.clear}`,
        '',
      ],
    ],
  )
}

const compareAll = async (
  folder: string,
  manifest: Manifest,
  cases: readonly Case[],
  options: Omit<Options, 'nodes'> & { nodes: number },
): Promise<Result[]> => {
  const { nodes, chunkRows } = options
  if (nodes > 1 && chunkRows !== CHUNK_ROWS)
    throw new MdiError('usage', 'Chunks of another length need a ring of one: --nodes 1.')
  const open = nodes === 1 ? openRing : openProcesses
  const ring = await open(folder, manifest, options)
  try {
    const done: Result[] = []
    for (const [i, of] of cases.entries()) done.push(await compareCase(ring, of, i))
    return done
  } finally {
    await ring.close()
  }
}

const verify = async (model: string, reference: string, options: Options): Promise<void> => {
  let text: string
  try {
    text = readFileSync(reference, 'utf8')
  } catch (error) {
    const { code } = error as { code?: string }
    throw new MdiError('not-found', `Cannot read ${reference}: ${code ?? error}.`)
  }
  const cases = readReference(text, basename(reference))
  const rings: { nodes: number; results: Result[]; failed: string[] }[] = []
  await withFolder(async (folder) => {
    const manifest = await importInto(folder, model)
    for (const nodes of options.nodes) {
      const results = await compareAll(folder, manifest, cases, { ...options, nodes })
      const failed = missed(results, options.arithmetic)
      const differs = results.find((r, i) => r.bits !== rings[0]?.results[i]?.bits)
      if (options.arithmetic === 'exact' && rings[0] && differs)
        failed.push(`Bits differ from those of ${rings[0].nodes} nodes at "${differs.prompt}".`)
      rings.push({ nodes, results, failed })
      if (!options.json) report(nodes, results, failed, options.arithmetic)
    }
  })
  if (options.json) {
    const { arithmetic } = options
    const documents = rings.map(({ nodes, results, failed }) => ({
      model: basename(model),
      arithmetic,
      nodes,
      prompts: results,
      all: totals(results),
      missed: failed,
    }))
    json(documents.length === 1 ? documents[0] : { rings: documents })
  }
  if (rings.some((r) => r.failed.length > 0)) process.exitCode = 1
}

const report = (
  nodes: number,
  results: readonly Result[],
  failed: readonly string[],
  arithmetic: Arithmetic,
): void => {
  process.stdout.write(nodes === 1 ? 'One node\n' : `${nodes} nodes, a process each\n`)
  show(results)
  const all = createHash('sha256').update(results.map((r) => r.bits).join())
  process.stdout.write(`SHA-256 of all log-probabilities: ${all.digest('hex').slice(0, 16)}…\n`)
  for (const sentence of failed) process.stdout.write(`MISSED: ${sentence}\n`)
  if (failed.length === 0) process.stdout.write(`Within the bounds of ${arithmetic}.\n`)
}

const nodes = (text: string): number[] => text.split(',').map(whole(1))

const program = new Command('scripts/verify')
  .description(
    `Compares a model with a reference: template text, token ids, and at each step of the
reference's greedy answers the KL divergence (over the tokens given and one bucket for the
rest) and the likeliest token; then the free greedy answer. Fails where a bound is missed.`,
  )
  .argument('<model>', 'a GGUF file')
  .argument('<reference>', 'a reference.json: see scripts/README.md')
  .option('--arithmetic <kind>', 'exact or fast', arithmetic, 'exact')
  .option('--nodes <n>', 'nodes of the ring, as processes; several rings: 1,2,3', nodes, [1])
  .option('--threads <n>', 'threads that compute', whole(1))
  .option('--chunk-rows <n>', 'tokens of a prompt computed at a time', whole(1), CHUNK_ROWS)
  .option('--json', 'one JSON document instead of a table')
  .exitOverride()
  .action(verify)

endInOrder()
try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
  else process.exitCode = tellError(error)
}
