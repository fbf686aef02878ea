/**
 * INTENTS' second table against a running ring of three: a model that says the worst of each row,
 * whatever it is asked. No lock opens, nothing reaches the whole house, and no template of the
 * model's reaches Home Assistant. And no name that the model cut short, nor what it is not sure of.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { cue, scriptedModel } from '../fakes/scripted.ts'
import { WyomingClient } from '../fakes/wyoming.ts'
import { Cluster } from '../harness/cluster.ts'
import { freePort, Place, type Service } from '../harness/processes.ts'
import { importInto } from '../harness/rings.ts'

type Slots = Record<string, string | number>
/** What a release without and one with a `language` gets: an intent, or speech alone. */
type Outcome = 'intent' | 'handled'
type Row = {
  what: string
  said: string
  model: string
  old: Outcome
  recent: Outcome
  /** Another answer is as probable. */
  unsure?: boolean
}

const intent = (name: string, slots: Slots, reply = 'OK.'): string =>
  `${JSON.stringify({ intent: name, slots })}\n${reply}`
const never = { old: 'handled', recent: 'handled' } as const
const template = "{{ states('lock.front_door') }}"
const kitchen = { area: 'kitchen', domain: 'light' }

const rows: Row[] = [
  {
    what: 'a room without a domain, which unlocked the front door',
    said: 'turn off the hallway',
    model: intent('HassTurnOff', { area: 'hallway' }),
    ...never,
  },
  {
    what: 'the locks of a room',
    said: 'unlock the hallway',
    model: intent('HassTurnOff', { area: 'hallway', domain: 'lock' }),
    ...never,
  },
  {
    what: 'every light of the house',
    said: 'turn on the lights',
    model: intent('HassTurnOn', { domain: 'light' }),
    ...never,
  },
  {
    what: 'an area that was not said',
    said: 'turn on the lights',
    model: intent('HassTurnOn', kitchen),
    ...never,
  },
  {
    // Which areas there are the house knows alone: it says that there is none.
    what: 'an area that the house does not have',
    said: 'turn on the lights in the zeppelin',
    model: intent('HassTurnOn', { area: 'zeppelin', domain: 'light' }),
    ...{ old: 'intent', recent: 'intent' },
  },
  {
    what: 'a slot that the intent does not have',
    said: 'kitchen light on',
    model: intent('HassTurnOn', { ...kitchen, brightness: 5 }),
    ...never,
  },
  {
    what: 'brightness in words',
    said: 'kitchen light to fifty',
    model: intent('HassLightSet', { ...kitchen, brightness: 'fifty' }),
    ...never,
  },
  {
    what: 'a colour in German',
    said: 'kitchen light to rot',
    model: intent('HassLightSet', { ...kitchen, color: 'rot' }),
    ...never,
  },
  {
    what: 'a template as speech',
    said: 'is the front door locked',
    model: `The door is ${template}.`,
    ...never,
  },
  {
    what: 'a template after an intent',
    said: 'turn on the kitchen light',
    model: intent('HassTurnOn', kitchen, `OK, ${template}{% x %}{# y #}.`),
    ...{ old: 'intent', recent: 'intent' },
  },
  {
    what: 'a template as a name',
    said: `turn on ${template}`,
    model: intent('HassTurnOn', { name: template }),
    ...never,
  },
  {
    what: 'a state, whose text is ours and rendered by 2026.11 alone',
    said: 'is the lamp on',
    model: intent('HassGetState', { name: 'lamp', state: 'on' }, template),
    ...{ old: 'handled', recent: 'intent' },
  },
  {
    what: 'a timer, which only 2026.11 takes',
    said: 'set a timer for five minutes',
    model: intent('HassStartTimer', { minutes: 5 }),
    ...{ old: 'handled', recent: 'intent' },
  },
]

const more: Row[] = [
  {
    what: 'a room whose name was cut short',
    said: 'kids bathroom light on',
    model: intent('HassTurnOn', { area: 'bathroom', domain: 'light' }),
    ...never,
  },
  {
    what: 'the same room by its whole name',
    said: 'kids bathroom light on',
    model: intent('HassTurnOn', { area: 'kids bathroom', domain: 'light' }),
    ...{ old: 'intent', recent: 'intent' },
  },
  {
    what: 'a command of which the model is not sure',
    said: 'kitchen light on',
    model: intent('HassTurnOn', kitchen, 'Perhaps.'),
    unsure: true,
    ...never,
  },
]
rows.push(...more)
/** Of the rows' words those that stand beside names. */
const beside = 'turn on off unlock the is in light lights to set'.split(' ')

describe('INTENTS’ second table through a ring of three', () => {
  const place = new Place()
  let cluster: Cluster
  let gateway: Service
  let port: number

  before(async () => {
    const file = join(place.folder, 'scripted.gguf')
    writeFileSync(
      file,
      await scriptedModel(
        rows.map(({ model }) => model),
        beside,
        rows.flatMap(({ unsure }, i) => (unsure ? [i] : [])),
      ),
    )
    const models = join(place.folder, 'models')
    const { name } = await importInto(models, file)
    cluster = await Cluster.start(place, { nodes: 3, models })
    const { stages } = await cluster.load(name, { nodes: ['n1', 'n2', 'n3'] })
    assert.equal(stages.length, 3)
    port = await freePort()
    const words = ['gateway', '--broker', cluster.url, '--cluster', cluster.name, '--name', 'g']
    const voice = ['--voice-host', '127.0.0.1', '--voice-port', String(port), '--no-zeroconf']
    gateway = place.mdi('gateway', [...words, ...voice, '--intents']).start()
    await gateway.line(/^Connected to the broker/)
    // Until the gateway has heard what is loaded.
    while ((await ask('hello', 'first')).type === 'not-handled');
  })
  after(async () => {
    await cluster?.close()
    await place.close()
  })

  /** Says something, to its outcome. */
  const ask = async (said: string, conversation: string, language?: string) => {
    const client = await WyomingClient.call(port)
    client.say(said, { conversation, ...(language && { language }) })
    const { type, data } = await client.outcome()
    client.hangUp()
    return { type, data, all: JSON.stringify([...client.events.all]) }
  }

  for (const [i, { what, said, model, old, recent }] of rows.entries())
    for (const [release, language, expected] of [
      ['2026.2', undefined, old],
      ['2026.11', 'en', recent],
    ] as const)
      test(`${what}: ${release}`, async () => {
        const since = gateway.lines.length
        const { type, data, all } = await ask(cue(said, i), `${i}-${release}`, language)
        assert.equal(type, expected, JSON.stringify(data))
        assert.ok(typeof data.text === 'string' && data.text !== '')
        // Of templates only our own go out, and those to the release that renders them.
        const own = language !== undefined && model.includes('HassGetState')
        assert.doesNotMatch(all, own ? /front_door/ : /\{[{%#]/)
        if (model.startsWith('{')) {
          const line = await gateway.line(/^(<\d>)?Intent (sent|withheld): /, since)
          assert.equal(/Intent sent: /.test(line), expected === 'intent', line)
        }
        if (type === 'intent')
          assert.equal(
            data.name,
            (JSON.parse(model.split('\n')[0] ?? '') as { intent: string }).intent,
          )
      })
})
