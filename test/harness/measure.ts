/** Runs samples on a ring of processes, and measures it: the core of `scripts/bench`. */
import { randomUUID } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { defaultSampling } from '../../services/model/sampler.ts'
import type { Manifest } from '../../services/model/spec.ts'
import type { Arithmetic } from '../../services/ports.ts'
import { Cluster } from './cluster.ts'
import { giveCores } from './cores.ts'
import { ownRequests, type Ring } from './owner.ts'
import { memoryOf, threadTimes, writtenBy } from './proc.ts'
import type { Place } from './processes.ts'

export type RunOptions = {
  nodes: number
  /** Sequences at once. */
  samples: number
  tokens: number
  prompt: number
  threads: number
  arithmetic: Arithmetic
  context: number
}

/** A token of a sample, seconds after the start of the run. */
export type Moment = { sample: number; token: number; seconds: number }

export type NodeFigures = {
  node: string
  layers: number
  /** Processor time of its engine for one token. */
  stageMs: number
  pss: number
  rss: number
  peak: number
  /** Bytes that it wrote for each token. */
  wireBytes: number
}

export type RunFigures = RunOptions & {
  /** Tokens a second, all samples together, from the first to the last token. */
  tokensPerSecond: number
  firstTokenMs: number
  /** Of what the slowest stage allows, and of what the machine's cores allow. */
  efficiency: number
  coreEfficiency: number
  /** From the start of all processes, weights being on the nodes, to the first token. */
  launchMs: number
  perNode: NodeFigures[]
  moments: Moment[]
}

/** Runs samples to their full length: the end token does not count. */
export const runSamples = async (
  ring: Ring,
  { samples, tokens, prompt }: Pick<RunOptions, 'samples' | 'tokens' | 'prompt'>,
): Promise<Moment[]> => {
  const { tokenizer, manifest } = ring.model
  const range = Math.min(manifest.spec.vocab, 4_000)
  const words = (sample: number) =>
    Array.from({ length: prompt * 2 }, (_, i) => (i * 7919 + sample * 131 + 300) % range)
  const moments: Moment[] = []
  const start = performance.now()
  await Promise.all(
    Array.from({ length: samples }, async (_, sample) => {
      const ids = tokenizer.encode(tokenizer.decode(words(sample))).slice(0, prompt)
      const next = ids[0] ?? 0
      const request = {
        id: randomUUID(),
        input: { prompt: tokenizer.decode(ids) },
        sampling: { ...defaultSampling, temperature: 0 },
        maxTokens: tokens,
        stop: [],
        score: Array.from({ length: tokens }, () => ({ ids: [], next })),
      }
      let token = 0
      await new Promise<void>((resolve, reject) => {
        const listener = {
          text: () => {},
          token: () => {
            moments.push({ sample, token: ++token, seconds: (performance.now() - start) / 1000 })
          },
          end: () => resolve(),
          error: reject,
        }
        void ring.generations.submit(ring.model, request, listener)
      })
    }),
  )
  return moments
}

/** Tokens a second between the first and the last. */
export const rateOf = (moments: readonly Moment[]): number => {
  const times = moments.map((m) => m.seconds)
  return (moments.length - 1) / (Math.max(...times) - Math.min(...times))
}

/** The engine's thread is the one that worked most. */
const busiest = (before: Map<string, number>, after: Map<string, number>): number =>
  Math.max(...[...after].map(([id, seconds]) => seconds - (before.get(id) ?? 0)))

/**
 * A ring with the model loaded, and requests of ours to it. Each node has cores of its own,
 * where there are enough.
 * @param core the first of them
 */
export const openCluster = async (
  place: Place,
  models: string,
  manifest: Manifest,
  name: string,
  options: RunOptions,
  core = 0,
): Promise<{ cluster: Cluster; ring: Ring }> => {
  const { nodes, threads, arithmetic, context } = options
  const cluster = await Cluster.start(place, { nodes, threads, models, name })
  const pids = cluster.nodes.map((n) => n.pid)
  if (!giveCores(pids, threads, core))
    process.stderr.write(
      `The nodes of ${name} share cores: there are too few, or taskset is missing.\n`,
    )
  await cluster.load(manifest.name, { arithmetic, context })
  const ring = ownRequests(cluster, manifest, context)
  await runSamples(ring, { ...options, tokens: 4 })
  return { cluster, ring }
}

/** Ends a cluster's processes in order. */
export const endCluster = async ({ cluster, ring }: { cluster: Cluster; ring: Ring }) => {
  await ring.close()
  await cluster.close()
  await Promise.all(cluster.nodes.map((n) => n.stop()))
  await cluster.coordinator.stop()
}

const launch = async (cluster: Cluster, manifest: Manifest, options: RunOptions) => {
  const start = performance.now()
  const again = await cluster.restart()
  const ask = { prompt: 'Once upon a time', maxTokens: 2, sampling: { temperature: 0 } }
  let first = Number.NaN
  await again.watch.ready()
  const answer = await again.generate(ask, () => {
    if (Number.isNaN(first)) first = performance.now()
  })
  // A token may be half a character: the answer came with the second one at the latest.
  const ms = (Number.isNaN(first) ? performance.now() : first) - start
  if (answer.tokens < 1) throw new Error('no token came')
  const ring = ownRequests(again, manifest, options.context)
  return { ms, opened: { cluster: again, ring } }
}

/** Measures one ring. */
export const measureRing = async (
  place: Place,
  models: string,
  manifest: Manifest,
  options: RunOptions,
): Promise<RunFigures> => {
  const opened = await openCluster(place, models, manifest, `ring${options.nodes}`, options)
  const { cluster, ring } = opened
  const { tokens, samples } = options
  const pids = cluster.nodes.map((n) => n.pid)
  const before = pids.map((pid) => ({ threads: threadTimes(pid), written: writtenBy(pid) }))
  const moments = await runSamples(ring, options)
  const stages = (await cluster.ring.ask('status', {})).info.stages
  const perNode = pids.map((pid, i): NodeFigures => {
    const { threads, written } = before[i] as (typeof before)[number]
    const stage = stages[i]
    const all = tokens * samples
    return {
      node: stage?.node ?? '',
      layers: (stage?.end ?? 0) - (stage?.first ?? 0),
      stageMs: (busiest(threads, threadTimes(pid)) * 1000) / all,
      ...memoryOf(pid),
      wireBytes: (writtenBy(pid) - written) / all,
    }
  })
  const tokensPerSecond = rateOf(moments)
  const slowest = Math.max(...perNode.map((n) => n.stageMs))
  const sum = perNode.reduce((s, n) => s + n.stageMs, 0)
  const bound = Math.max(slowest, sum / availableParallelism())
  await endCluster(opened)
  const { ms, opened: second } = await launch(cluster, manifest, options)
  await endCluster(second)
  return {
    ...options,
    tokensPerSecond,
    firstTokenMs: Math.min(...moments.map((m) => m.seconds)) * 1000,
    efficiency: (tokensPerSecond * slowest) / 1000,
    coreEfficiency: (tokensPerSecond * bound) / 1000,
    launchMs: ms,
    perNode,
    moments,
  }
}

export type Rivals = { ring: number[]; alone: number[]; ratio: number }

/**
 * A ring of two against two processes that each have the whole model, in turns, with equally
 * many sequences in all. Only those that are measured run: others that wait still wake up,
 * and have the memory that the measured ones' weights should be in.
 */
export const measureRivals = async (
  place: Place,
  models: readonly [string, string, string],
  manifest: Manifest,
  options: RunOptions,
  rounds: number,
): Promise<Rivals> => {
  const half = { ...options, nodes: 1, samples: Math.ceil(options.samples / 2) }
  const both = { ...options, nodes: 2, samples: half.samples * 2 }
  const ring: number[] = []
  const alone: number[] = []
  for (let i = 0; i < rounds; i++) {
    const two = await openCluster(place, models[0], manifest, 'two', both)
    ring.push(rateOf(await runSamples(two.ring, both)))
    await endCluster(two)
    const a = await openCluster(place, models[1], manifest, 'alone-a', half)
    const b = await openCluster(place, models[2], manifest, 'alone-b', half, options.threads)
    const moments = await Promise.all([runSamples(a.ring, half), runSamples(b.ring, half)])
    alone.push(rateOf(moments.flat()))
    for (const opened of [a, b]) await endCluster(opened)
  }
  const ratios = ring.map((r, i) => r / (alone[i] as number)).toSorted((x, y) => x - y)
  return { ring, alone, ratio: ratios[ratios.length >> 1] as number }
}
