/** `mdi models` and `mdi remove NAME` */
import type { Command } from 'commander'
import { type Entry, findModel, openStore } from '../lifecycle/local.ts'
import { dataFolder } from './options.ts'
import { bytes, count, json, table } from './output.ts'

export const addModels = (program: Command, entry: Entry): void => {
  program
    .command('models')
    .description('list the models in the store')
    .option('--json', 'one JSON document instead of a table')
    .action(async (options: { json?: boolean }, command: Command) => {
      const store = await openStore(entry, dataFolder(command))
      try {
        const models = (await store.listModels()).map((m) => ({
          name: m.name,
          family: m.spec.family,
          parameters: m.parameters,
          layers: m.spec.layers,
          context: m.spec.context,
          bytes: m.records.reduce((sum, r) => sum + r.bytes, 0),
          runtimeBytes: m.records.reduce((sum, r) => sum + r.runtimeBytes, 0),
        }))
        if (options.json) {
          json({ models })
          return
        }
        if (models.length === 0) {
          process.stdout.write('No models yet; import one with: mdi import FILE\n')
          return
        }
        table(
          ['MODEL', 'FAMILY', 'PARAMETERS', 'LAYERS', 'CONTEXT', 'DISK', 'MEMORY'],
          models.map((m) => [
            m.name,
            m.family,
            count(m.parameters),
            m.layers,
            m.context,
            bytes(m.bytes),
            bytes(m.runtimeBytes),
          ]),
        )
      } finally {
        await store.close()
      }
    })

  program
    .command('remove')
    .description('remove a model and the weights that no other model uses')
    .argument('<name>')
    .action(async (name: string, _options: unknown, command: Command) => {
      const store = await openStore(entry, dataFolder(command))
      try {
        const manifest = await findModel(store, name)
        const freed = await store.removeModel(manifest.name)
        process.stdout.write(`Removed ${manifest.name}; ${bytes(freed)} are free again.\n`)
      } finally {
        await store.close()
      }
    })
}
