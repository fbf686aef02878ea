/** The gateway with real processes, mosquitto and its own clients: what a house does with a ring. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { WyomingClient } from '../fakes/wyoming.ts'
import type { Cluster } from '../harness/cluster.ts'
import { type Mosquitto, mosquittoPath, startMosquitto } from '../harness/mosquitto.ts'
import { freePort, type Service } from '../harness/processes.ts'
import { makeScene, type Scene } from '../harness/servicetest.ts'
import { say } from '../harness/voiceclient.ts'

const mosquitto = mosquittoPath()
/** A random model falls into a loop, and does not end by itself. */
const greedy = { sampling: { temperature: 0 } }
const clients = spawnSync('mosquitto_pub', ['--help']).error === undefined

describe('a house and its ring', {
  skip: mosquitto && clients ? false : 'mosquitto and its clients are not installed',
}, () => {
  let scene: Scene
  let broker: Mosquitto
  let house: Mosquitto
  let cluster: Cluster
  let gateway: Service
  let voice: number
  let heard: Service
  let houseHeard: Service

  before(async () => {
    scene = await makeScene()
    broker = await startMosquitto(mosquitto as string)
    house = await startMosquitto(mosquitto as string)
    voice = await freePort()
    // Not the streams: those are read by whoever asks, or by nobody.
    heard = sub('ring', broker, 'mdi/bridge/request/#', 'mdi/bridge/response/#', 'mdi/bridge/+')
    houseHeard = sub('house', house, '#')
    cluster = await scene.cluster({ nodes: 2, broker: `mqtt://127.0.0.1:${broker.port}` })
    gateway = await startGateway('g', house, voice)
    await gateway.line(/^Connected to the broker/)
    await gateway.line(/^Connected to the home's broker/)
  })
  after(async () => {
    await scene?.close()
    await broker?.stop()
    await house?.stop()
  })

  const startGateway = async (name: string, at: Mosquitto, port?: number): Promise<Service> => {
    const words = ['gateway', '--broker', cluster.url, '--cluster', cluster.name, '--name', name]
    const where = ['--voice-host', '127.0.0.1', '--voice-port', String(port ?? (await freePort()))]
    return scene.place
      .mdi(`gateway-${name}`, [...words, ...where, '--no-zeroconf'], {
        MDI_HOUSE_MQTT_HOST: '127.0.0.1',
        MDI_HOUSE_MQTT_PORT: String(at.port),
      })
      .start()
  }

  const sub = (name: string, at: Mosquitto, ...filters: string[]): Service =>
    scene.place
      .command(`sub-${name}`, [
        ...['mosquitto_sub', '-p', String(at.port), '-v'],
        ...filters.flatMap((filter) => ['-t', filter]),
      ])
      .start()

  const pub = (at: Mosquitto, topic: string, message: unknown): void => {
    const text = typeof message === 'string' ? message : JSON.stringify(message)
    const words = ['-p', String(at.port), '-q', '1', '-t', topic, '-m', text]
    assert.equal(spawnSync('mosquitto_pub', words).status, 0)
  }

  /** Many messages at once, to the ring's broker. */
  const pubAll = (topic: string, messages: unknown[]): void => {
    const words = ['-p', String(broker.port), '-q', '1', '-t', topic, '-l']
    const input = messages.map((m) => `${JSON.stringify(m)}\n`).join('')
    assert.equal(spawnSync('mosquitto_pub', words, { input }).status, 0)
  }

  type Told = Record<string, unknown> & { data: Record<string, unknown> }

  /** The first message of a topic that fits, of those heard after `since`. */
  const told = async (
    who: Service,
    topic: string,
    fits: (message: Told) => boolean = () => true,
    since = 0,
  ): Promise<Told> => {
    const escaped = topic.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    for (let from = since; ; ) {
      const line = await who.line(new RegExp(`^${escaped} `), from)
      const message = JSON.parse(line.slice(topic.length + 1)) as Told
      if (fits(message)) return message
      from = who.lines.indexOf(line, from) + 1
    }
  }

  test('before anything is loaded: it is described, and says so', async () => {
    const client = await WyomingClient.call(voice)
    client.write('{"type": "describe", "version": "1.10.2"}\n')
    const { data } = await client.events.next(({ type }) => type === 'info')
    assert.equal((data.handle as { name: string }[])[0]?.name, cluster.name)
    client.hangUp()
    const { outcome } = await say(voice, 'hello there', 'none')
    assert.deepEqual(outcome, { type: 'not-handled', data: { text: 'No model is loaded yet.' } })
    pub(broker, 'mdi/bridge/request/generate', { prompt: 'x', transaction: 'early' })
    const answer = await told(heard, 'mdi/bridge/response/generate')
    assert.deepEqual([answer.status, answer.code], ['error', 'no-model'])
  })

  test('a request while loading is told so; then the ring answers', async () => {
    pub(broker, 'mdi/bridge/request/load', { model: scene.model.name, transaction: 'load' })
    pub(broker, 'mdi/bridge/request/generate', { prompt: 'x', transaction: 'soon' })
    const answer = await told(
      heard,
      'mdi/bridge/response/generate',
      ({ transaction }) => transaction === 'soon',
    )
    if (answer.status === 'error')
      assert.match(String(answer.error), /^(The ring is not ready|No model is loaded)/)
    await told(heard, 'mdi/bridge/response/load', ({ status }) => status === 'ok')
    await cluster.watch.ready()
    const { outcome } = await say(voice, 'hello there', 'first')
    assert.equal(outcome?.type, 'handled')
    assert.ok(String(outcome?.data.text).length > 0)
  })

  test('mosquitto’s own clients: streamed, and cancelled in mid-stream', async () => {
    const streamed = sub('stream', broker, 'mdi/bridge/stream/s1')
    await probe(streamed, 'mdi/bridge/stream/s1', broker)
    pub(broker, 'mdi/bridge/request/generate', {
      ...{ id: 's1', prompt: 'Once', maxTokens: 4_000 },
      ...greedy,
    })
    await streamed.line(/"index":2/)
    const since = heard.lines.length
    pub(broker, 'mdi/bridge/request/cancel', { id: 's1' })
    const { data } = await told(heard, 'mdi/bridge/response/generate', (m) => m.data.id === 's1')
    await told(heard, 'mdi/bridge/response/cancel', ({ status }) => status === 'ok', since)
    await streamed.line(/"last":true/)
    const pieces = streamed.lines
      .filter((l) => l.startsWith('mdi/bridge/stream/s1 '))
      .map((l) => JSON.parse(l.slice('mdi/bridge/stream/s1 '.length)) as { text: string })
    assert.equal(pieces.map((p) => p.text).join(''), data.text)
    // The random model may have ended by itself just then.
    assert.ok(['cancelled', 'end', 'length'].includes(String(data.reason)))
  })

  for (const [at, name] of [
    [() => broker, 'ring'],
    [() => house, 'house'],
  ] as const)
    test(`a client of the ${name}’s broker that is killed in mid-stream frees its place`, async (t) => {
      const id = `gone-${name}`
      const streamed = sub(id, at(), `mdi/bridge/stream/${id}`)
      await probe(streamed, `mdi/bridge/stream/${id}`, at())
      // Whoever hears everything reads this stream too.
      await houseHeard.stop()
      t.after(() => probe(houseHeard.start(), 'mdi/bridge/stream/probe', house))
      const answers = sub(`answers-${name}`, at(), 'mdi/bridge/response/#')
      await probe(answers, 'mdi/bridge/response/probe', at())
      const request = { id, prompt: 'Once', maxTokens: 4_000, ...greedy }
      pub(at(), 'mdi/bridge/request/generate', request)
      await streamed.line(/"index":2,/)
      streamed.signal('SIGKILL')
      const of = (m: Told) => m.data.id === id
      const { data } = await told(answers, 'mdi/bridge/response/generate', of)
      assert.equal(data.reason, 'cancelled')
    })

  /** Resolves when a subscription is there: a message of ours comes back. */
  const probe = async (who: Service, topic: string, at: Mosquitto): Promise<void> => {
    const since = who.lines.length
    for (let i = 0; !who.lines.slice(since).some((l) => l.includes('"probe"')); i++) {
      pub(at, topic, { text: '', probe: i })
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  test('two requests with the same transaction from two clients are both answered', async () => {
    const since = heard.lines.length
    const ask = { prompt: 'Once', maxTokens: 40, transaction: 'same', stream: false }
    // Together: where the first had ended, the second would have its name.
    pubAll(
      'mdi/bridge/request/generate',
      ['a', 'b'].map((client) => ({ ...ask, client })),
    )
    const same = (m: Told) => m.transaction === 'same'
    const first = await told(heard, 'mdi/bridge/response/generate', same, since)
    const second = await told(
      heard,
      'mdi/bridge/response/generate',
      (m) => same(m) && m.data.id !== first.data.id,
      since,
    )
    assert.deepEqual([first.status, second.status], ['ok', 'ok'])
  })

  test('a full queue is told busy, with a time', async () => {
    const since = heard.lines.length
    const ask = { prompt: 'Once', maxTokens: 4_000, client: 'many', stream: false, ...greedy }
    const ids = Array.from({ length: 80 }, (_, i) => `f${i}`)
    pubAll(
      'mdi/bridge/request/generate',
      ids.map((id) => ({ ...ask, id })),
    )
    const busy = await told(
      heard,
      'mdi/bridge/response/generate',
      ({ code }) => code === 'busy',
      since,
    )
    assert.match(
      String(busy.error),
      /^You have 32 requests waiting already; try again in about \d+ seconds\.$/,
    )
    pubAll(
      'mdi/bridge/request/cancel',
      ids.map((id) => ({ id })),
    )
  })

  test('the house: devices, state, commands; and nothing of the ring’s own', async () => {
    const board = await told(houseHeard, 'mdi/board/n1', ({ phase }) => phase === 'ready')
    assert.equal(board.state, 'online')
    const device = `homeassistant/device/mdi_${cluster.name}`
    const config = await told(houseHeard, `${device}_n1/config`)
    const parts = config.components as Record<string, Record<string, unknown>>
    assert.deepEqual(Object.keys(parts), [
      ...['state', 'layers', 'memory', 'temperature', 'speed', 'restart', 'identify'],
    ])
    for (const part of Object.values(parts)) assert.ok(part.platform && part.unique_id && part.name)
    await told(houseHeard, `${device}/config`, ({ components }) => 'model' in Object(components))
    // Home Assistant has started again.
    const since = houseHeard.lines.length
    pub(house, 'homeassistant/status', 'online')
    await told(houseHeard, `${device}_n2/config`, () => true, since)
    pub(house, String(parts.identify?.command_topic), String(parts.identify?.payload_press))
    await cluster.node('n1').line(/^This is node n1/)
    pub(house, 'mdi/bridge/request/config/get', { transaction: 'no' })
    const refused = await told(houseHeard, 'mdi/bridge/response/config/get')
    assert.deepEqual([refused.status, refused.code], ['error', 'unsupported'])
    pub(house, 'mdi/bridge/request/chat', {
      messages: [{ role: 'user', content: 'Hi' }],
      maxTokens: 4,
    })
    const chat = await told(houseHeard, 'mdi/bridge/response/chat')
    assert.equal(chat.status, 'ok')
    const own = /^mdi\/(desired|state|command|vitals)\//
    assert.deepEqual(
      houseHeard.lines.filter((l) => own.test(l)),
      [],
    )
  })

  test('a setting that is changed at the coordinator holds at the gateway', async () => {
    pub(broker, 'mdi/bridge/request/config/set', { config: { voice: { intents: true } } })
    const answer = await told(heard, 'mdi/bridge/response/config/set')
    assert.deepEqual(answer.data.changed, { voice: { intents: true } })
    await gateway.line(/^Settings changed at the coordinator hold here: voice\.intents\.$/)
  })

  test('MQTT 5: no response topic makes the broker hang up on the gateway', async () => {
    const since = heard.lines.length
    for (const topic of ['rt/#', 'x/'.repeat(300), 'mdi/desired/n1'])
      for (const at of [broker, house]) {
        const words = ['-p', String(at.port), '-V', '5', '-q', '1', '-m', '{}']
        const more = ['-t', 'mdi/bridge/request/models', '-D', 'publish', 'response-topic', topic]
        spawnSync('mosquitto_pub', [...words, ...more])
      }
    const refused = ({ code }: Told) => code === 'bad-value'
    await told(heard, 'mdi/bridge/response/models', refused, since)
    pub(broker, 'mdi/bridge/request/models', { transaction: 'after' })
    await told(heard, 'mdi/bridge/response/models', ({ transaction }) => transaction === 'after')
    const drops = gateway.lines.filter((l) => /cannot be reached|hung up/.test(l))
    assert.deepEqual(drops, [])
  })

  test('a second gateway waits while the first answers', async () => {
    const since = houseHeard.lines.length
    const second = await startGateway('g2', house)
    await second.line(/^Another gateway answers at the home's broker under mdi\//)
    pub(house, 'mdi/bridge/request/models', { transaction: 'once' })
    const once = ({ transaction }: Told) => transaction === 'once'
    await told(houseHeard, 'mdi/bridge/response/models', once, since)
    pub(house, 'mdi/bridge/request/models', { transaction: 'twice' })
    const twice = ({ transaction }: Told) => transaction === 'twice'
    await told(houseHeard, 'mdi/bridge/response/models', twice, since)
    const answers = houseHeard.lines.filter((l) => /response\/models .*"once"/.test(l))
    assert.equal(answers.length, 1)
    await second.kill()
  })

  test('the house’s broker is the ring’s own: nothing is forwarded round and round', async () => {
    const third = await startGateway('g3', broker)
    await third.line(/^The home's broker is the ring's own/)
    const since = heard.lines.length
    pub(broker, 'mdi/bridge/request/models', { transaction: 'one' })
    const is = (name: string) => (m: Told) => m.transaction === name
    await told(heard, 'mdi/bridge/response/models', is('one'), since)
    pub(broker, 'mdi/bridge/request/status', { transaction: 'two' })
    await told(heard, 'mdi/bridge/response/status', is('two'), since)
    const asked = heard.lines.slice(since).filter((l) => l.startsWith('mdi/bridge/request/models '))
    // Ours, and the questions of the gateways, which show the models; a storm has hundreds.
    assert.ok(asked.length < 10, asked.join('\n'))
    await third.kill()
    const { state } = await told(heard, 'mdi/bridge/state')
    assert.equal(state, 'online', 'the coordinator’s state is its own')
  })

  test('a board is renamed, and removed when it is gone; the gateway’s end is told', async () => {
    pub(broker, 'mdi/bridge/request/node/rename', { id: 'n2', name: 'Attic' })
    await told(houseHeard, 'mdi/board/n2', ({ name }) => name === 'Attic')
    await cluster.ring.ask('load', { model: scene.model.name, nodes: ['n1'] })
    pub(broker, 'mdi/bridge/request/node/remove', { id: 'n2' })
    const answer = await told(heard, 'mdi/bridge/response/node/remove')
    assert.match(String(answer.error), /n2 is online/)
    await cluster.node('n2').stop()
    await told(houseHeard, 'mdi/board/n2', ({ state }) => state === 'offline')
    pub(broker, 'mdi/bridge/request/node/remove', { id: 'n2' })
    await houseHeard.line(
      new RegExp(`^homeassistant/device/mdi_${cluster.name}_n2/config \\(null\\)$`),
    )
    await gateway.kill()
    await told(houseHeard, 'mdi/bridge/state', ({ state }) => state === 'offline')
  })
})
