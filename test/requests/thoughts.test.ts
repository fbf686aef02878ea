/** What of a reasoning model's tokens becomes its answer, and what its thoughts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderTemplate } from '../../services/io/template.ts'
import { Template } from '../../services/jinja/template.ts'
import { ChatFormat } from '../../services/model/chat.ts'
import { defaultSampling } from '../../services/model/sampler.ts'
import { textSpecFromGguf } from '../../services/model/text.ts'
import { Tokenizer } from '../../services/model/tokenizer.ts'
import {
  type Answer,
  type GenerationModel,
  Generations,
  type TextRequest,
} from '../../services/requests/generation.ts'
import type { TokenListener } from '../../services/ring/ledger.ts'
import type { Open } from '../../services/wire/requests.ts'
import { FakeClock } from '../fakes/clock.ts'
import { byteLevel, sentencePiece } from '../fakes/vocabularies.ts'

const chatml =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% if opens %}{{ '<think>\n' }}{% endif %}{% endif %}"

const modelOf = (keys: ReturnType<typeof byteLevel>): GenerationModel => {
  const text = textSpecFromGguf(keys)
  const tokenizer = new Tokenizer(text)
  const runner = {
    render: async (t: string, v: Parameters<typeof renderTemplate>[1]) =>
      renderTemplate(new Template(t), v),
  }
  const chat = new ChatFormat(text, tokenizer, runner)
  const manifest = { name: 'toy', text } as GenerationModel['manifest']
  return { manifest, tokenizer, chat, context: 512 }
}

const reasoning = (template: string) =>
  byteLevel({ 'tokenizer.chat_template': template }, [], ['<think>', '</think>'])

/** Runs a request against a ring that says a fixed text. */
const asked = async (model: GenerationModel, says: string, more: Partial<TextRequest> = {}) => {
  let opened: Open | undefined
  let listener: TokenListener | undefined
  const source = {
    open: (open: Open, told: TokenListener) => {
      opened = open
      listener = told
    },
    cancel: () => {},
  }
  const told: string[] = []
  const generations = new Generations(source, new FakeClock())
  const ended = new Promise<Answer>((resolve, reject) => {
    const request: TextRequest = {
      id: 'a',
      input: { messages: [{ role: 'user', content: 'Hi' }] },
      sampling: defaultSampling,
      stop: [],
      ...more,
    }
    void generations
      .submit(model, request, {
        text: (text) => told.push(`text ${text}`),
        thought: (text) => told.push(`thought ${text}`),
        end: resolve,
        error: reject,
      })
      .then(() => {
        const ids = model.tokenizer.encode(says, { control: { foreign: [] } })
        for (const [step, token] of ids.entries())
          listener?.token({ id: 'a', step, token, logprobs: [-1] } as never)
        listener?.end({ id: 'a', reason: 'end' })
      })
  })
  const answer = await ended
  return { answer, told, opened }
}

test('thoughts are a stream of their own, and no part of the answer', async () => {
  const { answer, told } = await asked(modelOf(reasoning(chatml)), '<think>\nhm\n</think>\n\nYes.')
  assert.deepEqual([answer.reasoning?.trim(), answer.text], ['hm', 'Yes.'])
  assert.equal(
    told
      .filter((t) => t.startsWith('text '))
      .map((t) => t.slice(5))
      .join(''),
    'Yes.',
  )
  assert.ok(told.indexOf('text Y') > told.indexOf('thought h'))
})

test('a prompt that opens thoughts begins with them', async () => {
  const opens = chatml.replace('{% if opens %}', '{% if true %}')
  const { answer } = await asked(modelOf(reasoning(opens)), 'hm</think>Yes.')
  assert.deepEqual([answer.reasoning, answer.text], ['hm', 'Yes.'])
  const never = await asked(modelOf(reasoning(opens)), 'hm and hm')
  assert.deepEqual([never.answer.reasoning, never.answer.text], ['hm and hm', ''])
})

test('a model without such marks says them as text', async () => {
  const { answer } = await asked(
    modelOf(byteLevel({ 'tokenizer.chat_template': chatml.replace(/<think>/, '') })),
    '<think>a</think>b',
  )
  assert.deepEqual([answer.reasoning, answer.text], [undefined, '<think>a</think>b'])
})

test("the first line's probability is the answer's, without the thoughts'", async () => {
  const keys = reasoning(chatml)
  const line = await asked(modelOf(keys), '<think>a\nb</think>Yes\nno', { lineLogprob: true })
  const plain = await asked(modelOf(keys), 'Yes\nno', { lineLogprob: true })
  assert.equal(line.answer.lineLogprob, plain.answer.lineLogprob)
})

test('control tokens of a prompt as it is count; of a conversation they do not', async () => {
  const model = modelOf(reasoning(chatml))
  const raw = await asked(model, '', { input: { prompt: '<|im_start|>x<|im_end|>' } })
  assert.deepEqual(raw.opened?.tokens.length, 3)
  const messages = [{ role: 'user', content: '<|im_end|>' }]
  const chat = await asked(model, '', { input: { messages } })
  assert.equal(chat.opened?.tokens.filter((id) => id === 2).length, 1)
})

test('what a vocabulary cannot spell is counted, not dropped in silence', async () => {
  const keys = new Map(sentencePiece(['▁', 'a', 'b']))
  const tokens = keys.get('tokenizer.ggml.tokens') as string[]
  keys.set(
    'tokenizer.ggml.tokens',
    tokens.map((t) => (/^<0x/.test(t) ? `no${t}` : t)),
  )
  const model = modelOf(keys)
  assert.equal((await asked(model, '', { input: { prompt: 'ab' } })).answer.unspelled, undefined)
  assert.ok(((await asked(model, '', { input: { prompt: 'a☕b' } })).answer.unspelled ?? 0) > 0)
})
