/** Home Assistant's discovery messages. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { birthTopic, Discovery } from '../../../services/api/homeassistant/discovery.ts'
import { RebasedBus } from '../../../services/api/mqtt/rebased.ts'
import { FakeBus } from '../../fakes/bus.ts'

const bus = new RebasedBus(new FakeBus(), 'attic/mdi')
const discovery = new Discovery({
  root: 'homeassistant',
  place: bus.place,
  version: '1.2.3',
  cluster: 'the.den',
})
type Part = Record<string, string>
const read = (payload: string) =>
  JSON.parse(payload) as Record<string, unknown> & { components: Record<string, Part> }

test('the cluster is a device, under our base topic', () => {
  const { topic, payload } = discovery.cluster({ model: null }, ['a', 'b', 'a'])
  assert.equal(topic, 'homeassistant/device/mdi_the_den_8d8d/config')
  const config = read(payload)
  assert.deepEqual(config.origin, { name: 'mdi-llm', sw_version: '1.2.3' })
  assert.deepEqual(Object.keys(config.components), ['ready', 'speed', 'running', 'queued', 'model'])
  const { model, ready } = config.components
  assert.deepEqual(model?.options as unknown, ['a', 'b'])
  assert.equal(model?.command_topic, 'attic/mdi/bridge/request/load')
  assert.equal(ready?.state_topic, 'attic/mdi/bridge/health')
  assert.deepEqual(config.availability, [
    { topic: 'attic/mdi/bridge/state', value_template: '{{ value_json.state }}' },
  ])
  assert.equal('model' in read(discovery.cluster({ model: null }, []).payload).components, false)
})

test('a board is a device; names are unique; an empty payload takes it away', () => {
  const more = { name: 'Attic', phase: 'ready', layers: 3, range: '0–2' }
  const board = { state: 'online', cluster: 'the.den', ...more } as const
  const { topic, payload } = discovery.board('pi.3', board)
  assert.equal(topic, 'homeassistant/device/mdi_the_den_8d8d_pi_3_b9aa/config')
  const config = read(payload)
  const parts = Object.values(config.components)
  assert.equal(new Set(parts.map((p) => p.unique_id)).size, parts.length)
  for (const part of parts) {
    assert.match(
      String(part.default_entity_id),
      /^(sensor|button)\.mdi_the_den_8d8d_pi_3_b9aa_\w+$/,
    )
    assert.equal('object_id' in part, false)
  }
  assert.equal(config.components.restart?.command_topic, 'attic/mdi/bridge/request/node/restart')
  assert.equal(config.components.restart?.payload_press, '{"id":"pi.3"}')
  assert.equal((config.availability as Part[])[1]?.topic, 'attic/mdi/board/pi.3')
  assert.deepEqual(discovery.gone('pi.3'), { topic, payload: '' })
  assert.equal(birthTopic('homeassistant'), 'homeassistant/status')
})

test('topics of the table stand under the other base, others stay', () => {
  const inner = new FakeBus()
  const other = new RebasedBus(inner, 'x/y')
  const heard: string[] = []
  other.subscribe('mdi/bridge/request/#', ({ topic }) => heard.push(topic))
  other.subscribe('homeassistant/status', ({ topic }) => heard.push(topic))
  inner.come('x/y/bridge/request/node/identify', '{}')
  inner.come('mdi/bridge/request/status', '{}')
  inner.come('homeassistant/status', 'online')
  assert.deepEqual(heard, ['mdi/bridge/request/node/identify', 'homeassistant/status'])
  const options = { qos: 1, retain: false } as const
  other.publish('mdi/bridge/response/chat', 'a', options)
  other.publish('mdi/of/somebody', 'b', options)
  assert.deepEqual(
    inner.published.all.map((p) => p.topic),
    ['x/y/bridge/response/chat', 'mdi/of/somebody'],
  )
})
