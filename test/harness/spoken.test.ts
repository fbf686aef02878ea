/** What the voice demonstration takes for right, and the sounds that it writes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { intents } from '../../services/voice/intents.ts'
import { expectedOf, numberOf } from './spoken.ts'
import { readWave, resampled, writeWave } from './wave.ts'

test('sentences and what they mean', () => {
  assert.deepEqual(expectedOf('please turn on the kitchen lights'), {
    intent: 'HassTurnOn',
    slots: { area: 'kitchen', domain: 'light' },
  })
  assert.equal(expectedOf('turn on the lights'), 'Which room?')
  assert.equal(expectedOf('the kitchen'), undefined)
  const warm = expectedOf('set the temperature in the office to twenty one degrees')
  assert.deepEqual(warm, {
    intent: 'HassClimateSetTemperature',
    slots: { area: 'office', temperature: 21 },
  })
  assert.deepEqual(expectedOf('unlock the front door'), {
    intent: 'HassTurnOff',
    slots: { name: 'front door', domain: 'lock' },
  })
  assert.equal(expectedOf('next song'), 'Which room?')
  for (const sentence of ['what time is it', 'mute the television', 'start a five minute timer'])
    assert.ok(Object.hasOwn(intents, Object(expectedOf(sentence)).intent), sentence)
  assert.deepEqual(['ten', 'fifteen', 'twenty two', 'ninety'].map(numberOf), [10, 15, 22, 90])
})

test('sounds are read, resampled and written', () => {
  const samples = Int16Array.from({ length: 100 }, (_, i) => i * 100)
  const bytes = writeWave({ rate: 8_000, samples })
  assert.equal(bytes.toString('hex', 0, 12), '52494646ec00000057415645')
  assert.deepEqual(readWave(bytes), { rate: 8_000, samples })
  const twice = resampled({ rate: 8_000, samples }, 16_000, 1)
  assert.equal(twice.samples.length, 200 + 32)
  assert.deepEqual([...twice.samples.slice(14, 20)], [0, 0, 0, 50, 100, 150])
  assert.throws(() => readWave(Buffer.from('RIFF')), /no sound/)
})
