/** `mdi import FILE` */
import { type Command, InvalidArgumentError } from 'commander'
import { openFile } from '../io/file.ts'
import { type Entry, openStore } from '../lifecycle/local.ts'
import { importGguf } from '../model/import.ts'
import { textSpecFromGguf } from '../model/text.ts'
import type { WriteOptions } from '../model/writer.ts'
import { onInterrupt } from './interrupt.ts'
import { dataFolder } from './options.ts'
import { bytes, count, json, ProgressBar } from './output.ts'

type Options = { name?: string; weights: WriteOptions['rounding']; json?: boolean }

/** What becomes of matrices that the file does not have quantized. */
const weights = (text: string): WriteOptions['rounding'] => {
  const kinds: Record<string, WriteOptions['rounding']> = { 8: 'Q8_0', 4: 'Q4_1', keep: 'keep' }
  const kind = kinds[text]
  if (!kind) throw new InvalidArgumentError('It is 8, 4 or keep.')
  return kind
}

export const addImport = (program: Command, entry: Entry): void => {
  program
    .command('import')
    .description('take a model file (GGUF) into the store')
    .argument('<file>', 'a GGUF file')
    .option('--name <name>', 'how the model is called; otherwise as its file')
    .option(
      '--weights <bits>',
      'for weights that are not quantized in the file: 8, 4 (shows the loss) or keep',
      weights,
      'Q8_0',
    )
    .option('--json', 'one JSON document instead of text')
    .action(async (file: string, options: Options, command: Command) => {
      const bar = new ProgressBar()
      const source = await openFile(file)
      const stop = new AbortController()
      const release = onInterrupt(() => stop.abort())
      try {
        const store = await openStore(entry, dataFolder(command))
        try {
          const startedAt = performance.now()
          const { manifest, resumed, loss } = await importGguf(source, store, {
            ...(options.name !== undefined && { name: options.name }),
            ...(options.weights !== undefined && { rounding: options.weights }),
            textSpec: textSpecFromGguf,
            onProgress: bar.show,
            signal: stop.signal,
          })
          bar.stop()
          const seconds = (performance.now() - startedAt) / 1000
          const { name, spec, parameters, types } = manifest
          if (options.json) {
            json({
              name,
              family: spec.family,
              layers: spec.layers,
              parameters,
              types,
              loss,
              seconds,
            })
            return
          }
          const kinds = Object.entries(types).map(([type, n]) => `${n} ${type}`)
          process.stdout.write(
            `Imported ${name}: ${count(parameters)} parameters, ${spec.layers} layers, ${kinds.join(', ')}; ${bytes(source.size)} in ${seconds.toFixed(1)} s.\n`,
          )
          if (resumed > 0) process.stdout.write(`${resumed} records were there already.\n`)
          if (loss !== undefined)
            process.stdout.write(
              `Rounding changed the weights by ${(loss * 100).toFixed(2)} % (rms).\n`,
            )
        } finally {
          bar.stop()
          await store.close()
        }
      } finally {
        release()
        await source.close()
      }
    })
}
