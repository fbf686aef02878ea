import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OwnTopics } from '../../services/members/ownedtopics.ts'

test('what is not ours on a topic of ours is put right; our own words are not', () => {
  const said: string[] = []
  const own = new OwnTopics((topic, payload) => said.push(`${topic} ${payload}`))
  own.heard('t', 'before anything')
  own.say('t', '1')
  own.say('t', '2')
  own.heard('t', '1')
  own.heard('t', '2')
  assert.deepEqual(said, ['t 1', 't 2'])
  for (const foreign of ['', 'garbage', '{"ring":"idle"}']) {
    own.heard('t', foreign)
    assert.equal(said.pop(), 't 2')
  }
  own.heard('other', 'x')
  assert.deepEqual(said, ['t 1', 't 2'])
})
