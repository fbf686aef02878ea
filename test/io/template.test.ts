import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TemplateWorker } from '../../services/io/template.ts'

const entry = new URL('./entry.ts', import.meta.url)
const withWorker = async (work: (worker: TemplateWorker) => Promise<void>, limitMs?: number) => {
  const worker = new TemplateWorker(entry, limitMs)
  try {
    await work(worker)
  } finally {
    await worker.close()
  }
}
/** Variables that came from outside. */
const given = (foreign: Record<string, unknown> = {}) => ({ messages: [], foreign, own: {} })
const refused = (code: string, sentence: RegExp) => (error: unknown) => {
  assert.equal((error as { code?: unknown }).code, code, String(error))
  assert.match((error as Error).message, sentence)
  return true
}

test('templates are rendered, several at once and one after the other', () =>
  withWorker(async (worker) => {
    const texts = await Promise.all([
      worker.render('{{ a }}!', given({ a: 'x' })),
      worker.render('{{ a }}!', given({ a: 'y\ue000\ud800' })),
      worker.render("{{ strftime_now('%Y') | length }}", given()),
    ])
    assert.deepEqual(texts, [
      { text: 'x!', foreign: [0, 1] },
      { text: 'y\ue000\ud800!', foreign: [0, 3] },
      { text: '4', foreign: [] },
    ])
  }))

test('closed while one starts and others wait: all fail, and no thread is started for them', async () => {
  const worker = new TemplateWorker(entry)
  const first = worker.render('one', given())
  const others = [worker.render('two', given()), worker.render('three', given())]
  await worker.close()
  for (const rendered of [first, ...others])
    await assert.rejects(rendered, refused('cancelled', /was stopped/))
  assert.equal(worker.running, false)
  await assert.rejects(worker.render('four', given()), refused('cancelled', /was stopped/))
  assert.equal(worker.running, false)
})

test('an endless template is stopped, and the next one is rendered', () =>
  withWorker(async (worker) => {
    const endless =
      '{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}'
    const late = worker.render(endless, given())
    const next = worker.render('ok', given())
    await assert.rejects(late, refused('timeout', /was stopped: it took more than 0\.2 s/))
    assert.equal((await next).text, 'ok')
  }, 200))

test('a template that takes all memory or writes without end is refused', () =>
  withWorker(async (worker) => {
    const memory =
      '{% set ns = namespace(a=[1]) %}{% for i in range(60) %}{% set ns.a = ns.a + ns.a %}{% endfor %}'
    await assert.rejects(worker.render(memory, given()), { name: 'MdiError' })
    const long = '{% for i in range(50000) %}{{ text }}{% endfor %}'
    await assert.rejects(
      worker.render(long, given({ text: 'x'.repeat(100) })),
      refused('too-long', /too long a prompt/),
    )
    assert.equal((await worker.render('ok', given())).text, 'ok')
  }, 20_000))

test("a template's own exception and a template that is none: one sentence each", () =>
  withWorker(async (worker) => {
    await assert.rejects(
      worker.render("{{ raise_exception('roles must alternate') }}", given()),
      refused('bad-value', /refuses this conversation: roles must alternate$/),
    )
    await assert.rejects(
      worker.render('{% for %}', given()),
      refused('unsupported', /cannot be read: /),
    )
    await assert.rejects(
      worker.render("{{ ''.constructor.constructor('return process')() }}", given()),
      { name: 'MdiError' },
    )
  }))

test('closing stops a template that is being rendered', async () => {
  const worker = new TemplateWorker(entry, 60_000)
  await worker.render('ok', given())
  const endless = worker.render(
    '{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}',
    given(),
  )
  const ended = assert.rejects(endless, { code: 'cancelled' })
  await new Promise((resolve) => setImmediate(resolve))
  await worker.close()
  await ended
})
