/** One process that is node, coordinator and gateway on one data port, with real sockets. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { RemoteRing } from '../../services/cli/remote.ts'
import type { RoleName } from '../../services/config.ts'
import { loadConfig } from '../../services/io/config.ts'
import { Broker } from '../../services/io/mqtt/broker.ts'
import { Board } from '../../services/lifecycle/board.ts'
import type { Log } from '../../services/ports.ts'
import { randomModel } from '../fakes/model.ts'
import { settingsFor, Watch } from '../harness/cluster.ts'
import { freePort } from '../harness/processes.ts'
import { importInto } from '../harness/rings.ts'
import { sampling } from '../harness/servicetest.ts'
import { say } from '../harness/voiceclient.ts'

const entry = new URL('../../services/main.ts', import.meta.url)
const every: RoleName[] = ['stage', 'coordinator', 'gateway']

const folder = mkdtempSync(join(tmpdir(), 'mdi-board-'))
const data = join(folder, 'data')
const lines: string[] = []
const log: Log = {
  tell: (_, sentence) => lines.push(sentence),
  audit: (line) => lines.push(line),
  setLevel: () => {},
}
let model = ''
let broker: Broker
let url = ''
let voice = 0
let board: Board
let ring: RemoteRing
let watch: Watch

const configFor = () =>
  loadConfig({
    overrides: {
      data,
      node: 'one',
      'ports.host': '127.0.0.1',
      'engine.threads': 1,
      'engine.arithmetic': 'exact',
      'voice.host': '127.0.0.1',
      'voice.port': voice,
      'voice.zeroconf': false,
    },
    environment: { HOME: folder },
  })

before(async () => {
  const file = join(folder, 'random.gguf')
  writeFileSync(file, await randomModel({ layers: 2, vocab: 512, context: 4_096 }))
  model = (await importInto(data, file)).name
  broker = new Broker(() => {})
  url = `mqtt://127.0.0.1:${await broker.start(0, '127.0.0.1')}`
  voice = await freePort()
  board = await Board.open({
    ...{ entry, config: configFor(), brokerUrl: url, log, roles: every },
    heard: broker.heard,
  })
  for (const role of every) await board.start(role)
  watch = new Watch(url)
  ring = await RemoteRing.connect(settingsFor(url))
  await watch.until(() => watch.states.get('one')?.state === 'online')
  await ring.ask('load', { model, arithmetic: 'exact' })
  await watch.ready()
})
after(async () => {
  await ring?.close()
  await watch?.close()
  await board?.close()
  await broker?.close()
  rmSync(folder, { recursive: true, force: true })
})

const ask = (id: string, maxTokens: number, onText: (text: string) => void = () => {}) =>
  ring.stream(
    'generate',
    { id, prompt: 'Once upon a time', maxTokens, sampling: sampling(7) },
    onText,
  )

const spoken = async () => (await say(voice, 'hello there', 'none')).outcome?.type

test('one process answers as node, coordinator and gateway on one data port', async () => {
  assert.deepEqual(board.running, every)
  const answer = await ask('first', 20)
  assert.equal(answer.tokens, 20)
  const state = watch.states.get('one')
  assert.equal(state?.state === 'online' && state.port, board.port)
  const { info } = await ring.ask('status', {})
  assert.deepEqual([info.coordinator.id, info.coordinator.port], ['one', board.port])
  assert.equal(await spoken(), 'handled')
})

test('the coordinator’s role stops and starts while a request runs, which ends well', async () => {
  const whole = await ask('whole', 600)
  let told = ''
  const begun = Promise.withResolvers<void>()
  const running = ask('broken', 600, (text) => {
    told += text
    begun.resolve()
  })
  await begun.promise
  await board.stop('coordinator')
  assert.deepEqual(board.running, ['stage', 'gateway'])
  assert.ok(told.length < whole.text.length, 'it stopped in mid-answer')
  // Without a coordinator the home is answered still.
  assert.equal(await spoken(), 'handled')
  await board.start('coordinator')
  const answer = await running
  assert.equal(answer.text, whole.text)
  assert.equal(told, whole.text)
  assert.equal(answer.tokens, whole.tokens)
})

test('the stage’s role stops and starts: the ring is whole again', async () => {
  await board.stop('stage')
  await watch.until(() => watch.states.get('one')?.state === 'offline')
  await watch.until(() => watch.health?.ring === 'waiting')
  await board.start('stage')
  await watch.ready()
  assert.equal((await ask('again', 20)).tokens, 20)
})

test('the gateway’s role stops and starts: its door closes and opens', async () => {
  await board.stop('gateway')
  assert.equal(await spoken(), undefined, 'nobody listens')
  await board.start('gateway')
  // It learns of the ring from what the broker retains: until then it says that it is not ready.
  let outcome = await spoken()
  while (outcome === 'not-handled') outcome = await spoken()
  assert.equal(outcome, 'handled')
})
