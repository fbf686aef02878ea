import assert from 'node:assert/strict'
import { test } from 'node:test'
import { uniform } from '../../services/model/philox.ts'
import { checkStops, type StreamOptions, TextStream } from '../../services/model/stream.ts'
import { textSpecFromGguf } from '../../services/model/text.ts'
import { Tokenizer } from '../../services/model/tokenizer.ts'
import { byteLevel, sentencePiece } from '../fakes/vocabularies.ts'

const level = new Tokenizer(textSpecFromGguf(byteLevel({}, ['a b', 'ab c'])))
const piece = new Tokenizer(textSpecFromGguf(sentencePiece(['▁hello', '▁', 'x'])))

/** Feeds the tokens; what came out at each, and after the last. */
const feed = (tokenizer: Tokenizer, ids: number[], options: StreamOptions = {}) => {
  const stream = new TextStream(tokenizer, options)
  const steps = ids.map((id) => stream.push(id))
  return {
    texts: steps.map((s) => s.text),
    stopped: steps.at(-1)?.stopped,
    rest: stream.flush().text,
  }
}

test('a character comes whole, with its last byte', () => {
  const { texts, rest } = feed(level, level.encode('é😀'))
  assert.deepEqual(texts, ['', 'é', '', '', '', '😀'])
  assert.equal(rest, '')
  const fallback = feed(piece, piece.encode('x😀x').slice(1))
  assert.deepEqual(fallback.texts, ['x', '', '', '', '😀', 'x'])
  // Cut short: half a character is no text.
  assert.deepEqual(feed(level, level.encode('a😀').slice(0, 3)), {
    texts: ['a', '', ''],
    stopped: false,
    rest: '',
  })
})

test('bytes that are no UTF-8 become replacement characters and nothing is lost after them', () => {
  const [high = 0] = level.encode('é')
  const [a = 0] = level.encode('a')
  assert.equal(feed(level, [high, high, a, a]).texts.join(''), '��aa')
  assert.equal(feed(level, level.encode('\ufeffa')).texts.join(''), '\ufeffa')
})

test('text that could begin a stop string is held back until that is sure', () => {
  const stops = ['END.', '\n\n']
  const one = (text: string) => feed(level, level.encode(text), { stops })
  assert.deepEqual(one('aEND').texts, ['a', '', '', ''])
  assert.equal(one('aEND').rest, 'END')
  assert.deepEqual(one('EENx').texts, ['', 'E', '', 'ENx'])
  const stopped = one('aEND.')
  assert.deepEqual(stopped.texts, ['a', '', '', '', ''])
  assert.equal(stopped.stopped, 'stop')
  assert.equal(stopped.rest, '')
  assert.deepEqual(one('a\nb').texts, ['a', '', '\nb'])
  assert.equal(one('a\n\nb').texts.join(''), 'a')
})

test('a stop string ends the text wherever the tokens are cut', () => {
  // One token with text before, within and after the stop string.
  const within = feed(level, level.encode('abc'), { stops: ['b'] })
  assert.deepEqual(within, { texts: ['a'], stopped: 'stop', rest: '' })
  // Of two, the one that is complete first, also where one token completes both.
  const ids = level.encode('abc')
  assert.equal(ids.length, 1)
  const bytes = [...'abc'].flatMap((c) => level.encode(c))
  for (const cut of [ids, bytes])
    assert.equal(feed(level, cut, { stops: ['abc', 'b'] }).texts.join(''), 'a')
})

test('streamed text equals the whole text, for random bytes, cuts and stop strings', () => {
  const alphabet = ['a', 'b', 'é', '😀', '\n', 'ab']
  for (let seed = 0; seed < 200; seed++) {
    const pick = (step: number, n: number) => Math.floor(uniform(seed, step) * n)
    const word = (from: number, length: number) =>
      Array.from({ length }, (_, i) => alphabet[pick(from + i, alphabet.length)]).join('')
    const text = word(0, 30)
    const stops = [word(100, 1 + pick(99, 3)), word(200, 1 + pick(98, 4))]
    const ends = stops.flatMap((stop) => {
      const start = text.indexOf(stop)
      return start < 0 ? [] : [{ start, end: start + stop.length }]
    })
    ends.sort((x, y) => x.end - y.end || x.start - y.start)
    const expected = ends[0] ? text.slice(0, ends[0].start) : text
    const { texts, rest } = feed(level, level.encode(text), { stops })
    assert.equal(texts.join('') + rest, expected, `seed ${seed}`)
    assert.ok(texts.every((t) => t.isWellFormed()))
  }
})

test('an end token ends the text and gives what was held back', () => {
  const stream = new TextStream(level, { stops: ['ab!'], endIds: [2] })
  assert.deepEqual(stream.push(level.encode('ab')[0] ?? 0), {
    text: '',
    thought: '',
    stopped: false,
  })
  assert.deepEqual(stream.push(2), { text: 'ab', thought: '', stopped: 'end' })
  assert.deepEqual(stream.push(5), { text: '', thought: '', stopped: 'end' })
  assert.deepEqual(stream.flush(), { text: '', thought: '' })
  assert.deepEqual(feed(level, [1, 0, 3]).texts, ['', '', ''], 'control tokens are never shown')
})

test('SentencePiece: the space before a text is dropped, the one within a text is not', () => {
  const [hello = 0, space = 0] = [259, 260]
  assert.deepEqual(feed(piece, [hello, hello]).texts, ['hello', ' hello'])
  assert.deepEqual(feed(piece, [space, hello]).texts, ['', ' hello'])
  assert.deepEqual(feed(piece, [hello], { start: 'continuation' }).texts, [' hello'])
  assert.deepEqual(feed(level, level.encode(' a')).texts.join(''), ' a')
})

test('stop strings are checked', () => {
  assert.deepEqual(checkStops(['a']), ['a'])
  for (const bad of [[''], [1], ['\udc00'], ['x'.repeat(2_000)], new Array(17).fill('a')])
    assert.throws(() => checkStops(bad), { code: 'bad-value' })
})
