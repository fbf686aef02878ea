/** `mdi board`, `node`, `coordinator` and `gateway`: the service, until it is stopped. */
import type { Command } from 'commander'
import type { LoadedConfig, RoleName } from '../config.ts'
import { processLog } from '../io/log.ts'
import { Broker } from '../io/mqtt/broker.ts'
import { Board } from '../lifecycle/board.ts'
import type { WorkerEntry } from '../lifecycle/local.ts'
import { onInterrupt } from './interrupt.ts'
import { arithmetic, threads, whole } from './options.ts'
import { brokerOf, settingsOf } from './settings.ts'

type Words = {
  name?: string
  port?: number
  host?: string
  memory?: string
  threads?: number
  arithmetic?: string
  voicePort?: number
  voiceHost?: string
  intents?: boolean
  zeroconf?: boolean
  embeddedBroker?: number
  brokerHost?: string
  gateway?: boolean
  roles?: string
}

const addMember = (command: Command): Command =>
  command
    .option('--broker <url>', 'the MQTT broker, such as mqtt://192.168.1.10:1883')
    .option('--cluster <name>', 'nodes of one cluster work together')
    .option('--name <name>', 'name of this node; otherwise the host’s')

const addPorts = (command: Command): Command =>
  command
    .option('--port <n>', 'port for other nodes; 0 takes a free one', whole(0))
    .option('--host <address>', 'address to listen at; otherwise every one')

const addStage = (command: Command): Command =>
  command
    .option('--memory <size>', 'memory for weights and caches at most, such as 600M')
    .option('--threads <n>', 'threads that compute', threads)
    .option('--arithmetic <kind>', 'what is measured at start: fast or exact', arithmetic)

const addVoice = (command: Command): Command =>
  command
    .option('--voice-port <n>', 'port for Home Assistant’s voice (Wyoming)', whole(0))
    .option('--voice-host <address>', 'address to listen at for it; otherwise every one')
    .option('--intents', 'let intents of the model go out to Home Assistant')
    .option('--no-zeroconf', 'do not announce the voice service on the network')

const addBroker = (command: Command): Command =>
  command
    .option(
      '--embedded-broker <port>',
      'be the MQTT broker too, on this port of this machine',
      whole(0),
    )
    .option('--broker-host <address>', 'address of the embedded broker', '127.0.0.1')

/** What was said on the command line, over every other setting. */
const settingsFor = (words: Words, command: Command): LoadedConfig =>
  settingsOf(command, {
    node: words.name,
    'ports.data': words.port,
    'ports.host': words.host,
    'board.roles': words.roles,
    'engine.memory': words.memory,
    'engine.threads': words.threads,
    'engine.arithmetic': words.arithmetic,
    'voice.port': words.voicePort,
    'voice.host': words.voiceHost,
    'voice.intents': words.intents,
    // Commander has it true unless said otherwise; then the settings hold.
    'voice.zeroconf': words.zeroconf === false ? false : undefined,
  })

/** Plays roles until a signal comes or a role ends by itself. */
const play = async (
  entry: WorkerEntry,
  config: LoadedConfig,
  roles: readonly RoleName[],
  { embeddedBroker, brokerHost = '127.0.0.1' }: Words,
): Promise<void> => {
  const log = processLog()
  const interrupted = new Promise<void>((resolve) => onInterrupt(resolve))
  const tell = (sentence: string) => log.tell('info', sentence)
  const broker = embeddedBroker === undefined ? undefined : new Broker(tell)
  try {
    const port = await broker?.start(embeddedBroker as number, brokerHost)
    const brokerUrl = port === undefined ? brokerOf(config) : `mqtt://${brokerHost}:${port}`
    if (port !== undefined) tell(`The embedded broker is at ${brokerUrl}.`)
    const board = await Board.open({ entry, config, brokerUrl, log, roles, heard: broker?.heard })
    try {
      for (const role of roles) await board.start(role)
      await Promise.race([interrupted, board.done])
    } finally {
      await board.close()
    }
  } finally {
    await broker?.close()
  }
  tell('Stopped.')
}

export const addServices = (program: Command, entry: WorkerEntry): void => {
  addBroker(addVoice(addStage(addPorts(addMember(program.command('board'))))))
    .description('do all that the settings say: hold layers, answer, coordinate')
    .option('--roles <list>', 'some of stage, coordinator, gateway; otherwise the settings’')
    .action((words: Words, command: Command) => {
      const settings = settingsFor(words, command)
      return play(entry, settings, settings.board.roles, words)
    })

  addStage(addPorts(addMember(program.command('node'))))
    .description('be a node of the ring: hold layers and compute them')
    .action((words: Words, command: Command) =>
      play(entry, settingsFor(words, command), ['stage'], words),
    )

  addVoice(addMember(program.command('gateway')))
    .description('answer the home: voice assistants, Home Assistant, its MQTT broker')
    .action((words: Words, command: Command) =>
      play(entry, settingsFor(words, command), ['gateway'], words),
    )

  addBroker(addVoice(addPorts(addMember(program.command('coordinator')))))
    .description('plan the ring, serve weights and answer requests')
    .option('--gateway', 'answer the home in this process, too (voice, house_mqtt)')
    .action((words: Words, command: Command) => {
      const roles: RoleName[] = words.gateway ? ['coordinator', 'gateway'] : ['coordinator']
      return play(entry, settingsFor(words, command), roles, words)
    })
}
