/** The command line: its commands, what they share, and how they end. */
import { Command, CommanderError } from 'commander'
import { ExitStatus } from '../errors.ts'
import type { WorkerEntry } from '../lifecycle/local.ts'
import { version } from '../version.ts'
import { addBench } from './bench.ts'
import { addChat } from './chat.ts'
import { endWith, outputGone, watchEnd } from './ending.ts'
import { addGenerate } from './generate.ts'
import { addImport } from './import.ts'
import { addModels } from './models.ts'
import { tellError } from './output.ts'
import { addPull } from './pull.ts'
import { addRing } from './ring.ts'
import { addServices } from './services.ts'

const about = `Language models on small boards: a model's layers are spread over the nodes of a ring.

Typical use:
  mdi pull smollm2-135m          fetch a model by its name (mdi models lists them)
  mdi import model.gguf          or take a file of yours into the store
  mdi generate "Once upon"       continue a text
  mdi chat                       talk with the model

A ring of several machines, each reaching the MQTT broker:
  mdi node --broker URL          on every board
  mdi coordinator --broker URL   on one of them, where the model is imported
  mdi load MODEL --broker URL    spread the model over the nodes
  mdi generate --broker URL …    from anywhere`

/** Runs the command line; ends the process with the command's exit status. */
export const run = async (entry: WorkerEntry, argv: readonly string[]): Promise<void> => {
  const program = new Command('mdi')
  program
    .description(about)
    .version(version)
    .option('--data <dir>', 'folder of models, weights and identity')
    .option('--config <file>', 'settings file (TOML)')
    .showHelpAfterError('(see: mdi --help)')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
  const adders = [
    addPull,
    addImport,
    addModels,
    addGenerate,
    addChat,
    addBench,
    addServices,
    addRing,
  ]
  for (const add of adders) add(program, entry)
  watchEnd()
  try {
    await program.parseAsync([...argv])
  } catch (error) {
    if (error instanceof CommanderError)
      endWith(error.exitCode === 0 ? ExitStatus.ok : ExitStatus.usage)
    else endWith(outputGone.aborted ? ExitStatus.ok : tellError(error))
  }
}
