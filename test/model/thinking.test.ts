import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type StreamOptions, TextStream } from '../../services/model/stream.ts'
import { textSpecFromGguf } from '../../services/model/text.ts'
import { opensThinking, thinkingMarks } from '../../services/model/thinking.ts'
import { Tokenizer } from '../../services/model/tokenizer.ts'
import { byteLevel, sentencePiece } from '../fakes/vocabularies.ts'

const marks = { open: '<think>', close: '</think>' }
const bytes = new Tokenizer(textSpecFromGguf(byteLevel()))
const userTokens = new Tokenizer(textSpecFromGguf(byteLevel({}, [], ['<think>', '</think>'])))
const controlTokens = (() => {
  const metadata = new Map(byteLevel({}, [], ['<think>', '</think>', '<|tool|>']))
  const kinds = Int32Array.from(metadata.get('tokenizer.ggml.token_type') as Int32Array)
  kinds.fill(3, kinds.length - 3)
  metadata.set('tokenizer.ggml.token_type', kinds)
  return new Tokenizer(textSpecFromGguf(metadata))
})()
const control = { control: { foreign: [] } }

/** What a model's tokens come to. */
const said = (tokenizer: Tokenizer, text: string, options: StreamOptions = {}) => {
  const stream = new TextStream(tokenizer, options)
  const pieces = tokenizer.encode(text, control).map((id) => stream.push(id))
  pieces.push({ ...stream.flush(), stopped: false })
  return {
    thought: pieces.map((p) => p.thought).join(''),
    text: pieces.map((p) => p.text).join(''),
    stopped: pieces.some((p) => p.stopped === 'stop'),
  }
}

const open = (thinking: boolean): StreamOptions => ({ thoughts: { marks, open: thinking } })

test('thoughts are told from the answer, of whatever kind the marks are', () => {
  for (const tokenizer of [bytes, userTokens, controlTokens]) {
    const whole = said(tokenizer, '<think>\nhm < 2 </thin\n</think>\n\nYes <b>.', open(false))
    assert.equal(whole.thought.trim(), 'hm < 2 </thin')
    assert.equal(whole.text, 'Yes <b>.')
    // The prompt opened them.
    const rest = said(tokenizer, 'hm\n</think>Yes', open(true))
    assert.deepEqual([rest.thought.trim(), rest.text], ['hm', 'Yes'])
    // Cut off while it thought: there is no answer.
    assert.deepEqual(said(tokenizer, '<think>hm', open(false)), {
      ...{ thought: 'hm', text: '', stopped: false },
    })
  }
})

test('an answer without thoughts is whole, and marks within one are text', () => {
  const rows = ['', 'Yes', '  Yes', '<', '<thi', '<b>x', 'the tag <think> is', 'a</think>b']
  for (const text of rows) assert.equal(said(bytes, text, open(false)).text, text)
  assert.equal(said(bytes, '<think>x</think>y').text, '<think>x</think>y', 'no thinking model')
  const empty = said(userTokens, '<think>\n\n</think>\n\nYes', open(false))
  assert.deepEqual([empty.thought, empty.text], ['', 'Yes'])
})

test('stop strings end the answer, not the thoughts', () => {
  const options = { ...open(false), stops: ['\n'] }
  const { thought, text } = said(bytes, '<think>a\nb</think>Yes\nno', options)
  assert.deepEqual([thought, text], ['a\nb', 'Yes'])
})

test('a stop string may be a control token, or have one in it', () => {
  const rows: [stop: string, text: string, said: string, stopped: boolean][] = [
    ['<|tool|>', 'hello<|tool|>x', 'hello', true],
    ['o<|tool|>', 'hello<|tool|>x', 'hell', true],
    ['<|tool|>x', 'hello<|tool|>xy', 'hello', true],
    ['<|tool|>x', 'hello<|tool|>yx', 'helloyx', false],
    ['<|tool|>', '<|tool|>x', '', true],
    ['l<|tool|>', 'hel', 'hel', false],
  ]
  for (const [stop, text, answer, stopped] of rows) {
    const found = said(controlTokens, text, { stops: [stop] })
    assert.deepEqual([found.text, found.stopped], [answer, stopped], stop)
  }
})

test('SentencePiece: the space before the first word is no thought', () => {
  const tokenizer = new Tokenizer(
    textSpecFromGguf(sentencePiece(['▁<think>', '▁a', '</think>', '▁b'])),
  )
  const stream = new TextStream(tokenizer, open(false))
  const pieces = [259, 260, 261, 262].map((id) => stream.push(id))
  assert.equal(pieces.map((p) => p.thought).join(''), 'a')
  assert.equal(pieces.map((p) => p.text).join(''), 'b')
})

test('which marks a model has follows from its tokens or its template', () => {
  const none = () => false
  assert.deepEqual(
    thinkingMarks((t) => userTokens.isAdded(t), undefined),
    marks,
  )
  assert.deepEqual(thinkingMarks(none, "{{ m.content.split('</think>')[-1] }}"), marks)
  assert.equal(thinkingMarks(none, 'plain'), undefined)
  assert.equal(thinkingMarks(none, undefined), undefined)
  assert.equal(thinkingMarks(none, '[THINK][/THINK]')?.close, '[/THINK]')
  assert.ok(opensThinking('<|im_start|>assistant\n<think>\n', marks))
  assert.ok(!opensThinking('<think>\n\n</think>\n\n', marks))
})
