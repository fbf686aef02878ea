/**
 * Many clients at once, by MQTT and by voice, on a ring of processes: nothing may be lost, no
 * one starved, and memory stays flat.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { RemoteRing } from '../services/cli/remote.ts'
import { MdiError } from '../services/errors.ts'
import { Cluster, settingsFor } from '../test/harness/cluster.ts'
import { endInOrder, freePort, Place } from '../test/harness/processes.ts'
import { importInto } from '../test/harness/rings.ts'
import { say } from '../test/harness/voiceclient.ts'

const sentences = [
  'turn on the kitchen lights',
  'tell me a joke',
  'set the reading lamp to fifty percent',
  'what is two plus two',
  'hello',
  'turn off the heater',
]

const program = new Command('crowd')
  .description('ask a ring by many clients at once')
  .option(
    '--model <file>',
    'a GGUF file',
    join(import.meta.dirname, '../firmware/model/house.gguf'),
  )
  .option('--nodes <n>', 'nodes', Number, 3)
  .option('--clients <n>', 'half of them by MQTT, half by voice', Number, 64)
  .option('--seconds <n>', 'how long', Number, 120)
  .parse()
const options = program.opts<{ model: string; nodes: number; clients: number; seconds: number }>()

type Tally = {
  done: number
  busy: number
  lost: string[]
  first: number[]
  of: Map<number, number>
}
const tally = (): Tally => ({ done: 0, busy: 0, lost: [], first: [], of: new Map() })

const resident = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1000

const took = (t: Tally, client: number, firstMs: number): void => {
  t.done += 1
  t.first.push(firstMs)
  t.of.set(client, (t.of.get(client) ?? 0) + 1)
}

const byVoice = async (port: number, client: number, until: number, t: Tally): Promise<void> => {
  for (let i = client; performance.now() < until; i++) {
    const heard = await say(port, sentences[i % sentences.length] as string, `crowd-${client}-${i}`)
    const { type, data } = heard.outcome ?? { type: 'closed', data: {} }
    if (type === 'handled' || type === 'intent') took(t, client, heard.firstMs)
    else if (/try again in about \d+ second/.test(String(data.text))) t.busy += 1
    else t.lost.push(`${type} ${String(data.text)}`)
  }
}

const byMqtt = async (url: string, client: number, until: number, t: Tally): Promise<void> => {
  const ring = await RemoteRing.connect(settingsFor(url))
  for (let i = client; performance.now() < until; i++) {
    const start = performance.now()
    let first = 0
    try {
      const content = sentences[i % sentences.length] as string
      await ring.stream(
        'chat',
        {
          id: `crowd-${client}-${i}`,
          client: `crowd-${client}`,
          messages: [{ role: 'user', content }],
          maxTokens: 64,
        },
        () => {
          first ||= performance.now() - start
        },
      )
      took(t, client, first || performance.now() - start)
    } catch (error) {
      if (!(error instanceof MdiError)) throw error
      if (error.code === 'busy') t.busy += 1
      else t.lost.push(`${error.code} ${error.message}`)
    }
  }
  await ring.close()
}

const at = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[
    Math.min(values.length - 1, Math.floor(values.length * share))
  ] ?? 0

const report = (name: string, t: Tally, clients: number): void => {
  const each = [...t.of.values()]
  process.stdout.write(
    `${name}: ${t.done} answered by ${clients} clients (${Math.min(...each)} to ${Math.max(...each)} each), ` +
      `${t.busy} told busy, ${t.lost.length} lost; first token after ${at(t.first, 0.5).toFixed(0)} ms (median), ` +
      `${at(t.first, 0.99).toFixed(0)} ms (99 %), ${at(t.first, 1).toFixed(0)} ms (worst)\n`,
  )
  for (const sentence of new Set(t.lost)) process.stdout.write(`  ${sentence}\n`)
}

const run = async (): Promise<boolean> => {
  endInOrder()
  const place = new Place().build()
  try {
    const models = join(place.folder, 'models')
    const { name } = await importInto(models, options.model)
    const cluster = await Cluster.start(place, { nodes: options.nodes, models })
    await cluster.load(name)
    const port = await freePort()
    const gateway = place
      .mdi('gateway', [
        ...['gateway', '--broker', cluster.url, '--cluster', cluster.name, '--name', 'g'],
        ...[
          '--voice-host',
          '127.0.0.1',
          '--voice-port',
          String(port),
          '--no-zeroconf',
          '--intents',
        ],
      ])
      .start()
    await gateway.line(/^Connected to the broker/)
    await say(port, 'hello', 'warm')
    const watched = [gateway, cluster.coordinator, ...cluster.nodes]
    const memory = () => watched.map((s) => resident(s.pid))
    const half = Math.ceil(options.clients / 2)
    const mqtt = tally()
    const voice = tally()
    const until = performance.now() + options.seconds * 1000
    const all = Promise.all([
      ...Array.from({ length: half }, (_, i) => byMqtt(cluster.url, i, until, mqtt)),
      ...Array.from({ length: options.clients - half }, (_, i) => byVoice(port, i, until, voice)),
    ])
    // Memory once everything has warmed up, and at the end.
    await new Promise((resolve) => setTimeout(resolve, options.seconds * 250))
    const before = memory()
    await all
    const after = memory()
    report('MQTT', mqtt, half)
    report('Voice', voice, options.clients - half)
    for (const [i, service] of watched.entries())
      process.stdout.write(
        `${service.name}: ${before[i]?.toFixed(0)} MB after a quarter, ${after[i]?.toFixed(0)} MB at the end\n`,
      )
    await cluster.close()
    return mqtt.lost.length + voice.lost.length === 0
  } finally {
    await place.close()
  }
}

process.exitCode = (await run()) ? 0 : 1
