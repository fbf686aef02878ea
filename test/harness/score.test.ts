/** The scoring rules that `scripts/house` shares with the model card. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRight, isWrongPlace, withheldFor } from './score.ts'

const answer = (slots: Record<string, unknown>, intent = 'HassListAddItem'): string =>
  `${JSON.stringify({ intent, slots })}\nOK.`

test('a list is the same with and without its “list”, said once or twice', () => {
  const record = {
    messages: [{ role: 'user', content: 'add milk to my shopping list list' }],
    expect: { intent: 'HassListAddItem', slots: { name: 'shopping list', item: 'milk' } },
    domains: ['todo'],
  }
  for (const name of ['shopping', 'Shopping list', 'shopping list list'])
    assert.ok(isRight(record, answer({ name, item: 'milk' })), name)
  assert.ok(!isRight(record, answer({ name: 'chores', item: 'milk' })))
  assert.ok(!isRight({ ...record, domains: [] }, answer({ name: 'shopping', item: 'milk' })))
})

test('a question, a refusal, and a place that was not meant', () => {
  const messages = [{ role: 'user', content: 'turn on the lights' }]
  const on = answer({ area: 'kitchen', domain: 'light' }, 'HassTurnOn')
  assert.ok(isRight({ messages, ask: true }, 'Which room?\n'))
  assert.ok(!isRight({ messages, ask: true }, on))
  assert.ok(isRight({ messages, refuse: true }, "Sorry, I don't know that."))
  assert.ok(!isRight({ messages, refuse: true }, on))
  assert.ok(isWrongPlace({ messages, ask: true }, on))
  const study = { intent: 'HassTurnOn', slots: { area: 'study', domain: 'light' } }
  assert.ok(isWrongPlace({ messages, expect: study }, on))
})

test('what the gateway would not send on, and why', () => {
  const messages = [{ role: 'user', content: 'turn on the kids bathroom lights' }]
  const of = (area: string | undefined, logprob = 0) =>
    withheldFor(
      { messages },
      answer({ ...(area && { area }), domain: 'light' }, 'HassTurnOn'),
      { beside: new Set(['turn', 'on', 'the', 'lights']), probability: 0.5 },
      logprob,
    )
  assert.equal(of('kids bathroom'), undefined)
  assert.equal(of('kids bathroom', -1), 'unsure')
  assert.equal(of('bathroom'), 'cut short')
  assert.equal(of('study'), 'not said')
  assert.equal(of(undefined), 'no place')
  assert.equal(withheldFor({ messages }, 'Which room?', {}, 0), undefined)
})
