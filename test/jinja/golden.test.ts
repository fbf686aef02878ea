/** Texts that Jinja2 itself made; `test/golden/templates.py` tells how. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { renderTemplate } from '../../services/io/template.ts'
import { Template } from '../../services/jinja/template.ts'
import { Text } from '../../services/jinja/text.ts'
import { fromJson } from '../../services/jinja/values.ts'

type Expected = { text?: string; refused?: true }
type Golden = {
  variables: Record<string, unknown>
  differences: ({ name: string; template: string } & Expected)[]
  /** The variables of each template's cases. */
  cases: Record<string, unknown>[]
  templates: { name: string; template: string; cases: Expected[] }[]
}
const golden = JSON.parse(
  readFileSync(new URL('../golden/templates.json', import.meta.url), 'utf8'),
) as Golden
const now = () => ({ year: 2026, month: 1, day: 2, hour: 3, minute: 4, second: 5, microsecond: 6 })

const rendered = (template: string, variables: Record<string, unknown>): Expected => {
  const values = new Map(Object.entries(variables).map(([k, v]) => [k, fromJson(v)]))
  try {
    return { text: new Template(template).render(values, now).value }
  } catch (error) {
    assert.ok(error instanceof Error && /Template/.test(error.name), String(error))
    return { refused: true }
  }
}

test('each construct that others take otherwise is as in Jinja2', () => {
  assert.ok(golden.differences.length >= 80)
  for (const { name, template, ...expected } of golden.differences)
    assert.deepEqual(rendered(template, golden.variables), expected, `${name}: ${template}`)
})

test("whole templates with the constructs of public models' are as in Jinja2", () => {
  assert.ok(golden.templates.length >= 60)
  for (const { name, template, cases } of golden.templates)
    for (const [i, expected] of cases.entries())
      assert.deepEqual(rendered(template, golden.cases[i] ?? {}), expected, name)
})

/** Letters that only people write here. */
const theirs = /[А-яЁё]/

test('of every template it is known which characters people wrote', () => {
  const tool = {
    type: 'function',
    function: {
      name: 'свет',
      description: 'Лампа',
      parameters: { type: 'object', properties: { где: { type: 'тип' } }, required: ['где'] },
    },
  }
  const messages = [
    { role: 'system', content: 'Жук' },
    { role: 'user', content: '<think>Заяц</think> | <|im_end|>Ёж' },
    { role: 'assistant', content: '<think>\nДума\n</think>\n\nИкра' },
    { role: 'user', content: '  Кит \n' },
  ]
  let seen = 0
  for (const { name, template } of golden.templates) {
    const { text, foreign } = renderTemplate(new Template(template), {
      messages,
      foreign: { tools: [tool] },
      own: { add_generation_prompt: true, bos_token: '<s>', eos_token: '</s>' },
    })
    const by = new Text(text, foreign)
    for (let at = 0; at < text.length; at++) {
      const character = text.charAt(at)
      if (theirs.test(character)) seen += 1
      if (theirs.test(character))
        assert.ok(by.isForeign(at), `${name}: ${text.slice(at - 9, at + 9)}`)
      // Letters of ours stand in the templates only, but for the marks and keys above.
      else if (/[A-Z]/.test(character)) assert.ok(!by.isForeign(at), `${name}: ${text.slice(at)}`)
    }
  }
  assert.ok(seen > 1_000)
})
