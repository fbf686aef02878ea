/** What an import finds out about templates and tokenizers, before anybody waits for an answer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TemplateWorker } from '../../services/io/template.ts'
import { tryTemplate } from '../../services/model/templatecheck.ts'
import { textSpecFromGguf } from '../../services/model/text.ts'
import { checkText, notesOnText } from '../../services/model/textcheck.ts'
import { byteLevel, sentencePiece } from '../fakes/vocabularies.ts'

const entry = new URL('../io/entry.ts', import.meta.url)
const tried = async (template: string | undefined, limitMs?: number, more = {}) => {
  const worker = new TemplateWorker(entry, limitMs)
  const keys = byteLevel({ ...(template && { 'tokenizer.chat_template': template }), ...more })
  try {
    return await tryTemplate('some.gguf', textSpecFromGguf(keys), worker)
  } finally {
    await worker.close()
  }
}

test('a template that cannot be used is told at import, with the way out', async () => {
  const refused: [template: string, sentence: RegExp][] = [
    [
      '{% include "x" %}',
      /^some\.gguf: .*cannot be read: .*'include' is not supported.*--plain-chat/,
    ],
    ['{% if x %}', /cannot be read/],
    ['{{ messages | nothing }}', /cannot be read: No filter named 'nothing'/],
    ['{{ messages[0].nothing.more }}', /refuses this conversation: .*undefined.*--plain-chat/],
    ["{{ raise_exception('never') }}", /refuses this conversation: never\. With --plain-chat/],
  ]
  for (const [template, message] of refused)
    await assert.rejects(tried(template), { code: 'bad-value', message }, template)
  const endless = '{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}'
  await assert.rejects(tried(endless, 200), { message: /took more than 0\.2 s.*--plain-chat/ })
})

test('templates that take only some conversations are fine', async () => {
  const single = "{% if messages | length > 1 %}{{ raise_exception('one question') }}{% endif %}a"
  assert.equal((await tried(single)).chatTemplate, single)
  assert.equal((await tried(undefined)).chatTemplate, undefined)
})

test('the token behind an answer ends answers, though the file does not say so', async () => {
  const turns = (end: string) =>
    `{% for m in messages %}{{ m.role + ': ' + m.content${end} }}{% endfor %}`
  const none = { 'tokenizer.ggml.eos_token_id': 0 }
  assert.deepEqual((await tried(turns(''), undefined, none)).endIds, [0, 2])
  assert.deepEqual((await tried(turns(" + '\\n[/INST]'"), undefined, none)).endIds, [0, 2, 4])
  assert.deepEqual((await tried(turns(" + 'x[/INST]'"), undefined, none)).endIds, [0, 2])
  // The beginning-of-text token begins the next turn.
  assert.deepEqual((await tried(turns(" + '<|im_start|>'"), undefined, none)).endIds, [0, 2])
})

test('a tokenizer that may disappoint is told', () => {
  const notes = (keys: ReturnType<typeof byteLevel>) =>
    notesOnText('some.gguf', textSpecFromGguf(keys), keys)
  assert.deepEqual(notes(byteLevel()), [])
  assert.deepEqual(notes(sentencePiece(['▁a'])), [])
  const old = new Map(byteLevel())
  old.delete('tokenizer.ggml.pre')
  assert.match(
    notes(old).join(),
    /does not say how its tokenizer cuts text \(tokenizer\.ggml\.pre\)/,
  )
  const few = new Map(sentencePiece(['▁a']))
  const tokens = [...(few.get('tokenizer.ggml.tokens') as string[])]
  few.set(
    'tokenizer.ggml.tokens',
    tokens.map((t) => (/^<0x[89]/.test(t) ? `no${t}` : t)),
  )
  assert.match(notes(few).join(), /cannot spell every character \(it lacks 32 of the bytes/)
})

test('token ids beyond the vocabulary are refused at once, wherever they stand', () => {
  const spec = textSpecFromGguf(byteLevel())
  const json = spec.tokenizer as { added_tokens: object[]; model: { vocab: object } }
  const wrong = [2_147_483_647, 4_294_967_296, -1, 1.5, '7', null]
  for (const id of wrong) {
    const added = { ...json, added_tokens: [...json.added_tokens, { id, content: '<x>' }] }
    const vocab = { ...json, model: { ...json.model, vocab: { ...json.model.vocab, x: id } } }
    for (const tokenizer of [added, vocab])
      assert.throws(
        () => checkText('some', { ...spec, tokenizer }, 261),
        { code: 'bad-file', message: /token/ },
        String(id),
      )
  }
})

test('regular expressions that would take for ever are refused', () => {
  const spec = textSpecFromGguf(byteLevel())
  const json = spec.tokenizer as object
  const split = (Regex: string) => ({
    ...{ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false },
  })
  const slow = ['(a+)+$', '(?:\\p{L}*)*x', '(\\s|\\s+)*$', '([a-z]+|\\d)+!', '(a|aa)+$', '(.*)\\1']
  for (const regex of slow) {
    const inside = { ...json, pre_tokenizer: { type: 'Sequence', pretokenizers: [split(regex)] } }
    const normal = {
      ...json,
      normalizer: { type: 'Replace', pattern: { Regex: regex }, content: '' },
    }
    for (const tokenizer of [inside, normal])
      assert.throws(
        () => checkText('some', { ...spec, tokenizer }, 261),
        { code: 'unsupported', message: /regular expression/ },
        regex,
      )
  }
  const good = [
    '\\p{N}{1,3}',
    "(?i:'s|'t)|[^\\r\\n\\p{L}]?\\p{L}+|\\s+(?!\\S)",
    '(?=(\\d{3})+(?!\\d))',
    '( |\\n)+',
  ]
  for (const regex of good)
    checkText('some', { ...spec, tokenizer: { ...json, pre_tokenizer: split(regex) } }, 261)
})
