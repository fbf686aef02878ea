/** Runs the simulation: any number of seeds, or one of them with a trace (`scripts/sim`). */
import { parseArgs } from 'node:util'
import { runControl } from '../test/sim/control.ts'
import { runSeed } from '../test/sim/run.ts'

const HELP = `Usage: scripts/sim [--seeds N] [--from S] [--seed S] [--control]
  --seeds N  runs N seeds, one after the other (default 200)
  --from S   begins with this seed (default 1)
  --seed S   runs this seed alone and prints what happens in it
  --control  a whole cluster with coordinator and broker instead of a ring alone
  --quiet    with --seed: no trace`

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    control: { type: 'boolean', default: false },
    quiet: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const one = async (seed: number, trace: boolean): Promise<boolean> => {
  try {
    const tell = trace ? { trace: (line: string) => console.log(line) } : {}
    const result = values.control ? await runControl(seed, tell) : runSeed(seed, tell)
    if (trace) console.log(JSON.stringify(result))
    return true
  } catch (error) {
    console.log(`seed ${seed}: ${(error as Error).stack}`)
    return false
  }
}

const many = async (from: number, count: number): Promise<number> => {
  const failed: number[] = []
  const began = performance.now()
  for (let seed = from; seed < from + count; seed++)
    if (!(await one(seed, false))) failed.push(seed)
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  console.log(`${count} seeds in ${seconds} s, ${failed.length} failed ${failed.join(' ')}`)
  return failed.length
}

if (values.help) console.log(HELP)
else if (values.seed !== undefined)
  process.exitCode = (await one(Number(values.seed), !values.quiet)) ? 0 : 1
else process.exitCode = (await many(Number(values.from), Number(values.seeds))) > 0 ? 1 : 0
