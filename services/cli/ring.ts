/** `mdi load`, `mdi unload`, `mdi status`, `mdi cancel`: the ring, from any machine. */
import { type Command, InvalidArgumentError } from 'commander'
import type { Online } from '../wire/control.ts'
import type { VerbData } from '../wire/verbs.ts'
import { onInterrupt } from './interrupt.ts'
import { arithmetic, whole } from './options.ts'
import { bytes, json, table } from './output.ts'
import { RemoteRing } from './remote.ts'
import { settingsOf } from './settings.ts'

/** Runs `use` with a connection to the ring. */
export const withRing = async <T>(
  command: Command,
  use: (ring: RemoteRing) => Promise<T>,
): Promise<T> => {
  const ring = await RemoteRing.connect(settingsOf(command))
  try {
    return await use(ring)
  } finally {
    await ring.close()
  }
}

const list = (text: string): string[] => text.split(',').map((t) => t.trim())
const counts = (text: string): number[] =>
  list(text).map((t) => {
    const n = Number(t)
    if (!Number.isSafeInteger(n) || n < 1)
      throw new InvalidArgumentError('It must be numbers of layers, such as 4,4,3.')
    return n
  })
const wire = (text: string): string => {
  if (text === 'fp16' || text === 'fp32') return text
  throw new InvalidArgumentError('It is fp16 or fp32.')
}

const addBroker = (command: Command): Command =>
  command.option('--broker <url>', 'the MQTT broker, such as mqtt://192.168.1.10:1883')

type LoadOptions = {
  nodes?: string[]
  layers?: number[]
  arithmetic?: 'exact' | 'fast'
  wire?: 'fp16' | 'fp32'
  context?: number
  json?: boolean
}

export const addRing = (program: Command): void => {
  addBroker(program.command('load'))
    .description('spread a model over the nodes, and wait until the ring is ready')
    .argument('<model>', 'a model of the coordinator’s store')
    .option('--nodes <names>', 'which nodes, in the ring’s order: a,b,c', list)
    .option('--layers <counts>', 'layers of each of them by hand: 4,4,3', counts)
    .option('--arithmetic <kind>', 'fast or exact', arithmetic)
    .option('--wire <type>', 'activations on the wire: fp16 or fp32', wire)
    .option('--context <n>', 'positions that a conversation may reach', whole(16))
    .option('--json', 'one JSON document instead of a table')
    .action(async (model: string, options: LoadOptions, command: Command) => {
      await withRing(command, async (ring) => {
        const { json: asJson, ...wanted } = options
        const { nodes, layers, arithmetic, wire, context } = wanted
        const stop = follow(ring)
        try {
          const data = await ring.ask('load', { model, nodes, layers, arithmetic, wire, context })
          if (asJson) json(data)
          else stagesTable(data.stages)
        } finally {
          stop()
        }
      })
    })

  addBroker(program.command('unload'))
    .description('drop the model from the nodes’ memory; their stores keep it')
    .action(async (_options: unknown, command: Command) => {
      await withRing(command, async (ring) => {
        const { model } = await ring.ask('unload', {})
        process.stdout.write(model ? `Unloaded ${model}.\n` : 'No model was loaded.\n')
      })
    })

  addBroker(program.command('cancel'))
    .description('end a running request')
    .argument('<id>')
    .action(async (id: string, _options: unknown, command: Command) => {
      await withRing(command, async (ring) => {
        await ring.ask('cancel', { id })
        process.stdout.write(`Cancelled ${id}.\n`)
      })
    })

  addBroker(program.command('status'))
    .description('show the ring and its nodes, live on a terminal')
    .option('--json', 'one JSON document instead of a table')
    .option('--once', 'show it once')
    .action(async (options: { json?: boolean; once?: boolean }, command: Command) => {
      await withRing(command, async (ring) => {
        if (options.json) json(await ring.ask('status', {}))
        else if (options.once || !process.stdout.isTTY) show(await ring.ask('status', {}))
        else await live(ring)
      })
    })
}

const stagesTable = (stages: VerbData<'load'>['stages']): void =>
  table(
    ['STAGE', 'NODE', 'LAYERS'],
    stages.map((s, i) => [
      i === 0 ? '0 (starter)' : i,
      s.node,
      `${s.first}–${s.end - 1} (${s.end - s.first})`,
    ]),
  )

/** Says what a load waits for, when it changes. */
const follow = (ring: RemoteRing): (() => void) => {
  let told = ''
  let asking = false
  const timer = setInterval(() => {
    if (asking) return
    asking = true
    void ring
      .ask('status', {})
      .then(({ health }) => {
        const reason = health.reason ?? ''
        if (reason !== told && reason !== '') process.stderr.write(`${reason}\n`)
        told = reason
      })
      .catch(() => {})
      .finally(() => {
        asking = false
      })
  }, 1_000)
  return () => clearInterval(timer)
}

const layersOf = (node: Online): string => {
  const { phase, first, end } = node.assignment
  if (phase === 'idle' || first === undefined || end === undefined) return '–'
  return `${first}–${end - 1}`
}

const stateOf = (node: Online): string => {
  const { phase, progress, error } = node.assignment
  if (phase === 'failed') return `failed: ${error ?? ''}`
  const share = progress && progress.total > 0 ? progress.done / progress.total : undefined
  const broken = node.links.find((l) => !l.up)
  if (phase === 'ready' && broken) return `no link to ${broken.peer}: ${broken.reason ?? ''}`
  return share === undefined ? phase : `${phase} ${Math.floor(share * 100)} %`
}

const show = ({ info, health, nodes }: VerbData<'status'>): void => {
  const model = info.model?.name ?? 'no model'
  const rate = health.running > 0 ? `, ${health.tokensPerSecond.toFixed(1)} tokens/s` : ''
  process.stdout.write(
    `Cluster ${info.cluster}: ${model}, ${health.ring}, ${health.running} running${rate}\n`,
  )
  if (health.reason) process.stdout.write(`${health.reason}\n`)
  if (nodes.length === 0) process.stdout.write('No nodes yet; start one with: mdi node\n')
  else
    table(
      ['NODE', 'STATE', 'LAYERS', 'CAN GIVE', 'ADDRESS'],
      nodes.map((n) =>
        n.state === 'online'
          ? [
              n.id,
              stateOf(n),
              layersOf(n),
              bytes(n.profile.memoryBytes),
              `${n.addresses[0] ?? '?'} ${n.port}`,
            ]
          : [n.id, 'offline', '–', '–', '–'],
      ),
    )
}

/** Shows the status again every second until Ctrl-C. */
const live = async (ring: RemoteRing): Promise<void> => {
  let running = true
  let wake: () => void = () => {}
  const release = onInterrupt(() => {
    running = false
    wake()
  })
  while (running) {
    const status = await ring.ask('status', {})
    process.stdout.write('\x1b[H\x1b[J')
    show(status)
    await new Promise<void>((resolve) => {
      wake = resolve
      setTimeout(resolve, 1_000)
    })
  }
  release()
}
