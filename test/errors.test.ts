/** The table of operating errors: every row with its reasons, and what follows from a row. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Agent } from '../services/control/agent.ts'
import {
  type ErrorCode,
  type ErrorRow,
  ExitStatus,
  errorFrom,
  errorTable,
  MdiError,
} from '../services/errors.ts'
import { sentences } from '../services/voice/speech.ts'
import { desired, identity } from './control/parts.ts'

const { failure } = ExitStatus

type Values = readonly [
  exit: number,
  http: number,
  again: ErrorRow['again'],
  elsewhere: boolean,
  person: boolean,
  content: boolean,
  spoken: ErrorRow['spoken'],
]

/** What each row must say: exit, HTTP, again, elsewhere, person, content, spoken; and why. */
const rows: Record<ErrorCode, [Values, string]> = {
  usage: [
    [ExitStatus.usage, 400, 'never', false, true, false, 'notUnderstood'],
    'the words are wrong, here and everywhere, until somebody writes others',
  ],
  'not-found': [
    [failure, 404, 'never', true, false, false, 'notReady'],
    'who lacks it lacks it when asked again; another may have it; a voice waits for a model to be loaded',
  ],
  'bad-file': [
    [failure, 500, 'never', true, true, true, 'broken'],
    'its bytes stay as they are; a copy elsewhere may be whole; who asked did nothing wrong',
  ],
  unsupported: [
    [failure, 501, 'never', false, true, true, 'broken'],
    'every copy of a sound file asks for the same, and only another file or version helps',
  ],
  download: [
    [failure, 502, 'later', true, false, false, 'notReady'],
    'a server that is away comes back, and a mirror has the same; we are only between',
  ],
  'disk-full': [
    [failure, 507, 'later', false, true, false, 'broken'],
    'room is made by somebody who removes something, and then it goes on; another source needs as much',
  ],
  store: [
    [failure, 500, 'later', false, true, false, 'broken'],
    'in use, worn out or without permission: somebody looks at it; another source is written to the same disk',
  ],
  'out-of-memory': [
    [failure, 507, 'never', false, true, false, 'broken'],
    'the sum is made beforehand and comes out the same, until somebody gives more boards or a smaller model',
  ],
  'too-long': [
    [failure, 400, 'never', false, true, false, 'tooLong'],
    'the context is the same for the next try; OpenAI answers 400 too, and clients cut their text then',
  ],
  'bad-value': [
    [failure, 400, 'never', false, true, false, 'notUnderstood'],
    'the form stays wrong until whoever asks changes it',
  ],
  'node-lost': [
    [failure, 503, 'later', true, false, false, 'notReady'],
    'the ring mends by itself when the node is back, within seconds; another peer may have the weights',
  ],
  'not-ready': [
    [failure, 503, 'later', false, false, false, 'notReady'],
    'the ring is being made and will be there',
  ],
  'no-model': [
    [failure, 503, 'later', false, true, false, 'noModel'],
    'the same request works as soon as somebody has loaded a model',
  ],
  busy: [
    [failure, 429, 'later', true, false, false, 'message'],
    'places become free; the sentence says in about how many seconds, which no fixed one can',
  ],
  cancelled: [
    [ExitStatus.interrupted, 499, 'at-once', false, false, false, 'notReady'],
    'nothing failed; 499 is what servers note for a client that left, and no client retries it by itself',
  ],
  broker: [
    [failure, 503, 'later', false, false, false, 'notReady'],
    'a broker that restarts is back, and it is dialed again and again',
  ],
  'peer-refused': [
    [failure, 502, 'later', true, false, false, 'notReady'],
    'versions and plans differ for a while when a cluster is updated; another peer may agree',
  ],
  timeout: [
    [failure, 504, 'later', false, false, false, 'tooLate'],
    'a machine that is busy now may be quicker later',
  ],
}

const codes = Object.keys(errorTable) as ErrorCode[]

for (const code of codes)
  test(`the row of ${code}: ${rows[code]?.[1]}`, () => {
    const { exit, http, again, elsewhere, person, content, spoken } = errorTable[code]
    assert.deepEqual([exit, http, again, elsewhere, person, content, spoken], rows[code][0])
    const error = new MdiError(code, 'A sentence.')
    assert.equal(error.row, errorTable[code])
    assert.deepEqual(errorFrom(error.toJSON()), error)
  })

test('what a row says of one thing agrees with what it says of others', () => {
  for (const code of codes) {
    const { http, again, elsewhere, person, content, spoken, exit } = errorTable[code]
    assert.ok(exit !== ExitStatus.ok, `${code}: an error ends with success`)
    assert.ok(http >= 400 && http < 600, `${code}: ${http} is no error`)
    // Whoever asked is at fault where HTTP says so, and then only another question helps.
    if (http === 400) assert.equal(again, 'never', code)
    // These two tell a client that waiting helps.
    if (http === 429 || http === 503) assert.equal(again, 'later', code)
    // What passes by itself, or elsewhere, must not be the end: it is asked again.
    if (!person && again === 'never') assert.ok(elsewhere, `${code}: nothing would help`)
    if (content) assert.ok(person && again === 'never', `${code}: damage does not pass`)
    // A voice does not send a person back who would get the same answer, nor away for good.
    const said = spoken === 'message' ? '' : sentences[spoken]
    if (/again in a moment/.test(said)) assert.ok(!person, code)
    if (spoken === 'broken') assert.ok(person, code)
  }
})

test('an agent tells at once what a person must see to, and tries again as the row says', () => {
  for (const code of codes) {
    const { again, elsewhere, person } = errorTable[code]
    const agent = new Agent(identity('n1'))
    agent.handle({ kind: 'start', kept: desired(1) }, 0)
    agent.handle({ kind: 'failed', work: 1, error: new MdiError(code, 'It failed.') }, 0)
    assert.equal(agent.state.assignment.lasting, person, code)
    const tries = (at: number) =>
      agent.handle({ kind: 'tick' }, at).some((effect) => effect.kind === 'fetch')
    assert.equal(tries(10_000), again !== 'never' || elsewhere, code)
    if (again === 'never' && !elsewhere) assert.ok(tries(60_000), code)
  }
})
