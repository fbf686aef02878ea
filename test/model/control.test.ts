/** Which tokens are control tokens of a file, whatever a converter made of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderTemplate } from '../../services/io/template.ts'
import { Template } from '../../services/jinja/template.ts'
import { ChatFormat } from '../../services/model/chat.ts'
import { endsByName, isHtml, kindOf } from '../../services/model/control.ts'
import type { GgufMetadata } from '../../services/model/gguf.ts'
import { textSpecFromGguf } from '../../services/model/text.ts'
import { Tokenizer } from '../../services/model/tokenizer.ts'
import { byteLevel } from '../fakes/vocabularies.ts'

const chatml =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"

/** A byte-level vocabulary with more tokens of these kinds (as GGUF numbers them). */
const vocabulary = (more: [string, number][], template = ''): GgufMetadata => {
  const base = byteLevel()
  const tokens = (base.get('tokenizer.ggml.tokens') as string[]).slice(5)
  const kinds = tokens.map(() => 1)
  return new Map([
    ...base,
    ['tokenizer.ggml.tokens', [...tokens, ...more.map(([text]) => text)]],
    ['tokenizer.ggml.token_type', Int32Array.from([...kinds, ...more.map(([, kind]) => kind)])],
    ['tokenizer.ggml.eos_token_id', 256],
    ['tokenizer.ggml.bos_token_id', 256],
    ...(template === '' ? [] : [['tokenizer.chat_template', template] as const]),
  ])
}

test('what the template writes to begin and end turns are control tokens, whatever their type', () => {
  for (const kind of [1, 3, 4]) {
    const more: [string, number][] = [
      ['<|endoftext|>', 3],
      ['<|im_start|>', kind],
      ['<|im_end|>', kind],
    ]
    const spec = textSpecFromGguf(vocabulary(more, chatml))
    const tokenizer = new Tokenizer(spec)
    assert.deepEqual(spec.endIds, [256, 258], `type ${kind}: both end an answer`)
    assert.deepEqual(tokenizer.encode('<|im_start|>a', { control: { foreign: [] } })[0], 257)
    assert.ok(!tokenizer.encode('<|im_start|>').includes(257), 'never in what people write')
  }
})

test('kinds follow from shape, type and template together', () => {
  const rows: [
    token: string,
    given: 'control' | 'user' | 'normal',
    template: string,
    is: string,
  ][] = [
    ['<|im_end|>', 'normal', '<|im_end|>', 'control'],
    ['<|im_end|>', 'user', '<|im_end|>', 'control'],
    ['<|im_end|>', 'normal', 'nothing of it', 'normal'],
    ['<｜User｜>', 'normal', "'<｜User｜>'", 'control'],
    ['<start_of_turn>', 'user', '<start_of_turn>user', 'control'],
    ['[/INST]', 'normal', '[INST] x [/INST]', 'control'],
    ['<think>', 'normal', "'<think>\\n'", 'user'],
    ['<tool_call>', 'user', '<tool_call>', 'user'],
    ['<think>', 'control', '', 'control'],
    // Tags of HTML are text, also where a template mentions one.
    ['<td>', 'control', '', 'user'],
    ['</h1>', 'control', 'use </h1>', 'user'],
    ['<b>', 'normal', 'make it <b>bold</b>', 'normal'],
    ['<s>', 'control', '', 'control'],
    // Ordinary words stay words, even if a template says them.
    ['user', 'normal', 'user', 'normal'],
    ['<|', 'normal', "'<|' + role + '|>'", 'normal'],
    ['[x]', 'normal', '[x]', 'normal'],
  ]
  for (const [token, given, template, is] of rows)
    assert.equal(kindOf(token, given, template), is, `${token} ${given} ${template}`)
  assert.ok(isHtml('<table>') && isHtml('</td>') && !isHtml('<think>') && !isHtml('<s>'))
})

test('a name ends an answer only where it is no piece of text', () => {
  assert.ok(endsByName('<|im_end|>', 'normal') && endsByName('</s>', 'control'))
  assert.ok(!endsByName('</s>', 'normal') && !endsByName('<|x|>', 'control'))
})

test('a control token of one character counts where the template wrote it, and only there', async () => {
  const template = "{{ '§' + messages[0].content }}"
  const spec = textSpecFromGguf(
    vocabulary(
      [
        ['<|endoftext|>', 3],
        ['§', 3],
      ],
      template,
    ),
  )
  const tokenizer = new Tokenizer(spec)
  const runner = {
    render: async (t: string, v: Parameters<typeof renderTemplate>[1]) =>
      renderTemplate(new Template(t), v),
  }
  const { ids } = await new ChatFormat(spec, tokenizer, runner).prompt([
    { role: 'user', content: 'a§' },
  ])
  assert.equal(ids.filter((id) => tokenizer.isControl(id)).length, 1)
})
