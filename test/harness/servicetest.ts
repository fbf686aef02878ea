/** What the system tests share: a small model, what it must say, and processes that end. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { defaultSampling } from '../../services/model/sampler.ts'
import type { Manifest } from '../../services/model/spec.ts'
import type { SamplingParameters } from '../../services/ports.ts'
import { randomModel } from '../fakes/model.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import type { Known } from './load.ts'
import { endInOrder, Place } from './processes.ts'
import { importInto, openRing } from './rings.ts'

endInOrder()

/** Sampled, so that every token depends on all before it, and no text falls into a loop. */
export const sampling = (seed: number): SamplingParameters => ({
  ...defaultSampling,
  temperature: 0.8,
  topK: 40,
  seed,
})

/** A place with a bundle and a random model in the folder `models`. */
export type Scene = {
  place: Place
  models: string
  model: Manifest
  /** Requests of so many tokens, and what a ring of one in this process says to each, alone. */
  known(count: number, maxTokens: number): Promise<Known[]>
  cluster(options: Partial<ClusterOptions> & { nodes: number }): Promise<Cluster>
  close(): Promise<void>
}

export const LAYERS = 6
export const CONTEXT = 4_096

/** Makes a scene; several clusters can play in it, one at a time with the same `models`. */
export const makeScene = async (shape: Parameters<typeof randomModel>[0] = {}): Promise<Scene> => {
  const place = new Place().build()
  try {
    const file = join(place.folder, 'random.gguf')
    writeFileSync(
      file,
      await randomModel({ layers: LAYERS, vocab: 512, context: CONTEXT, ...shape }),
    )
    const models = join(place.folder, 'models')
    const model = await importInto(models, file)
    const clusters: Cluster[] = []
    return {
      place,
      models,
      model,
      known: (count, maxTokens) => answers(models, model, count, maxTokens),
      async cluster(options) {
        const cluster = await Cluster.start(place, { models, ...options })
        clusters.push(cluster)
        return cluster
      },
      async close() {
        for (const cluster of clusters) await cluster.close()
        await place.close()
      },
    }
  } catch (error) {
    await place.close()
    throw error
  }
}

const answers = async (
  models: string,
  model: Manifest,
  count: number,
  maxTokens: number,
): Promise<Known[]> => {
  const ring = await openRing(models, model, { arithmetic: 'exact', threads: 1, context: CONTEXT })
  try {
    const known: Known[] = []
    for (let seed = 1; known.length < count; seed++) {
      const ask = { prompt: `Once upon a time ${seed}`, sampling: sampling(seed), maxTokens }
      const answer = await new Promise<{ text: string; tokens: number }>((end, error) => {
        const request = {
          id: `known-${seed}`,
          input: { prompt: ask.prompt },
          sampling: ask.sampling,
          maxTokens,
          stop: [],
        }
        void ring.generations.submit(ring.model, request, { text: () => {}, end, error })
      })
      // An end token may come by chance: such a request is no load.
      if (answer.tokens === maxTokens) known.push({ ask, text: answer.text })
    }
    return known
  } finally {
    await ring.close()
  }
}
