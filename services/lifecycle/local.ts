/**
 * Puts the parts together: a store, an engine, and a ring of one in this process. What
 * runs a ring of many is composed from the same parts.
 */
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, MdiError } from '../errors.ts'
import { availableMemory } from '../io/board/system.ts'
import { realClock, realRandom } from '../io/clock.ts'
import { WorkerEngine } from '../io/ort/client.ts'
import { SqliteStore } from '../io/store/client.ts'
import { TemplateWorker } from '../io/template.ts'
import { ChatFormat } from '../model/chat.ts'
import { withoutVocabulary } from '../model/manifest.ts'
import { meantNames } from '../model/modelname.ts'
import type { Manifest } from '../model/spec.ts'
import { Tokenizer } from '../model/tokenizer.ts'
import { ownerBytes } from '../plan/cost.ts'
import { sequencesFor } from '../plan/places.ts'
import { checkFits, contextFor, sequenceBytes } from '../plan/room.ts'
import type { Arithmetic, EngineReport, Links, OnProgress, Store } from '../ports.ts'
import type { GenerationModel } from '../requests/generation.ts'
import { Generations } from '../requests/generation.ts'
import { RingNode } from '../ring/node.ts'
import { runtimeFolder, withRoom } from './runtimefiles.ts'

/** The main file, with which every worker starts. */
export type WorkerEntry = string | URL

/** Opens the store of a data folder. @throws MdiError `store` where another process has it */
export const openStore = async (entry: WorkerEntry, folder: string): Promise<SqliteStore> => {
  const store = new SqliteStore(entry, { folder })
  await store.start()
  return store
}

/**
 * Tells "there is nothing" from "nothing can be seen".
 * @throws MdiError `store` where a data folder cannot be looked into
 */
const mayLook = async (folder: string): Promise<void> => {
  const look = async (path: string, list: boolean): Promise<void> => {
    try {
      if (list) await readdir(path)
      else await (await open(path)).close()
    } catch (error) {
      const code = codeOf(error)
      if (code === 'ENOENT') return
      const why =
        code === 'ENOTDIR'
          ? 'it is no folder'
          : code === 'EACCES' || code === 'EPERM'
            ? `it is another user's, and this one may not (${code})`
            : code
      const sentence = `What models are in ${folder} cannot be seen: ${why}. Choose another data folder (--data, MDI_DATA), or have its permissions changed.`
      throw new MdiError('store', sentence, { cause: error })
    }
  }
  await look(folder, true)
  await look(join(folder, 'models.sqlite'), false)
}

/** The store, for reading beside a service that has it. Undefined where there is none. */
export const peekStore = async (
  entry: WorkerEntry,
  folder: string,
): Promise<SqliteStore | undefined> => {
  await mayLook(folder)
  const store = new SqliteStore(entry, { folder, readOnly: true })
  try {
    await store.start()
    return store
  } catch (error) {
    if (!(error instanceof MdiError) || error.code !== 'store') {
      if (error instanceof MdiError && error.code === 'not-found') return undefined
      throw error
    }
    // A killed import left something. Opening the store for writing puts it in order.
    return openStore(entry, folder)
  }
}

/**
 * The model of a name, or the only one there is: in whatever case, or by a beginning that only one
 * has. `whole`: the beginning does not do, since the model is to be removed.
 * @throws MdiError `not-found`
 */
export const findModel = async (
  store: Store,
  name: string | undefined,
  options: { whole?: boolean } = {},
): Promise<Manifest> => {
  if (name !== undefined) {
    const found = await store.getModel(name)
    if (found) return found
  }
  const all = await store.listModels()
  if (name === undefined && all.length === 1) return all[0] as Manifest
  const names = all.map((m) => m.name)
  const meant = name === undefined ? [] : meantNames(names, name)
  const whole = meant[0]?.length === name?.length || !options.whole
  const found = meant.length === 1 && whole && all.find((m) => m.name === meant[0])
  if (found) return found
  const list = all.map((m) => m.name).join(', ')
  if (all.length === 0)
    throw new MdiError(
      'not-found',
      'There is no model yet; get one with `mdi pull NAME` or `mdi import FILE`.',
    )
  throw new MdiError(
    'not-found',
    name === undefined
      ? `Say which model with --model: ${list}.`
      : meant.length > 1
        ? `${name} may be several models: ${meant.join(', ')}; say which.`
        : `There is no model ${name}; there are: ${list}.`,
  )
}

/** What a model needs beside its weights to speak. */
export const textSide = (
  entry: WorkerEntry,
  manifest: Manifest,
  context: number,
): { model: GenerationModel; close(): Promise<void> } => {
  const tokenizer = new Tokenizer(manifest.text)
  const template = new TemplateWorker(entry)
  const light = withoutVocabulary(manifest)
  const chat = new ChatFormat(light.text, tokenizer, template)
  return { model: { manifest: light, tokenizer, chat, context }, close: () => template.close() }
}

/** Links of a ring of one: there are none. */
const noLinks: Links = {
  onEvent: () => {},
  onHello: () => {},
  setEpoch: () => {},
  keep: () => {},
  drop: () => {},
  send: () => false,
  hangUp: () => {},
  pause: () => {},
}

export type LocalOptions = {
  /** The data folder. */
  folder: string
  arithmetic: Arithmetic
  threads: number
  /** Positions a sequence may reach; absent: the model's, at most 4096. */
  context?: number | undefined
  chunkRows: number
  /** Memory that may be used, if less than there is. */
  memoryBytes?: number | undefined
}

/** A ring of one in this process. */
export type LocalRing = {
  model: GenerationModel
  generations: Generations
  report: EngineReport
  close(): Promise<void>
}

/** Loads a model into this process. Errors: `out-of-memory`, `disk-full`, `bad-file`. */
export const openLocal = async (
  entry: WorkerEntry,
  manifest: Manifest,
  options: LocalOptions,
  onProgress?: OnProgress,
): Promise<LocalRing> => {
  const { folder, arithmetic, threads, chunkRows } = options
  const { spec } = manifest
  const context = contextFor(manifest, options.context)
  const available = availableMemory(options.memoryBytes)
  const whole = { first: 0, end: spec.layers, ends: true }
  checkFits(manifest, whole, context, available, ownerBytes(manifest))
  const runtime = runtimeFolder(folder)
  // This may fail at once, so it comes before the engine, which would have to be closed again.
  const { model, close } = textSide(entry, manifest, context)
  const engine = new WorkerEngine(entry, { store: folder, folder: runtime, threads })
  try {
    const part = { manifest, ...whole, arithmetic, context }
    const report = await withRoom(
      folder,
      () => manifest,
      () => undefined,
      () => engine.load(part, onProgress),
    )
    const node = await startAlone(engine, manifest, context, chunkRows, available)
    return {
      model,
      generations: new Generations(node, realClock),
      report,
      close: async () => {
        node.stop('the program ends')
        await engine.close()
        await close()
      },
    }
  } catch (error) {
    await engine.close()
    await close()
    throw error
  }
}

/** A ring of one, once it is whole. */
const startAlone = (
  engine: WorkerEngine,
  { name, spec }: Manifest,
  context: number,
  chunkRows: number,
  available: number,
): Promise<RingNode> =>
  new Promise((resolve) => {
    const node = new RingNode({
      id: 'local',
      engine,
      links: noLinks,
      clock: realClock,
      random: realRandom,
      onRing: (whole) => {
        if (whole) resolve(node)
      },
    })
    node.start({
      epoch: 1,
      hidden: spec.hidden,
      model: name,
      vocab: spec.vocab,
      chunkRows,
      sequences: sequencesFor(1, sequenceBytes(spec, spec.layers, context), available / 2),
      assignment: {
        stage: 0,
        stages: 1,
        next: null,
        previous: null,
        wire: 'fp32',
        context,
        starter: true,
      },
    })
  })
