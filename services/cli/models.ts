/** `mdi models`, `mdi remove NAME` and `mdi export NAME FOLDER` */
import type { Command } from 'commander'
import { MdiError } from '../errors.ts'
import type { SqliteStore } from '../io/store/client.ts'
import { exportModel } from '../io/store/exported.ts'
import { isOwned } from '../io/store/folderowner.ts'
import { findModel, openStore, peekStore, type WorkerEntry } from '../lifecycle/local.ts'
import { dropUnfinished, unfinished } from '../lifecycle/pull.ts'
import { dropRuntimeFiles } from '../lifecycle/runtimefiles.ts'
import { catalogue } from '../model/catalogue.ts'
import { formatSource } from '../model/sources.ts'
import type { Manifest } from '../model/spec.ts'
import { aloneBytes, PLANNED_POSITIONS } from '../plan/cost.ts'
import { boardMemory, type Fit } from '../plan/fits.ts'
import { type Boards, boardsOf, fitsBoards, fitText } from './boards.ts'
import { withProgress } from './import.ts'
import { dataFolder } from './options.ts'
import { bytes, count, json, table } from './output.ts'

/** Numbers of boards that the catalogue is reckoned for. */
const COUNTS = [1, 2, 4] as const

const listOf = (models: readonly Manifest[], boards: Boards) =>
  models.map((m) => ({
    name: m.name,
    family: m.spec.family,
    parameters: m.parameters,
    layers: m.spec.layers,
    context: m.spec.context,
    bytes: m.records.reduce((sum, r) => sum + r.bytes, 0),
    runtimeBytes: m.records.reduce((sum, r) => sum + r.runtimeBytes, 0),
    memory: aloneBytes(m, Math.min(m.spec.context, PLANNED_POSITIONS)),
    fit: fitsBoards(m, boards),
  }))

const catalogueOf = (here: ReadonlySet<string>, boards: Boards) =>
  catalogue().map(({ name, family, licence, mix, sources, sketch }) => {
    const positions = Math.min(sketch.spec.context, PLANNED_POSITIONS)
    const memory = COUNTS.map((n) => [n, boardMemory(sketch, n, positions)] as const)
    return {
      ...{ name, family, licence, weights: mix },
      parameters: sketch.parameters,
      bytes: sketch.bytes,
      memory: Object.fromEntries(memory),
      sources: sources.map(formatSource),
      here: here.has(name),
      fit: fitsBoards(sketch, boards),
    }
  })

type Listing = {
  models: ReturnType<typeof listOf>
  catalogue: ReturnType<typeof catalogueOf>
  unfinished: string[]
  /** Bytes of weights that no model has, as an import leaves them that was broken off. */
  leftBytes: number
}

const showHere = ({ models }: Listing, boards: number): void => {
  if (models.length === 0) process.stdout.write('No models yet.\n')
  else
    table(
      ['MODEL', 'FAMILY', 'PARAMETERS', 'LAYERS', 'CONTEXT', 'DISK', 'MEMORY', 'FITS'],
      models.map((m) => [
        m.name,
        m.family,
        count(m.parameters),
        m.layers,
        m.context,
        bytes(m.bytes),
        bytes(m.memory),
        fitText(m.fit, boards),
      ]),
    )
}

const showCatalogue = ({ catalogue }: Listing, boards: number): void => {
  const wanted = catalogue.filter((c) => !c.here)
  if (wanted.length === 0) return
  process.stdout.write('\nTo be had with `mdi pull NAME`; memory is for each board:\n')
  table(
    ['NAME', 'PARAMETERS', 'LICENCE', 'FILE', '1 BOARD', '2 BOARDS', '4 BOARDS', 'FITS'],
    wanted.map((c) => [
      c.name,
      count(c.parameters),
      c.licence,
      bytes(c.bytes),
      ...COUNTS.map((n) => (c.memory[n] === undefined ? '–' : bytes(c.memory[n]))),
      fitText(c.fit, boards),
    ]),
  )
}

const oneMore = (fit: Fit): boolean => fit.kind === 'more' && fit.boards === 1

const show = (listing: Listing, { about, nodes }: Boards): void => {
  showHere(listing, nodes.length)
  showCatalogue(listing, nodes.length)
  process.stdout.write(`\nBoards: ${about}.\n`)
  const all = [...listing.models, ...listing.catalogue.filter((c) => !c.here)]
  const next = all.filter((m) => oneMore(m.fit)).map((m) => m.name)
  if (next.length > 0)
    process.stdout.write(`One more board like it would make possible: ${next.join(', ')}.\n`)
  for (const name of listing.unfinished)
    process.stdout.write(
      `A download of ${name} is unfinished: pull it again to go on, or drop it with \`mdi remove ${name}\`.\n`,
    )
  if (listing.leftBytes > 0)
    process.stdout.write(
      `An import or a transfer was broken off; what it left takes ${bytes(listing.leftBytes)}: do it again to go on, or drop it with \`mdi remove --unfinished\`.\n`,
    )
}

/** Bytes that nobody uses; none where this user may not look among another's. */
const leftIn = async (store: SqliteStore): Promise<number> => {
  try {
    return await store.unusedBytes()
  } catch (error) {
    if (error instanceof MdiError && error.code === 'store') return 0
    throw error
  }
}

const addList = (program: Command, entry: WorkerEntry): void => {
  program
    .command('models')
    .description('list the models that are here and those to be had, and what fits the boards')
    .option('--broker <url>', 'reckon with the boards of the ring at this MQTT broker')
    .option('--json', 'one JSON document instead of tables')
    .action(async (options: { json?: boolean }, command: Command) => {
      const folder = dataFolder(command)
      const boards = await boardsOf(command)
      const store = await peekStore(entry, folder)
      try {
        const models = (await store?.listModels()) ?? []
        const listing: Listing = {
          models: listOf(models, boards),
          catalogue: catalogueOf(new Set(models.map((m) => m.name)), boards),
          unfinished: await unfinished(folder),
          // Whoever has the store may be writing just these.
          leftBytes: store && !isOwned(folder) ? await leftIn(store) : 0,
        }
        if (!options.json) show(listing, boards)
        else {
          const list = boards.nodes.map(({ id, memoryBytes }) => ({ id, memoryBytes }))
          json({ ...listing, boards: list })
        }
      } finally {
        await store?.close()
      }
    })
}

const removeOne = async (entry: WorkerEntry, folder: string, name: string): Promise<void> => {
  const store = await openStore(entry, folder)
  try {
    // Not before the store is ours: a pull may be under way.
    const dropped = await dropUnfinished(folder, name)
    if (dropped) process.stdout.write(`Dropped the unfinished download of ${name}.\n`)
    if (dropped && !(await store.getModel(name))) return
    const manifest = await findModel(store, name, { whole: true })
    const records = await store.removeModel(manifest.name)
    const freed = records + (await dropRuntimeFiles(folder, (shas) => store.hasRecords(shas)))
    process.stdout.write(`Removed ${manifest.name}; ${bytes(freed)} are free again.\n`)
  } finally {
    await store.close()
  }
}

const removeUnfinished = async (entry: WorkerEntry, folder: string): Promise<void> => {
  const store = await openStore(entry, folder)
  try {
    const downloads = await unfinished(folder)
    for (const name of downloads) await dropUnfinished(folder, name)
    const freed =
      (await store.removeUnused()) +
      (await dropRuntimeFiles(folder, (shas) => store.hasRecords(shas)))
    for (const name of downloads)
      process.stdout.write(`Dropped the unfinished download of ${name}.\n`)
    if (freed > 0)
      process.stdout.write(`Dropped what was unfinished; ${bytes(freed)} are free again.\n`)
    else if (downloads.length === 0) process.stdout.write('Nothing is unfinished.\n')
  } finally {
    await store.close()
  }
}

const addRemove = (program: Command, entry: WorkerEntry): void => {
  program
    .command('remove')
    .description('remove a model and the weights that no other model uses')
    .argument('[name]')
    .option('--unfinished', 'drop what broken-off downloads, imports and transfers left')
    .action((name: string | undefined, options: { unfinished?: boolean }, command: Command) => {
      const folder = dataFolder(command)
      if (name !== undefined && !options.unfinished) return removeOne(entry, folder, name)
      if (name === undefined && options.unfinished) return removeUnfinished(entry, folder)
      return command.error('error: Say which model, or --unfinished, and not both.')
    })
}

const addExport = (program: Command, entry: WorkerEntry): void => {
  program
    .command('export')
    .description('write a model into a folder, for carrying it to boards without a network')
    .argument('<model>')
    .argument('<folder>', 'where it gets a folder of its name, such as a USB stick')
    .action(async (name: string, folder: string, _options: unknown, command: Command) => {
      const path = await withProgress(async (bar, signal) => {
        // It only reads, so it may be beside a service.
        const data = dataFolder(command)
        const store = (await peekStore(entry, data)) ?? (await openStore(entry, data))
        try {
          const manifest = await findModel(store, name)
          return await exportModel(store, manifest, folder, { onProgress: bar.show, signal })
        } finally {
          await store.close()
        }
      })
      process.stdout.write(`Wrote ${path}; there, take it with: mdi import ${path}\n`)
    })
}

export const addModels = (program: Command, entry: WorkerEntry): void => {
  addList(program, entry)
  addRemove(program, entry)
  addExport(program, entry)
}
