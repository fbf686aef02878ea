/** Names that were cut short: what a model's file tells of the words beside them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cutShort } from '../../services/voice/completeness.ts'

const beside = new Set(
  'turn on off the my in lights light volume percent please send to and scene timer for'.split(' '),
)
const wrong = (said: string | string[], slots: Record<string, string | number>) =>
  cutShort({ name: 'HassTurnOn', slots }, [said].flat(), beside)

test('a word beside a name that stands beside none belongs to it', () => {
  assert.match(
    wrong('Kids bathroom volume forty', { area: 'bathroom' }) ?? '',
    /^area "bathroom" without "kids"$/,
  )
  assert.ok(wrong('turn on the greinjag vat', { name: 'greinjag' }))
  assert.ok(wrong('turn on kate’s corner lights', { area: 'corner' }))
  assert.ok(wrong('lights on in the kitchen zorb', { area: 'kitchen', domain: 'light' }))
})

test('whole names pass, whatever they are', () => {
  for (const [said, slots] of [
    ['Kids Bathroom volume 40 percent', { area: 'kids bathroom', volume_level: 40 }],
    ['turn on the greinjag vat in the zorb', { name: 'greinjag vat', area: 'zorb' }],
    ['send zib blorp to the kitchen', { name: 'zib blorp', area: 'kitchen' }],
    // Two names side by side, and a number.
    ['zib zorb lights 40 percent', { name: 'zib', area: 'zorb' }],
    ['40 percent zorb', { area: 'zorb' }],
    // In another clause.
    ['Hello Jarvis, kitchen lights on. Darling!', { area: 'kitchen' }],
    // A slip of one letter in a word of five or more.
    ['turn on the kitchen ligths', { area: 'kitchen' }],
    ['kitchen lihts on', { area: 'kitchen' }],
    ['pleese kitchen lightss on', { area: 'kitchen' }],
    // Not a name's slots.
    ['wake me up for blorp', { message: 'blorp' }],
    ['turn it up', { volume_step: 'up' }],
  ] as const)
    assert.equal(wrong(said, slots), undefined, said)
})

test('a short word is not known by a letter that is wrong', () => {
  assert.ok(wrong('turn on kitchen zn', { area: 'kitchen' }))
})

test('one whole mention is enough', () => {
  const slots = { area: 'bathroom' }
  assert.equal(wrong('my bathroom lights, kids bathroom', slots), undefined)
  assert.equal(wrong(['the bathroom', 'kids bathroom lights'], slots), undefined)
  assert.ok(wrong(['kids bathroom', 'lights on'], slots))
})

test('what is a device and its room was said twice', () => {
  assert.match(wrong('turn on the zorb', { name: 'zorb', area: 'zorb' }) ?? '', /said once/)
  assert.equal(wrong('turn on the zorb in the zorb', { name: 'zorb', area: 'zorb' }), undefined)
})
