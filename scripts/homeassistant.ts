/**
 * Connects a real Home Assistant, of any release, to a ring of three with the model in the box:
 * by Wyoming and by its own MQTT broker, as a person would, and looks at what becomes of it.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { table } from '../services/cli/output.ts'
import { Cluster } from '../test/harness/cluster.ts'
import { HomeAssistant } from '../test/harness/hass.ts'
import { endInOrder, freePort, Place, type Service } from '../test/harness/processes.ts'
import { importInto } from '../test/harness/rings.ts'

const program = new Command('homeassistant')
  .description(
    'connect a real Home Assistant to a ring of three nodes: conversations, intents, discovery, losses.\nWants mosquitto, and Home Assistant as pip installs it; it may install its own requirements.',
  )
  .option('--hass <command>', 'what starts Home Assistant', 'hass')
  .option(
    '--model <file>',
    'a GGUF file',
    join(import.meta.dirname, '../firmware/model/house.gguf'),
  )
  .parse()
const options = program.opts<{ hass: string; model: string }>()

type Check = { what: string; told: string; ok: boolean }
const checks: Check[] = []

/** Looks at one thing; what goes wrong is a result, too. */
const check = async (what: string, look: () => Promise<[boolean, string]>): Promise<void> => {
  try {
    const [ok, told] = await look()
    checks.push({ what, told, ok })
  } catch (error) {
    checks.push({ what, told: String(error), ok: false })
  }
  const { ok, told } = checks.at(-1) as Check
  process.stderr.write(`${ok ? '✔' : '✖'} ${what}: ${told}\n`)
}

endInOrder()
const place = new Place()

const startBroker = async (): Promise<{ port: number; service: Service }> => {
  const port = await freePort()
  const file = join(place.folder, 'mosquitto.conf')
  const lines = [`listener ${port} 127.0.0.1`, 'allow_anonymous true']
  if (process.getuid?.() === 0) lines.push('user root')
  writeFileSync(file, `${lines.join('\n')}\n`)
  const service = place.command('mosquitto', ['mosquitto', '-c', file]).start()
  await service.line(/mosquitto version \S+ running/)
  return { port, service }
}

const models = join(place.folder, 'models')
const { name: model } = await importInto(models, options.model)
const cluster = await Cluster.start(place, { nodes: 3, models, name: 'home' })
await cluster.load(model)
const broker = await startBroker()
const voice = await freePort()
const words = ['gateway', '--broker', cluster.url, '--cluster', cluster.name, '--name', 'g']
const listen = ['--voice-host', '127.0.0.1', '--voice-port', String(voice), '--no-zeroconf']
const house = { MDI_HOUSE_MQTT_HOST: '127.0.0.1', MDI_HOUSE_MQTT_PORT: String(broker.port) }
const gateway = place.mdi('gateway', [...words, ...listen, '--intents'], house).start()
await gateway.line(/^Connected to the home's broker/)
process.stderr.write('The ring is ready; Home Assistant starts.\n')
const home = await HomeAssistant.start(place, options.hass.split(' '))
process.stderr.write(`Home Assistant ${home.version}.\n`)
/** 2026.11 and later check exposure, render templates, and send a language. */
const recent = Number(home.version.slice(0, 7)) >= 2026.11

const light = 'light.kitchen_lights'
const lock = 'lock.front_door'
await home.until('the lock', ({ entity_id }) => entity_id === lock)
type Area = { area_id: string; name: string }
const areas = await home.ask<Area[]>('config/area_registry/list')
for (const [name, entities] of [
  ['Kitchen', [light]],
  ['Hallway', [lock, 'light.bed_light']],
] as const) {
  // It begins with rooms of its own.
  const { area_id } =
    areas.find((area) => area.name === name) ??
    (await home.ask<Area>('config/area_registry/create', { name }))
  for (const entity_id of entities)
    await home.ask('config/entity_registry/update', { entity_id, area_id })
}
const expose = (entity: string, should: boolean) =>
  home.ask('homeassistant/expose_entity', {
    ...{ assistants: ['conversation'], entity_ids: [entity], should_expose: should },
  })
await expose(light, true)
await expose('light.bed_light', true)
await expose(lock, false)
await home.integrate('wyoming', { host: '127.0.0.1', port: voice })
const agent = (
  await home.until('the voice agent', ({ entity_id }) =>
    /^conversation\.(?!home_assistant)/.test(entity_id),
  )
).entity_id
const lightIs = (state: string) =>
  home.until(`the light ${state}`, (s) => s.entity_id === light && s.state === state, 10)
const off = async () => {
  await home.service('light', 'turn_off', { entity_id: light })
  await lightIs('off')
}

await off()
await check('an intent switches a light', async () => {
  const { text } = await home.say(agent, 'turn on the kitchen lights')
  await lightIs('on')
  return [true, text]
})

await off()
await check('three turns of one conversation', async () => {
  const first = await home.say(agent, 'turn on the lights')
  const second = await home.say(agent, 'the kitchen', first.conversation)
  await lightIs('on')
  const third = await home.say(agent, 'thank you', second.conversation)
  const same = third.conversation === first.conversation
  return [
    same && first.text === 'Which room?',
    [first, second, third].map((t) => t.text).join(' / '),
  ]
})

await check('a lock that is not exposed stays locked', async () => {
  await home.service('lock', 'lock', { entity_id: lock })
  await home.until('the lock', (s) => s.entity_id === lock && s.state === 'locked', 10)
  const texts: string[] = []
  for (const text of [
    'unlock the front door',
    'unlock the hallway',
    'turn off the hallway',
    'turn off the front door',
  ])
    texts.push((await home.say(agent, text)).text)
  return [home.stateOf(lock) === 'locked', [...new Set(texts)].join(' / ')]
})

await check('a question about a state', async () => {
  await home.service('light', 'turn_on', { entity_id: light })
  await lightIs('on')
  const { text } = await home.say(agent, 'is the kitchen lights on')
  return [recent ? !/\{/.test(text) && text !== '' : /cannot/.test(text), text]
})

await check('the time', async () => {
  const { text } = await home.say(agent, 'what time is it')
  return [text !== '' && !/\{/.test(text), text]
})

await check('speech that is no command', async () => {
  const { text, kind } = await home.say(agent, 'what is two plus two')
  return [/4|four/.test(text), `${text} (${kind})`]
})

await home.integrate('mqtt', { broker: '127.0.0.1', port: broker.port })
const board = (id: string, state: string, seconds = 60) =>
  home.until(
    `board ${id} ${state}`,
    ({ entity_id, state: now }) => entity_id.endsWith(`${id}_state`) && now === state,
    seconds,
  )

await check('the boards are discovered', async () => {
  for (const id of ['n1', 'n2', 'n3']) await board(id, 'ready')
  const devices = await home.ask<{ identifiers: [string, string][]; name: string }[]>(
    'config/device_registry/list',
  )
  const ours = devices.filter(({ identifiers }) => identifiers.some(([by]) => by === 'mqtt'))
  return [ours.length === 4, ours.map(({ name }) => name).join(', ')]
})

await check('the ring is down: told in time, by voice and by the board', async () => {
  const started = performance.now()
  await cluster.node('n2').kill()
  const { text } = await home.say(agent, 'tell me a joke')
  const seconds = (performance.now() - started) / 1000
  const gone = await home.until(
    'n2 unavailable',
    (s) =>
      s.entity_id.startsWith('sensor.') &&
      s.entity_id.endsWith('n2_state') &&
      s.state === 'unavailable',
  )
  return [seconds < 25 && text !== '', `"${text}" after ${seconds.toFixed(1)} s; ${gone.entity_id}`]
})

await check('the ring is up again', async () => {
  cluster.node('n2').start()
  await cluster.watch.until(() => cluster.watch.health?.ring === 'ready')
  await board('n2', 'ready')
  await off()
  const { text } = await home.say(agent, 'turn on the kitchen lights')
  await lightIs('on')
  return [true, text]
})

await check("the house's broker restarts", async () => {
  await broker.service.kill()
  await home.until(
    'nothing to be had',
    (s) => s.entity_id.endsWith('n1_state') && s.state === 'unavailable',
  )
  const during = await home.say(agent, 'tell me a joke')
  broker.service.start()
  for (const id of ['n1', 'n2', 'n3']) await board(id, 'ready')
  return [during.text !== '', `"${during.text}" meanwhile; all boards are back`]
})

await check('Home Assistant reports no error of ours', async () => {
  const errors = home.lines.filter((l) => /ERROR/.test(l) && /wyoming|mqtt|mdi/i.test(l))
  return [errors.length === 0, errors.length === 0 ? 'none' : errors.slice(0, 3).join(' | ')]
})

table(
  ['', `HOME ASSISTANT ${home.version}`, 'WHAT CAME'],
  checks.map(({ ok, what, told }) => [ok ? '✔' : '✖', what, told.slice(0, 90)]),
)
await home.close()
await cluster.close()
await place.close()
process.exitCode = checks.every(({ ok }) => ok) ? 0 : 1
