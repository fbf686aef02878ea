import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MdiError } from '../../services/errors.ts'
import { limits } from '../../services/limits.ts'
import type { SamplingParameters } from '../../services/ports.ts'
import type { Desired, Online } from '../../services/wire/control.ts'
import type { Open } from '../../services/wire/requests.ts'
import { openSchema, tokenSchema } from '../../services/wire/requests.ts'
import type { TopicName } from '../../services/wire/topics.ts'
import {
  buildTopic,
  filterOf,
  matchTopic,
  readMessage,
  readRequest,
  readResponse,
  topics,
  transactionOf,
  verbOf,
  writeMessage,
} from '../../services/wire/topics.ts'

const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))

const hash = 'ab'.repeat(32)
const peer = { id: 'pi4', addresses: ['10.0.0.4', 'fe80::1'], port: 4711 }
const desired: Desired = {
  epoch: 3,
  cluster: 'home',
  assignment: {
    model: { name: 'tiny', manifest: hash, bytes: 1_000 },
    first: 0,
    end: 4,
    stage: 0,
    stages: 2,
    starter: true,
    next: peer,
    previous: 'pi4',
    sources: [peer],
    arithmetic: 'exact',
    wire: 'fp32',
    context: 512,
  },
}
const online: Online = {
  state: 'online',
  id: 'pi3',
  name: 'kitchen',
  cluster: 'home',
  version: '0.1.0',
  protocol: 1,
  instance: 'a1',
  addresses: ['10.0.0.3'],
  port: 4711,
  profile: { memoryBytes: 1e9, cpu: 'Cortex-A76', cores: 4, speed: { '4bit': 1e9 }, host: 'h' },
  epoch: 3,
  assignment: { phase: 'ready', first: 0, end: 4 },
  held: [{ manifest: hash, ranges: [[0, 4]] }],
  links: [{ peer: 'pi4', direction: 'next', up: true }],
}

test('topics are built from the table, matched by it and filtered by it', () => {
  assert.equal(buildTopic('state', { node: 'pi3' }), 'mdi/state/pi3')
  assert.equal(buildTopic('bridgeInfo', {}), 'mdi/bridge/info')
  assert.equal(buildTopic('request', { verb: 'chat' }), 'mdi/bridge/request/chat')
  assert.equal(filterOf('desired'), 'mdi/desired/+')
  assert.deepEqual(matchTopic('mdi/desired/pi3'), { name: 'desired', parameters: { node: 'pi3' } })
  for (const topic of ['', 'mdi', 'mdi/state/', 'mdi/state/a/b', 'MDI/state/a', 'mdi/bridge/x'])
    assert.equal(matchTopic(topic), undefined, topic)
})

test('no two rows match the same topic', () => {
  for (const name of Object.keys(topics) as TopicName[]) {
    const topic = topics[name].pattern.replace(/\{\w+\}/, 'x')
    assert.equal(matchTopic(topic)?.name, name)
  }
})

test('nothing that could change the topic goes into one', () => {
  for (const node of ['', 'a/b', '+', '#', 'a b', 'ä', '$x', 'a'.repeat(64)])
    assert.throws(() => buildTopic('state', { node }), { code: 'bad-value' }, node)
})

test('what is written can be read', () => {
  const back = readMessage('desired', 'mdi/desired/pi3', bytes(writeMessage('desired', desired)))
  assert.deepEqual(back, desired)
  assert.deepEqual(readMessage('state', 't', bytes(writeMessage('state', online))), online)
  assert.deepEqual(readMessage('state', 't', bytes({ state: 'offline' })), { state: 'offline' })
})

test('a field that a later version adds does not disturb', () => {
  assert.deepEqual(readMessage('state', 't', bytes({ ...online, later: 1 })), online)
})

const assignment = desired.assignment
test('wrong payloads are told about in one sentence', () => {
  const cases: [unknown, RegExp][] = [
    ['', /no JSON/],
    ['{"epoch":', /no JSON/],
    ['\u0000\u0001', /no JSON/],
    ['null', /In mdi\/desired\/pi3: /],
    [{ ...desired, epoch: -1 }, /epoch/],
    [{ ...desired, epoch: 1.5 }, /epoch/],
    [{ ...desired, assignment: { ...assignment, first: 5 } }, /ends before it begins/],
    [{ ...desired, assignment: { ...assignment, stage: 1 } }, /starter/],
    [{ ...desired, assignment: { ...assignment, next: null } }, /Neighbours/],
    [{ ...desired, assignment: { ...assignment, context: 0 } }, /context/],
    [{ ...desired, cluster: 'a/b' }, /cluster/],
  ]
  for (const [payload, message] of cases)
    assert.throws(
      () => readMessage('desired', 'mdi/desired/pi3', bytes(payload)),
      (error: unknown) => {
        assert.ok(error instanceof MdiError)
        assert.equal(error.code, 'bad-value')
        assert.match(error.message, message)
        assert.ok(!error.message.includes('\n') && error.message.length < 500)
        return true
      },
    )
  assert.throws(
    () => readMessage('desired', 't', Buffer.from([0x22, 0xff, 0x22])),
    /no JSON/,
    'bytes that are no UTF-8',
  )
  assert.throws(
    () => readMessage('desired', 't', new Uint8Array(limits.controlBytes + 1)),
    /too many/,
  )
})

test('no JSON whatever makes reading throw anything but a sentence', () => {
  const readers = [
    (b: Uint8Array) => readMessage('state', 't', b),
    (b: Uint8Array) => readMessage('desired', 't', b),
    (b: Uint8Array) => readRequest('chat', b),
    (b: Uint8Array) => readResponse('status', b),
  ]
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      for (const reader of readers)
        try {
          reader(bytes(text))
        } catch (error) {
          assert.ok(error instanceof MdiError, String(error))
        }
    }),
    { numRuns: 300 },
  )
})

test('requests: an empty payload, an unknown verb, the transaction of a wrong one', () => {
  assert.deepEqual(readRequest('status', new Uint8Array(0)), {})
  assert.deepEqual(readRequest('generate', bytes({ prompt: 'a', transaction: 4 })), {
    prompt: 'a',
    transaction: 4,
  })
  assert.throws(() => readRequest('generate', bytes({})), /In the request generate: .*prompt/)
  assert.throws(() => verbOf('__proto__'), { code: 'unsupported', message: /generate, chat/ })
  assert.equal(transactionOf(bytes({ transaction: 'x', prompt: 5 })), 'x')
  for (const payload of ['', 'null', '{', '[]', '{"transaction":{}}'])
    assert.equal(transactionOf(bytes(payload)), undefined)
})

test('answers are told apart by their status', () => {
  const ok = { status: 'ok', data: { id: 'r1' }, transaction: 'x' }
  assert.deepEqual(readResponse('cancel', bytes(ok)), ok)
  const error = { status: 'error', data: {}, error: 'There is no request r1.', code: 'not-found' }
  assert.deepEqual(readResponse('cancel', bytes(error)), error)
  assert.throws(() => readResponse('cancel', bytes({ status: 'ok', data: {} })), /id/)
})

test('a request to the starter: bounds', () => {
  const sampling: SamplingParameters = {
    temperature: 0,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    penaltyWindow: 64,
    seed: 1,
  }
  // The schema's type and the port's are the same both ways.
  const same: Open['sampling'] = sampling
  const open = { id: 'r1', model: 'm', tokens: [1, 2], sampling: same, maxTokens: 3, endIds: [0] }
  assert.equal(openSchema.parse(open).generated, 0)
  for (const change of [{ tokens: [] }, { tokens: [-1] }, { maxTokens: 0 }, { id: 'a/b' }])
    assert.equal(openSchema.safeParse({ ...open, ...change }).success, false)
  assert.equal(tokenSchema.safeParse({ id: 'r', step: 0, token: 1.5 }).success, false)
})
