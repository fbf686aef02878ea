/** What may go out to Home Assistant: INTENTS' second table row by row, and rules a to e. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { judge, readIntent } from '../../services/voice/guard.ts'
import type { Circumstances } from '../../services/voice/intent.ts'
import { isSpan, namesBarrier, namesBlind, namesDevice } from '../../services/voice/words.ts'
import type { EvalRecord } from '../harness/score.ts'

type Slots = Record<string, string | number>

/** The reason why it is withheld; `sent` where it is not. */
const outcome = (
  said: string,
  name: string,
  slots: Slots,
  more: Partial<Circumstances> = {},
): string => {
  const circumstances = { said, saidBefore: undefined, recent: true, allowUnlock: false, ...more }
  const verdict = judge({ name, slots }, circumstances)
  return verdict.ok ? 'sent' : verdict.reason
}
/** By an older release and by 2026.11. */
const both = (said: string, name: string, slots: Slots): string[] =>
  [false, true].map((recent) => outcome(said, name, slots, { recent }))

const kitchen = { area: 'kitchen', domain: 'light' }

test('the rows of INTENTS’ second table', () => {
  // HassTurnOff, area hallway, no domain: unlocked the front door.
  const withheld = ['slot combination', 'slot combination']
  assert.deepEqual(both('turn off the hallway', 'HassTurnOff', { area: 'hallway' }), withheld)
  // HassTurnOff, area, domain lock.
  assert.deepEqual(both('unlock the hallway', 'HassTurnOff', { area: 'hallway', domain: 'lock' }), [
    'unlocking',
    'unlocking',
  ])
  // HassTurnOn, domain light, no area: every light of the house.
  assert.deepEqual(both('turn on the lights', 'HassTurnOn', { domain: 'light' }), [
    'no place',
    'no place',
  ])
  // An unknown area; one that was not said.
  assert.deepEqual(both('turn on the lights', 'HassTurnOn', kitchen), ['not said', 'not said'])
  // A slot that the intent does not have.
  const extra = { ...kitchen, brightness: 5 }
  assert.deepEqual(both('kitchen light on', 'HassTurnOn', extra), ['unknown slot', 'unknown slot'])
  // Brightness "fifty", colour "rot".
  for (const slots of [
    { ...kitchen, brightness: 'fifty' },
    { ...kitchen, brightness: '50' },
    { ...kitchen, color: 'rot' },
    { ...kitchen, brightness: 101 },
    { ...kitchen, brightness: 1.5 },
    { ...kitchen, temperature: 20 },
  ])
    assert.deepEqual(both('kitchen fifty rot', 'HassLightSet', slots), ['slot value', 'slot value'])
  // A template in a slot's value.
  const template = "{{ states('lock.front_door') }}"
  assert.equal(outcome(`turn on ${template}`, 'HassTurnOn', { name: template }), 'template')
  // HassGetState goes out, its text is ours; HassStartTimer only by 2026.11.
  assert.equal(outcome('is the lamp on', 'HassGetState', { name: 'lamp', state: 'on' }), 'sent')
  assert.deepEqual(both('set a timer', 'HassStartTimer', { minutes: 5 }), ['release', 'sent'])
})

test('ordinary commands go out, by every release', () => {
  const sent: [string, string, Slots][] = [
    ['turn on the kitchen lights', 'HassTurnOn', kitchen],
    ['Turn off the Reading Lamp.', 'HassTurnOff', { name: 'reading lamp' }],
    ['lights on upstairs', 'HassTurnOn', { floor: 'upstairs', domain: 'light' }],
    ['lock the front door', 'HassTurnOn', { name: 'front door', domain: 'lock' }],
    ['turn on the garage light', 'HassTurnOn', { name: 'garage light' }],
    ['turn on the light in the garage', 'HassTurnOn', { area: 'garage', domain: 'light' }],
    ['close the garage door', 'HassTurnOff', { name: 'garage door', domain: 'cover' }],
    [
      'open the kitchen blinds',
      'HassTurnOn',
      { area: 'kitchen', domain: 'cover', device_class: 'blind' },
    ],
    ['open the left curtain', 'HassTurnOn', { name: 'left curtain', domain: 'cover' }],
    ['set the left curtain to 50', 'HassSetPosition', { name: 'left curtain', position: 50 }],
    ['garage door down', 'HassSetPosition', { name: 'garage door', position: 0 }],
    ['kitchen to red', 'HassLightSet', { ...kitchen, color: 'red' }],
    ['warm white reading lamp', 'HassLightSet', { name: 'reading lamp', temperature: 2700 }],
    ['movie night', 'HassTurnOn', { name: 'movie night', domain: 'scene' }],
    ['21.5 in the kitchen', 'HassClimateSetTemperature', { area: 'kitchen', temperature: 21.5 }],
    [
      'add oat milk to my shopping list',
      'HassListAddItem',
      { item: 'oat milk', name: 'shopping list' },
    ],
    ['louder in the den', 'HassSetVolumeRelative', { area: 'den', volume_step: 'up' }],
    ['quieter tv by ten', 'HassSetVolumeRelative', { name: 'tv', volume_step: -10 }],
    ['play in the den', 'HassMediaUnpause', { area: 'den' }],
    ['open the garden valve', 'HassTurnOn', { name: 'garden valve', domain: 'valve' }],
    ['turn on the reading lamp in the garage', 'HassTurnOn', { name: 'reading lamp' }],
    ['turn off the front door light', 'HassTurnOff', { name: 'front door light' }],
    [
      'open the blinds in the garage',
      'HassTurnOn',
      { area: 'garage', domain: 'cover', device_class: 'blind' },
    ],
    ['lock the doors upstairs', 'HassTurnOn', { floor: 'upstairs', domain: 'lock' }],
    ['where is Jane', 'HassGetState', { name: 'jane' }],
    ['never mind', 'HassNevermind', {}],
  ]
  for (const [said, name, slots] of sent)
    assert.deepEqual(both(said, name, slots), ['sent', 'sent'], `${said}: ${JSON.stringify(slots)}`)
})

test('names must have been said, now or in the turn before', () => {
  const slots = { area: 'kitchen', domain: 'light' }
  assert.equal(
    outcome('the kitchen', 'HassTurnOn', slots, { saidBefore: 'turn on the lights' }),
    'sent',
  )
  assert.equal(outcome('lights on', 'HassTurnOn', slots, { saidBefore: 'in the KITCHEN' }), 'sent')
  assert.equal(outcome('lights on', 'HassTurnOn', slots), 'not said')
  assert.equal(outcome('the kitchenette lights', 'HassTurnOn', slots), 'not said')
  assert.equal(
    outcome('add milk', 'HassListAddItem', { item: 'milk', name: 'shopping list' }),
    'not said',
  )
  assert.equal(
    outcome('is zed at work', 'HassGetState', { name: 'zed', state: 'school' }),
    'not said',
  )
  assert.equal(outcome('say hi', 'HassBroadcast', { message: 'fire' }), 'not said')
  assert.ok(isSpan('Große Straße', 'in der GROSSE  STRASSE bitte'))
  assert.ok(isSpan('ÉTAGE', 'étage'.normalize('NFD')))
  assert.equal(isSpan('', 'anything'), false)
  assert.equal(isSpan('lamp', 'lamps'), false)
  // Neither punctuation nor the end of a possessive is a word.
  for (const [value, text] of [
    [',', 'lamp, on'],
    ["'", "mum's lamp"],
    ['s', "mum's lamp"],
    ['s', 'mum’s lamp'],
    ['mum', "mum'sies lamp"],
  ] as const)
    assert.equal(isSpan(value, text), false, value)
  assert.ok(
    isSpan("mum's", "mum's lamp") && isSpan('mum', 'mum’s lamp') && isSpan('lamp', "'lamp'"),
  )
  assert.ok(isSpan("jane's lamp", "turn on Jane's lamp!"))
})

test('nothing reaches the whole house', () => {
  for (const name of [
    'HassTurnOn',
    'HassTurnOff',
    'HassToggle',
    'HassLightSet',
    'HassSetPosition',
    'HassStopMoving',
    'HassVacuumStart',
    'HassVacuumReturnToBase',
    'HassFanSetSpeed',
    'HassClimateSetTemperature',
    'HassSetVolumeRelative',
    'HassSetVolume',
    'HassMediaUnpause',
    'HassMediaPause',
    'HassMediaNext',
    'HassMediaPrevious',
    'HassMediaPlayerMute',
    'HassMediaPlayerUnmute',
    'HassMediaSearchAndPlay',
    'HassLawnMowerStartMowing',
    'HassLawnMowerDock',
  ])
    assert.equal(outcome('all of it', name, {}), 'no place', name)
  assert.equal(outcome('full volume', 'HassSetVolume', { volume_level: 100 }), 'no place')
  // Home Assistant takes "all" for no filter at all.
  const everything: Slots[] = [
    { name: 'all' },
    { name: 'ALL', domain: 'light' },
    { area: 'All', domain: 'light' },
    { floor: 'all', domain: 'light' },
    { name: 'all', area: 'kitchen' },
  ]
  for (const slots of everything)
    assert.deepEqual(both('turn off all in the kitchen', 'HassTurnOff', slots), [
      'no place',
      'no place',
    ])
  assert.equal(
    outcome('all lights', 'HassLightSet', { domain: 'light', brightness: 5 }),
    'no place',
  )
  assert.equal(
    outcome('kitchen', 'HassTurnOff', { area: 'kitchen', device_class: 'tv' }),
    'slot combination',
  )
})

test('nothing is unlocked or opened unless it is allowed, and then by 2026.11 only', () => {
  const locked: [string, string, Slots, string][] = [
    ['unlock the front door', 'HassTurnOff', { name: 'front door', domain: 'lock' }, 'unlocking'],
    ['turn off the front door', 'HassTurnOff', { name: 'front door' }, 'unlocking'],
    ['unlock nuki', 'HassTurnOff', { name: 'nuki' }, 'unlocking'],
    ['turn off the nuki', 'HassTurnOff', { name: 'nuki' }, 'unclear kind'],
    ['toggle the nuki', 'HassToggle', { name: 'nuki' }, 'unclear kind'],
    ['turn on the carport', 'HassTurnOn', { name: 'carport' }, 'opening'],
    ['open the main gate', 'HassTurnOn', { name: 'main' }, 'opening'],
    ['open the main gate', 'HassTurnOn', { name: 'main', domain: 'switch' }, 'opening'],
    ['open sesame', 'HassTurnOn', { name: 'sesame' }, 'opening'],
    ['open sesame', 'HassTurnOn', { name: 'sesame', domain: 'script' }, 'opening'],
    [
      'open the garage door',
      'HassTurnOn',
      { name: 'garage door', domain: 'cover', device_class: 'shutter' },
      'opening',
    ],
    [
      'garage door to 100',
      'HassSetPosition',
      { name: 'garage door', domain: 'cover', device_class: 'shutter', position: 100 },
      'opening',
    ],
    [
      'open the drive gates',
      'HassTurnOn',
      { area: 'drive', domain: 'cover', device_class: 'shutter' },
      'opening',
    ],
    ['turn on the garage door switch', 'HassTurnOn', { name: 'garage door switch' }, 'opening'],
    [
      'run the unlock door script',
      'HassTurnOn',
      { name: 'unlock door script', domain: 'script' },
      'opening',
    ],
    [
      'turn off the front door switch',
      'HassTurnOff',
      { name: 'front door switch', domain: 'switch' },
      'unlocking',
    ],
    ['toggle the front door', 'HassToggle', { name: 'front door' }, 'unlocking'],
    ['toggle hallway locks', 'HassToggle', { area: 'hallway', domain: 'lock' }, 'unlocking'],
    ['open the garage door', 'HassTurnOn', { name: 'garage door', domain: 'cover' }, 'opening'],
    ['open the garage door', 'HassTurnOn', { name: 'garage door' }, 'opening'],
    ['open the gate', 'HassTurnOn', { name: 'gate', domain: 'switch' }, 'opening'],
    ['open up the sesame', 'HassTurnOn', { name: 'sesame', domain: 'cover' }, 'opening'],
    ['press gate', 'HassTurnOn', { name: 'gate', domain: 'button' }, 'opening'],
    [
      'open the drive gates',
      'HassTurnOn',
      { area: 'drive', domain: 'cover', device_class: 'gate' },
      'opening',
    ],
    ['garage door half', 'HassSetPosition', { name: 'garage door', position: 50 }, 'opening'],
    ['öffne die Haustür', 'HassTurnOn', { name: 'Haustür', domain: 'cover' }, 'opening'],
    [
      'in five minutes unlock the door',
      'HassStartTimer',
      { minutes: 5, conversation_command: 'unlock the door' },
      'unlocking',
    ],
  ]
  for (const [said, name, slots, reason] of locked) {
    assert.deepEqual(both(said, name, slots), [reason, reason], `${said} ${JSON.stringify(slots)}`)
    const allowed = { allowUnlock: true }
    assert.equal(outcome(said, name, slots, { ...allowed, recent: false }), reason, said)
    assert.equal(outcome(said, name, slots, { ...allowed, recent: true }), 'sent', said)
  }
  // Older releases open what is not exposed: a name must tell that it is no garage door.
  assert.deepEqual(both('turn on zed', 'HassTurnOn', { name: 'zed' }), ['unclear kind', 'sent'])
  // Asked again in other words, it is what was refused.
  for (const [saidBefore, slots, reason] of [
    ['unlock the nuki', { name: 'nuki' }, 'unlocking'],
    ['open the main gate', { name: 'main', domain: 'switch' }, 'opening'],
  ] as const)
    for (const name of reason === 'opening' ? ['HassTurnOn'] : ['HassTurnOff', 'HassToggle'])
      for (const recent of [false, true])
        assert.equal(outcome('yes please', name, slots, { saidBefore, recent }), reason)
  // What was said before is over where this turn says all.
  const blinds = { area: 'kitchen', domain: 'cover', device_class: 'blind' }
  const saidBefore = 'lock the front door'
  assert.equal(outcome('open the kitchen blinds', 'HassTurnOn', blinds, { saidBefore }), 'sent')
})

test('only what the table has', () => {
  assert.equal(outcome('unlock', 'HassUnlock', {}), 'unknown intent')
  assert.equal(outcome('x', 'constructor', {}), 'unknown intent')
  assert.equal(outcome('x', 'HassOpenCover', {}), 'unknown intent')
  assert.equal(outcome('lamp', 'HassTurnOn', { name: 'lamp', constructor: 'lamp' }), 'unknown slot')
  assert.equal(outcome('lamp', 'HassTurnOn', { name: 'lamp', domain: 'no' }), 'slot value')
  assert.equal(outcome('lamp', 'HassTurnOn', { name: 7 }), 'slot value')
  assert.equal(outcome('x', 'HassStartTimer', {}), 'slot combination')
  assert.equal(outcome('x', 'HassStartTimer', { minutes: 0, seconds: 0 }), 'slot value')
  // A domain that the combination does not have.
  const combined: [string, Slots][] = [
    ...['button', 'script', 'switch', 'valve', 'cover', 'climate'].map(
      (domain): [string, Slots] => ['HassTurnOn', { area: 'den', domain }],
    ),
    ['HassLightSet', { area: 'den', domain: 'lock', brightness: 5 }],
    ['HassLightSet', { name: 'den', domain: 'lock', brightness: 5 }],
    ['HassSetPosition', { name: 'den', domain: 'lock', position: 5 }],
    ['HassTurnOff', { name: 'den', domain: 'script' }],
    ['HassTurnOn', { name: 'den', domain: 'vacuum' }],
    ['HassTurnOn', { area: 'den', domain: 'lock', device_class: 'door' }],
  ]
  for (const [name, slots] of combined)
    assert.deepEqual(both('den', name, slots), ['slot combination', 'slot combination'])
  assert.equal(outcome('zed', 'HassSetVolume', { name: 'zed' }), 'slot combination')
})

test('what the model in the box is to answer has its place in the table', () => {
  const folder = new URL('../../firmware/model/eval/', import.meta.url)
  let all = 0
  for (const file of readdirSync(folder).filter((f) => f.endsWith('.jsonl')))
    for (const line of readFileSync(new URL(file, folder), 'utf8').split('\n')) {
      const { expect, messages } = JSON.parse(line || '{}') as EvalRecord
      if (!expect) continue
      const turns = messages.filter((m) => m.role === 'user').map((m) => m.content)
      const [said = '', saidBefore] = turns.reverse()
      const more = { allowUnlock: true, saidBefore }
      const reason = outcome(said, expect.intent, expect.slots as Slots, more)
      all += 1
      // The model's media, volume and vacuum intents need no place; ours do.
      const places = /Media|Volume|Vacuum/.test(expect.intent)
      const fine = reason === 'sent' || (reason === 'no place' && places)
      assert.ok(fine, `${said}: ${reason}`)
    }
  assert.ok(all > 5_000)
})

test('what a model is not sure of is withheld, where its file tells how sure it must be', () => {
  const of = (logprob: number | undefined, probability: number | undefined) =>
    outcome('kitchen lights on', 'HassTurnOn', kitchen, { logprob, trust: { probability } })
  assert.equal(of(Math.log(0.49), 0.5), 'unsure')
  assert.equal(of(Math.log(0.51), 0.5), 'sent')
  assert.equal(of(Number.NEGATIVE_INFINITY, 0.5), 'unsure')
  // An older starter tells nothing; another model's file asks for nothing.
  assert.equal(of(undefined, 0.5), 'sent')
  assert.equal(of(-9, undefined), 'sent')
  // Asking for the place loses nothing, so that goes first.
  const nowhere = outcome(
    'lights on',
    'HassTurnOn',
    { domain: 'light' },
    { logprob: -9, trust: { probability: 0.5 } },
  )
  assert.equal(nowhere, 'no place')
})

test('an intent is one line of JSON with plain slots', () => {
  assert.deepEqual(readIntent('{"intent":"HassNevermind","slots":{}}'), {
    name: 'HassNevermind',
    slots: {},
  })
  assert.deepEqual(readIntent('{"intent":"X"}'), { name: 'X', slots: {} })
  for (const line of [
    '',
    '{',
    '[]',
    'null',
    '{"intent":1}',
    '{"intent":"X","slots":[]}',
    '{"intent":"X","slots":{"a":{}}}',
    '{"intent":"X","slots":{"a":null}}',
    '{"intent":"X","slots":{"a":1e999}}',
  ])
    assert.equal(readIntent(line), undefined, line)
})

test('names that tell what they are', () => {
  for (const name of [
    'front door',
    'garage',
    'Garagentor',
    'porte',
    'puerta principal',
    'back gate',
    'deadbolt',
  ])
    assert.ok(namesBarrier(name), name)
  for (const name of [
    'front door light',
    'garage lamp',
    'television',
    'doorbell',
    'Torsten',
    'monitor',
  ])
    assert.equal(namesBarrier(name), false, name)
  assert.ok(namesDevice('reading lamp') && namesBlind('office blinds') && namesBlind('Rollladen'))
  assert.equal(namesBlind('garage door'), false)
})
