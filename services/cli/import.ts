/** `mdi import PATH` */
import { type Command, InvalidArgumentError } from 'commander'
import { MdiError } from '../errors.ts'
import { TemplateWorker } from '../io/template.ts'
import { type Imported, importPath } from '../lifecycle/import.ts'
import { openStore, type WorkerEntry } from '../lifecycle/local.ts'
import type { WriteOptions } from '../model/writer.ts'
import { onInterrupt } from './interrupt.ts'
import { dataFolder } from './options.ts'
import { bytes, count, json, ProgressBar, plain } from './output.ts'

/** Options of whatever ends in an import. */
export type ImportWords = {
  name?: string
  weights: NonNullable<WriteOptions['rounding']>
  plainChat?: boolean
  json?: boolean
}

/** What becomes of matrices that the file does not have quantized. */
const weights = (text: string): ImportWords['weights'] => {
  const kinds: Record<string, ImportWords['weights']> = { 8: 'Q8_0', 4: 'Q4_1', keep: 'keep' }
  const kind = kinds[text]
  if (!kind) throw new InvalidArgumentError('It is 8, 4 or keep.')
  return kind
}

/** A name that a person can type and a folder can have. */
const modelName = (text: string): string => {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(text)) return text
  throw new InvalidArgumentError('It is made of letters, digits, dots, dashes and underscores.')
}

export const addImportOptions = (command: Command): Command =>
  command
    .option('--name <name>', 'how the model is called; otherwise as its file', modelName)
    .option(
      '--weights <bits>',
      'for weights that are not quantized in the file: 8, 4 (shows the loss) or keep',
      weights,
      'Q8_0',
    )
    .option(
      '--plain-chat',
      "answer conversations in a plain form, without the model's chat template",
    )
    .option('--json', 'one JSON document instead of text')

/** Tells what an import came to. */
export const tellImported = (
  { manifest, resumed, loss, notes = [] }: Imported,
  seconds: number,
  options: { json?: boolean },
  more: Record<string, unknown> = {},
): void => {
  const { name, spec, parameters, types, source } = manifest
  for (const note of notes) process.stderr.write(`${plain(note)}\n`)
  if (manifest.text.endIds.length === 0)
    process.stderr.write(
      `${name} names no token that ends an answer: its answers go on until --max-tokens or --stop.\n`,
    )
  if (options.json) {
    const { family, layers } = spec
    json({ name, family, layers, parameters, types, loss, notes, seconds, ...more })
    return
  }
  const kinds = Object.entries(types).map(([type, n]) => `${n} ${type}`)
  process.stdout.write(
    `Imported ${name}: ${count(parameters)} parameters, ${spec.layers} layers, ${plain(kinds.join(', '))}; ${bytes(source.bytes)} in ${seconds.toFixed(1)} s.\n`,
  )
  if (resumed > 0) process.stdout.write(`${resumed} records were there already.\n`)
  if (loss !== undefined)
    process.stdout.write(`Rounding changed the weights by ${(loss * 100).toFixed(2)} % (rms).\n`)
}

/** Runs a long step with a progress bar, until Ctrl-C. */
export const withProgress = async <T>(
  work: (bar: ProgressBar, signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const bar = new ProgressBar()
  const stop = new AbortController()
  const release = onInterrupt(() => stop.abort(new MdiError('cancelled', 'Cancelled.')))
  try {
    return await work(bar, stop.signal)
  } finally {
    bar.stop()
    release()
  }
}

export const addImport = (program: Command, entry: WorkerEntry): void => {
  const command = program
    .command('import')
    .description('take a model of this machine into the store')
    .argument('<path>', 'a GGUF file, a folder in safetensors, or an exported model')
  addImportOptions(command).action(async (path: string, options: ImportWords, self: Command) => {
    const startedAt = performance.now()
    const imported = await withProgress(async (bar, signal) => {
      const store = await openStore(entry, dataFolder(self))
      const templates = new TemplateWorker(entry)
      try {
        return await importPath(path, store, {
          name: options.name,
          rounding: options.weights,
          templates,
          plainChat: options.plainChat,
          onProgress: bar.show,
          signal,
        })
      } finally {
        await templates.close()
        await store.close()
      }
    })
    tellImported(imported, (performance.now() - startedAt) / 1000, options)
  })
}
