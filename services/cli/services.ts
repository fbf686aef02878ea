/** `mdi node` and `mdi coordinator`: the services, until they are stopped. */
import type { Command } from 'commander'
import { Broker } from '../io/mqtt/broker.ts'
import { startCoordinator } from '../lifecycle/coordinator.ts'
import { startGateway } from '../lifecycle/gatewayprocess.ts'
import type { WorkerEntry } from '../lifecycle/local.ts'
import { log } from '../lifecycle/log.ts'
import { startNode } from '../lifecycle/node.ts'
import { onInterrupt } from './interrupt.ts'
import { arithmetic, threads, whole } from './options.ts'
import { brokerOf, settingsOf } from './settings.ts'

type NodeOptions = {
  name?: string
  port?: number
  host?: string
  memory?: string
  threads?: number
  arithmetic?: string
}

/** Resolves at the first SIGINT or SIGTERM. */
const interrupted = (): Promise<void> => new Promise((resolve) => onInterrupt(resolve))

const addMember = (command: Command): Command =>
  command
    .option('--broker <url>', 'the MQTT broker, such as mqtt://192.168.1.10:1883')
    .option('--cluster <name>', 'nodes of one cluster work together')
    .option('--name <name>', 'name of this node; otherwise the host’s')

const addShared = (command: Command): Command =>
  addMember(command)
    .option('--port <n>', 'port for other nodes; 0 takes a free one', whole(0))
    .option('--host <address>', 'address to listen at; otherwise every one')

type VoiceOptions = {
  voicePort?: number
  voiceHost?: string
  intents?: boolean
  zeroconf?: boolean
}

const addVoice = (command: Command): Command =>
  command
    .option('--voice-port <n>', 'port for Home Assistant’s voice (Wyoming)', whole(0))
    .option('--voice-host <address>', 'address to listen at for it; otherwise every one')
    .option('--intents', 'let intents of the model go out to Home Assistant')
    .option('--no-zeroconf', 'do not announce the voice service on the network')

const voiceOf = ({ voicePort, voiceHost, intents, zeroconf }: VoiceOptions) => ({
  'voice.port': voicePort,
  'voice.host': voiceHost,
  'voice.intents': intents,
  // Commander has it true unless said otherwise; then the settings hold.
  'voice.zeroconf': zeroconf === false ? false : undefined,
})

export const addServices = (program: Command, entry: WorkerEntry): void => {
  addShared(program.command('node'))
    .description('be a node of the ring: hold layers and compute them')
    .option('--memory <size>', 'memory for weights and caches at most, such as 600M')
    .option('--threads <n>', 'threads that compute', threads)
    .option('--arithmetic <kind>', 'what is measured at start: fast or exact', arithmetic)
    .action(async (options: NodeOptions, command: Command) => {
      const settings = settingsOf(command, {
        node: options.name,
        'ports.data': options.port,
        'ports.host': options.host,
        'engine.memory': options.memory,
        'engine.threads': options.threads,
        'engine.arithmetic': options.arithmetic,
      })
      const node = await startNode(entry, settings, brokerOf(settings))
      try {
        await Promise.race([interrupted(), node.done])
      } finally {
        await node.stop()
        log('Stopped.')
      }
    })

  addVoice(addMember(program.command('gateway')))
    .description('answer the house: voice assistants, Home Assistant, its MQTT broker')
    .action(async (options: NodeOptions & VoiceOptions, command: Command) => {
      const settings = settingsOf(command, { node: options.name, ...voiceOf(options) })
      const gateway = await startGateway(entry, settings, brokerOf(settings))
      await interrupted()
      await gateway.stop()
      log('Stopped.')
    })

  addVoice(addShared(program.command('coordinator')))
    .description('plan the ring, serve weights and answer requests')
    .option(
      '--embedded-broker <port>',
      'be the MQTT broker too, on this port of this machine',
      whole(0),
    )
    .option('--gateway', 'answer the house in this process, too (voice, house_mqtt)')
    .option('--broker-host <address>', 'address of the embedded broker', '127.0.0.1')
    .action(
      async (
        options: NodeOptions & {
          embeddedBroker?: number
          brokerHost: string
          gateway?: boolean
        } & VoiceOptions,
        command: Command,
      ) => {
        const settings = settingsOf(command, {
          node: options.name,
          'ports.data': options.port,
          'ports.host': options.host,
          ...voiceOf(options),
        })
        const broker = options.embeddedBroker === undefined ? undefined : new Broker(log)
        const { brokerHost } = options
        const port = await broker?.start(options.embeddedBroker as number, brokerHost)
        const url = port === undefined ? brokerOf(settings) : `mqtt://${brokerHost}:${port}`
        if (port !== undefined) log(`The embedded broker is at ${url}.`)
        try {
          const coordinator = await startCoordinator(entry, settings, url, {
            withGateway: options.gateway,
            heard: broker?.heard,
          })
          try {
            await Promise.race([interrupted(), coordinator.done])
          } finally {
            await coordinator.stop()
          }
        } finally {
          await broker?.close()
        }
        log('Stopped.')
      },
    )
}
