import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { Ajv } from 'ajv'
import { asyncApiDocument } from '../../services/wire/asyncapi.ts'
import { topics } from '../../services/wire/topics.ts'
import { verbs } from '../../services/wire/verbs.ts'

const require = createRequire(import.meta.url)
const validator = () => {
  const schema = JSON.parse(
    readFileSync(require.resolve('@asyncapi/specs/schemas/3.1.0-without-$id.json'), 'utf8'),
  )
  return new Ajv({ strict: false, validateFormats: false }).compile(schema)
}

test('the AsyncAPI document is valid by AsyncAPI’s own schema', () => {
  const validate = validator()
  const document = asyncApiDocument('1.2.3')
  assert.ok(validate(document), JSON.stringify(validate.errors?.slice(0, 3)))
  assert.equal(validate({ ...document, channels: 7 }), false)
})

test('every topic and every verb is in it, with its address, QoS and retain flag', () => {
  const document = asyncApiDocument('1.2.3') as {
    channels: Record<string, { address: string }>
    operations: Record<
      string,
      { channel: { $ref: string }; bindings: { mqtt: { qos: number; retain: boolean } } }
    >
  }
  const addresses = Object.values(document.channels).map((c) => c.address)
  for (const { pattern } of Object.values(topics))
    for (const address of pattern.includes('{verb}')
      ? Object.keys(verbs).map((v) => pattern.replace('{verb}', v))
      : [pattern])
      assert.ok(addresses.includes(address), address)
  assert.deepEqual(document.operations['send-desired']?.bindings.mqtt, {
    qos: 1,
    retain: true,
    bindingVersion: '0.2.0',
  })
  for (const operation of Object.values(document.operations)) {
    const key = operation.channel.$ref.replace('#/channels/', '')
    assert.ok(document.channels[key], key)
  }
})
