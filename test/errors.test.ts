/** Every row of the table of errors, with the reason for what it says. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, type ErrorRow, errorTable, MdiError } from '../services/errors.ts'
import { sentences } from '../services/voice/speech.ts'

type Wanted = Pick<ErrorRow, 'exit' | 'http' | 'again' | 'elsewhere' | 'spoken'> & { why: string }

const wanted: Record<ErrorCode, Wanted> = {
  usage: {
    ...{ exit: 2, http: 400, again: 'never', elsewhere: false, spoken: 'notReady' },
    why: 'a person must type something else',
  },
  'not-found': {
    ...{ exit: 1, http: 404, again: 'now', elsewhere: 'lacking', spoken: 'notReady' },
    why: 'a node that has it may come at any moment, and another may have it now',
  },
  'bad-file': {
    ...{ exit: 1, http: 500, again: 'later', elsewhere: 'wrong', spoken: 'notReady' },
    why: 'what is damaged is set aside and fetched again; another node has it whole',
  },
  unsupported: {
    ...{ exit: 1, http: 501, again: 'never', elsewhere: false, spoken: 'notReady' },
    why: 'the same file asks for the same everywhere',
  },
  download: {
    ...{ exit: 1, http: 502, again: 'now', elsewhere: 'away', spoken: 'notReady' },
    why: 'a server that is away comes back, and the next source may have it',
  },
  'disk-full': {
    ...{ exit: 1, http: 507, again: 'later', elsewhere: false, spoken: 'notReady' },
    why: 'no source makes this disk larger; somebody may remove something',
  },
  store: {
    ...{ exit: 1, http: 500, again: 'later', elsewhere: false, spoken: 'notReady' },
    why: 'another process may let go of it',
  },
  'out-of-memory': {
    ...{ exit: 1, http: 507, again: 'never', elsewhere: false, spoken: 'notReady' },
    why: 'the figures stay what they are until somebody chooses another model or context',
  },
  'too-long': {
    ...{ exit: 1, http: 400, again: 'never', elsewhere: false, spoken: 'tooLong' },
    why: 'the same text stays too long, and a person should hear that',
  },
  'bad-value': {
    ...{ exit: 1, http: 400, again: 'never', elsewhere: false, spoken: 'notReady' },
    why: 'the same value stays wrong',
  },
  'node-lost': {
    ...{ exit: 1, http: 503, again: 'now', elsewhere: 'away', spoken: 'notReady' },
    why: 'the ring mends by itself, and another node may have the weights',
  },
  'not-ready': {
    ...{ exit: 1, http: 503, again: 'now', elsewhere: false, spoken: 'notReady' },
    why: 'it may be ready the next moment',
  },
  'no-model': {
    ...{ exit: 1, http: 503, again: 'later', elsewhere: false, spoken: 'noModel' },
    why: 'somebody must load one, and a person should hear that',
  },
  busy: {
    ...{ exit: 1, http: 429, again: 'later', elsewhere: false, spoken: 'own' },
    why: 'its own sentence says for how long',
  },
  cancelled: {
    ...{ exit: 130, http: 499, again: 'now', elsewhere: false, spoken: 'notReady' },
    why: 'nothing was wrong; the shell’s status after Ctrl-C',
  },
  broker: {
    ...{ exit: 1, http: 503, again: 'now', elsewhere: false, spoken: 'notReady' },
    why: 'it is dialed for ever',
  },
  'peer-refused': {
    ...{ exit: 1, http: 502, again: 'now', elsewhere: 'away', spoken: 'notReady' },
    why: 'a plan that changes ends it, and another peer may not refuse',
  },
  timeout: {
    ...{ exit: 1, http: 504, again: 'now', elsewhere: 'away', spoken: 'notReady' },
    why: 'the next try may be quicker',
  },
}

test('each error decides what is done about it', () => {
  assert.deepEqual(Object.keys(errorTable).sort(), Object.keys(wanted).sort())
  for (const [code, { why, ...row }] of Object.entries(wanted)) {
    const { content: _, ...has } = new MdiError(code as ErrorCode, 'x').row
    assert.deepEqual(has, row, `${code}: ${why}`)
  }
})

test('a file is to blame only for what its bytes are', () => {
  const blamed = Object.entries(errorTable).flatMap(([code, { content }]) => (content ? code : []))
  assert.deepEqual(blamed, ['bad-file', 'unsupported'])
})

test('what a voice says of an error is one of its sentences, or the error’s own', () => {
  for (const { spoken } of Object.values(errorTable))
    assert.ok(spoken === 'own' || sentences[spoken].endsWith('.'))
})

test('statuses of HTTP are errors, and what may be tried again is not the client’s fault', () => {
  for (const [code, { http, again }] of Object.entries(errorTable)) {
    assert.ok(http >= 400 && http < 600, code)
    if (http === 400) assert.equal(again, 'never', code)
    if (again === 'now' && http < 500) assert.ok(http === 404 || http === 499, code)
  }
})
