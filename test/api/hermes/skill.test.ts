/** The fallback skill by Hermes' topics. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HermesSkill } from '../../../services/api/hermes/skill.ts'
import type { Utterance } from '../../../services/voice/assistant.ts'
import { FakeBus } from '../../fakes/bus.ts'
import { FakeClock } from '../../fakes/clock.ts'

const DIALOGUE = 'hermes/dialogueManager/intentNotRecognized'
const NLU = 'hermes/nlu/intentNotRecognized'

const setUp = () => {
  const bus = new FakeBus()
  const clock = new FakeClock()
  const heard: Utterance[] = []
  const assistant = {
    hear: (
      utterance: Utterance,
      { reply }: { reply(r: { kind: 'handled'; text: string }): void },
    ) => {
      heard.push(utterance)
      reply({ kind: 'handled', text: `You said ${utterance.text}` })
      return () => {}
    },
  }
  new HermesSkill(bus, assistant as never, clock).start()
  const said = () => bus.published.all.map(({ topic, payload }) => [topic, JSON.parse(payload)])
  return { bus, clock, heard, said }
}

test('a dialogue is ended with the answer', () => {
  const { bus, said, heard } = setUp()
  bus.come(DIALOGUE, '{"sessionId":"s","input":"hello","siteId":"kitchen"}')
  assert.deepEqual(said(), [
    ['hermes/dialogueManager/endSession', { sessionId: 's', text: 'You said hello' }],
  ])
  assert.equal(heard[0]?.intents, false)
})

test('a dialogue in which nothing was heard is ended, too', () => {
  const { bus, said } = setUp()
  bus.come(DIALOGUE, '{"sessionId":"s","input":"","siteId":"kitchen"}')
  assert.equal(said()[0]?.[0], 'hermes/dialogueManager/endSession')
})

test('without a dialogue it is said at the site', () => {
  const { bus, said } = setUp()
  bus.come(NLU, '{"input":"hello","siteId":"kitchen","id":"7","lang":"en"}')
  const say = { text: 'You said hello', siteId: 'kitchen', id: '7', lang: 'en' }
  assert.deepEqual(said(), [['hermes/tts/say', say]])
})

test('both topics tell of one utterance: it is answered once', () => {
  for (const order of [
    [NLU, DIALOGUE],
    [DIALOGUE, NLU],
  ]) {
    const { bus, said, clock, heard } = setUp()
    for (const topic of order) bus.come(topic, '{"sessionId":"s","input":"hello","siteId":"x"}')
    clock.advance(10_000)
    assert.equal(heard.length, 1)
    assert.equal(said()[0]?.[0], 'hermes/dialogueManager/endSession')
  }
  const { bus, said, clock } = setUp()
  bus.come(NLU, '{"sessionId":"s","input":"hello","siteId":"x"}')
  assert.deepEqual(said(), [])
  clock.advance(300)
  assert.deepEqual(said()[0]?.[1], { text: 'You said hello', siteId: 'x', sessionId: 's' })
})

test('what cannot be read is let pass', () => {
  const { bus, said } = setUp()
  for (const payload of ['', '{', '[]', 'null', '{"input":7}', '{"siteId":"x"}'])
    for (const topic of [DIALOGUE, NLU]) bus.come(topic, payload)
  bus.come(NLU, new Uint8Array([0xff, 0xfe]))
  bus.come(DIALOGUE, '{"input":"no session","siteId":"x"}')
  bus.come(NLU, '{"input":"old","siteId":"x"}', { retained: true })
  assert.deepEqual(said(), [])
})
