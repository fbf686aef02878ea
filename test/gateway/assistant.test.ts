/** From an utterance to what Home Assistant is told, by real sockets. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
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
    /^Intent sent: HassTurnOn .*kitchen.*said "kitchen lights on".*conversation c, language en/,
  )
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
