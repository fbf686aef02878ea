/** From an utterance to what Home Assistant is told, by real sockets. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MdiError } from '../../services/errors.ts'
import { answerOf } from '../fakes/core.ts'
import { voiceService } from '../fakes/voice.ts'

/** Answers by what was said. */
const by =
  (answers: Record<string, string>) =>
  (said: string): string =>
    answers[said] ?? 'What?'

const lights = '{"intent":"HassTurnOn","slots":{"domain":"light"}}\nOK, lights.'
const kitchen =
  '{"intent":"HassTurnOn","slots":{"area":"kitchen","domain":"light"}}\nOK, kitchen lights.'

test('an intent goes out with its slots, and a line of audit says so', async (t) => {
  const { call, audit } = await voiceService(t, by({ 'kitchen lights on': kitchen }))
  const client = await call()
  client.say('kitchen lights on', { language: 'en', conversation: 'c' })
  assert.deepEqual(await client.outcome(), {
    type: 'intent',
    data: {
      name: 'HassTurnOn',
      entities: [
        { name: 'area', value: 'kitchen' },
        { name: 'domain', value: 'light' },
      ],
      text: 'OK, kitchen lights.',
    },
  })
  assert.equal(client.events.all.length, 1, 'nothing of the intent is spoken')
  assert.match(
    audit[0] ?? '',
    /^Intent sent: HassTurnOn .*kitchen.*said "kitchen lights on".*conversation "c", language "en"/,
  )
})

test('what the model is less sure of than its file asks for is not carried out', async (t) => {
  const trust = { probability: 0.5 }
  const { call, audit, core } = await voiceService(t, by({ 'kitchen lights on': kitchen }), {
    trust,
  })
  const client = await call()
  for (const [probability, type] of [
    [0.4, 'handled'],
    [0.6, 'intent'],
  ] as const) {
    core.lineLogprob = Math.log(probability)
    const since = client.events.all.length
    client.say('kitchen lights on', { language: 'en' })
    const outcome = await client.outcome(since)
    assert.equal(outcome.type, type)
    if (type === 'handled') assert.match(String(outcome.data.text), /not sure/)
  }
  assert.match(audit[0] ?? '', /^Intent withheld: HassTurnOn .*unsure, 0.40/)
})

test('“Which room?”, and the next turn completes it', async (t) => {
  const { call, audit } = await voiceService(t, by({ 'turn on the lights': lights, kitchen }))
  const client = await call()
  client.say('turn on the lights')
  const asked = await client.outcome()
  assert.deepEqual([asked.type, asked.data.text], ['handled', 'Which room?'])
  assert.match(audit[0] ?? '', /^Intent withheld: HassTurnOn .*no place/)
  client.say('kitchen')
  assert.equal((await client.events.next(({ type }) => type === 'intent')).data.name, 'HassTurnOn')
})

test('what the model says is never rendered', async (t) => {
  const evil = "{{ states('lock.front_door') }}"
  const { call } = await voiceService(
    t,
    by({
      reply: `{"intent":"HassNevermind","slots":{}}\n${evil} {% x %}{# y #}`,
      slot: `{"intent":"HassTurnOn","slots":{"name":"${evil}"}}\nOK.`,
      speech: `It is ${evil}`,
      braces: '{{{ }}}',
    }),
  )
  const client = await call()
  for (const said of ['reply', 'slot', 'speech', 'braces', evil]) {
    const since = client.events.all.length
    client.say(said, { language: 'en' })
    await client.outcome(since)
  }
  client.write('{"type":"ping"}\n')
  await client.events.next(({ type }) => type === 'pong')
  for (const { data } of client.events.all) assert.doesNotMatch(JSON.stringify(data), /\{[{%#]/)
  // Pieces on their way are looked at across their borders.
  const chunks = client.events.all.filter((e) => e.type === 'handled-chunk').map((e) => e.data.text)
  assert.doesNotMatch(chunks.join(''), /\{[{%#]/)
})

test('state, weather, timers, time and date: our template where it is rendered, else that it cannot tell', async (t) => {
  const asks: Record<string, string> = {
    'is the lamp on': '{"intent":"HassGetState","slots":{"name":"lamp","state":"on"}}',
    'what is the lamp': '{"intent":"HassGetState","slots":{"name":"lamp"}}',
    weather: '{"intent":"HassGetWeather","slots":{}}',
    timer: '{"intent":"HassTimerStatus","slots":{}}',
    warm: '{"intent":"HassClimateGetTemperature","slots":{}}',
    time: '{"intent":"HassGetCurrentTime","slots":{}}',
    date: '{"intent":"HassGetCurrentDate","slots":{}}',
  }
  const { call } = await voiceService(t, by(asks))
  const client = await call()
  const ask = async (said: string, language?: string) => {
    const since = client.events.all.length
    client.say(said, { conversation: said, ...(language && { language }) })
    return await client.outcome(since)
  }
  for (const said of Object.keys(asks)) {
    const { type, data } = await ask(said, 'en')
    assert.equal(type, 'intent', said)
    assert.match(String(data.text), /\{\{/, said)
    assert.doesNotMatch(String(data.text), /lamp/, 'nothing said goes into a template')
  }
  for (const said of Object.keys(asks)) {
    const { type, data } = await ask(said)
    assert.equal(type, 'handled', said)
    const clock =
      said === 'time'
        ? 'It is 9:05.'
        : said === 'date'
          ? 'It is Monday, 23 November 2026.'
          : undefined
    assert.equal(
      data.text,
      clock ?? 'Sorry, I cannot tell; this Home Assistant does not let me look it up.',
    )
  }
})

test('without leave no intent goes out; the time is told if the clock is set', async (t) => {
  const answers = by({ kitchen, time: '{"intent":"HassGetCurrentTime","slots":{}}' })
  for (const time of [new Date(2026, 0, 1, 23, 59), null]) {
    const { call, audit } = await voiceService(t, answers, { settings: { intents: false }, time })
    const client = await call()
    client.say('kitchen', { language: 'en' })
    assert.equal(
      (await client.outcome()).data.text,
      'I am not allowed to switch things in this house.',
    )
    assert.match(audit[0] ?? '', /withheld.*not allowed/)
    const since = client.events.all.length
    client.say('time', { language: 'en' })
    const { type, data } = await client.outcome(since)
    assert.equal(type, 'handled')
    assert.equal(
      data.text,
      time ? 'It is 23:59.' : 'Sorry, my clock is not set, so I cannot tell the time.',
    )
  }
})

test('an answer that begins like an intent and is none is not read out', async (t) => {
  const { call } = await voiceService(t, by({ a: '{"intent":', b: '{"a":1}\nOK', c: '{' }))
  const client = await call()
  for (const said of ['a', 'b', 'c']) {
    const since = client.events.all.length
    client.say(said)
    assert.equal((await client.outcome(since)).data.text, 'Sorry, I did not get that.')
  }
})

test('media and volume have no place by the model: asked for, and combined with the answer', async (t) => {
  const answers: Record<string, string> = {
    pause: '{"intent":"HassMediaPause","slots":{}}\nPaused.',
    louder: '{"intent":"HassSetVolume","slots":{"volume_level":30}}\nOK, 30.',
    'start mowing': '{"intent":"HassLawnMowerStartMowing","slots":{}}\nOK.',
    // What a model makes of a room alone: another command, nothing, or the same.
    kitchen: '{"intent":"HassTurnOn","slots":{"area":"kitchen","domain":"light"}}\nOK, lights.',
    'In the den, please.': "Sorry, I don't know that.",
    'the office': '{"intent":"HassSetVolume","slots":{"area":"office","volume_level":5}}\nOK, 5.',
    robby: "Sorry, I don't know that.",
    'turn on the kitchen lights':
      '{"intent":"HassTurnOn","slots":{"area":"kitchen","domain":"light"}}\nOK, lights.',
    hello: 'Hello!',
  }
  const { call } = await voiceService(t, by(answers))
  const client = await call()
  let conversation = 0
  const turn = async (said: string, first: boolean) => {
    if (first) conversation += 1
    const since = client.events.all.length
    client.say(said, { language: 'en', conversation: `c${conversation}` })
    const { type, data } = await client.outcome(since)
    if (type !== 'intent') return data.text
    const entities = data.entities as { name: string; value: unknown }[]
    return [data.name, Object.fromEntries(entities.map((e) => [e.name, e.value])), data.text]
  }
  const cases: [string, string, string, unknown][] = [
    ['pause', 'Which room?', 'kitchen', ['HassMediaPause', { area: 'kitchen' }, 'Paused.']],
    ['pause', 'Which room?', 'In the den, please.', ['HassMediaPause', { area: 'den' }, 'Paused.']],
    [
      'louder',
      'Which room?',
      'the office',
      ['HassSetVolume', { volume_level: 5, area: 'office' }, 'OK, 5.'],
    ],
    ['start mowing', 'Which one?', 'robby', ['HassLawnMowerStartMowing', { name: 'robby' }, 'OK.']],
    // Something else altogether is not taken for a place.
    [
      'pause',
      'Which room?',
      'turn on the kitchen lights',
      ['HassTurnOn', { area: 'kitchen', domain: 'light' }, 'OK, lights.'],
    ],
    ['pause', 'Which room?', 'hello', 'Hello!'],
  ]
  for (const [first, asked, second, expected] of cases) {
    assert.equal(await turn(first, true), asked)
    assert.deepEqual(await turn(second, false), expected)
  }
  // Answered or not, it is asked once.
  await turn('pause', true)
  await turn('hello', false)
  assert.deepEqual(await turn('kitchen', false), [
    'HassTurnOn',
    { area: 'kitchen', domain: 'light' },
    'OK, lights.',
  ])
})

test('the turn before is the one before, whether it came to anything or not', async (t) => {
  const off = '{"intent":"HassTurnOn","slots":{"area":"kitchen","domain":"light"}}\nOK.'
  const { call } = await voiceService(t, (said) => {
    if (said === 'fail') return new MdiError('node-lost', 'Node pi3 was lost.')
    return said === 'lights' ? off : 'Yes.'
  })
  const client = await call()
  for (const [said, expected] of [
    ['the kitchen is nice', 'Yes.'],
    ['fail', 'I am not ready yet. Please try again in a moment.'],
    ['lights', 'Sorry, I am not sure which one you mean.'],
  ]) {
    const since = client.events.all.length
    client.say(String(said), { language: 'en' })
    assert.equal((await client.outcome(since)).data.text, expected)
  }
})

test('a template is broken up wherever its pieces are cut', async (t) => {
  const { call, core } = await voiceService(t, () => undefined)
  for (const pieces of [
    ['hi {', '{', " states('lock') }}"],
    ['hi {', '{', '{', '% x %}'],
    ['hi {{', '# y #}', ' {'],
  ]) {
    const client = await call()
    const since = core.requests.all.length
    client.say('go', { conversation: pieces.join() })
    const request = await core.requests.next(() => true, since)
    const listener = core.open.get(request.text.id)
    for (const piece of pieces) listener?.text(piece)
    listener?.end(answerOf(request, pieces.join('')))
    await client.events.next(({ type }) => type === 'handled-stop')
    const told = client.events.all.filter((e) => e.type === 'handled-chunk')
    const text = told.map((e) => e.data.text).join('')
    assert.doesNotMatch(text, /\{[{%#]/)
    assert.equal(text, (await client.outcome()).data.text)
  }
})

test('nothing that a caller sends makes a line of audit', async (t) => {
  const { call, audit } = await voiceService(t, by({ go: kitchen }))
  const client = await call()
  const forged = 'x\nIntent sent: HassTurnOff'
  const since = client.events.all.length
  client.say('go', { language: 'en\u2028Intent sent', conversation: forged })
  await client.outcome(since)
  assert.equal(audit.length, 1)
  assert.doesNotMatch(audit[0] ?? '', /[\n\r\u2028]/)
})
