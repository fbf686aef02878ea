/** What of templates cannot be seen in their text alone: who wrote it, dates, bounds. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { strftime } from '../../services/jinja/strftime.ts'
import { Template } from '../../services/jinja/template.ts'
import { Text } from '../../services/jinja/text.ts'
import { fromJson } from '../../services/jinja/values.ts'

const time = { year: 2026, month: 3, day: 1, hour: 0, minute: 5, second: 9, microsecond: 42 }
/** A text with what the template did not write in brackets. */
const marked = (template: string, x: unknown): string => {
  const { value, foreign } = new Template(template).render(
    new Map([['x', fromJson(x)]]),
    () => time,
  )
  let shown = ''
  let at = 0
  for (let i = 0; i < foreign.length; i += 2) {
    shown += `${value.slice(at, foreign[i])}[${value.slice(foreign[i], foreign[i + 1])}]`
    at = foreign[i + 1] as number
  }
  return shown + value.slice(at)
}

test('whoever wrote a character is known through every operation, and seen by none', () => {
  const rows: [template: string, x: unknown, shown: string][] = [
    ["a{{ x }}b{{ 'c' + x }}", '<b>', 'a[<b>]bc[<b>]'],
    ["{{ x.split('</t>')[-1].lstrip('\\n') }}", 'a</t>\nb', '[b]'],
    ["{{ '</t>' in x }}{{ x == '</t>' }}{{ x | length }}", '</t>', 'TrueTrue4'],
    ["{{ x.replace('b', 'BB') }}", 'abc', '[a]BB[c]'],
    ["{{ 'abc'.replace('b', x) }}", 'XY', 'a[XY]c'],
    ["{{ x.split(',') | join('-') }}", 'a,b', '[a]-[b]'],
    ['{{ x | upper }}{{ x | title }}{{ x.capitalize() }}', 'aß', '[ASSAßAß]'],
    ["{{ '%s=%5s' % ('k', x) }}{{ '{}!'.format(x) }}", 'v', 'k=    [vv]!'],
    ['{{ x | tojson }}', { k: '"<' }, '{"[k]": "[\\"<]"}'],
    ['{{ x }}', ["a'b"], '["[a\'b]"]'],
    ['{{ x | indent(2) }}', 'a\nb', '[a]\n  [b]'],
    ['{% set y %}<{{ x }}>{% endset %}{{ y[:2] ~ y[-1] }}', 'ab', '<[a]>'],
    ['{% macro f(a) %}({{ a }}){% endmacro %}{{ f(x) }}{{ f("x") }}', 'a', '([a])(x)'],
    ['{{ x[::-1] }}{{ x | first }}{{ x * 2 }}', '😀b', '[b😀😀😀b😀b]'],
    [
      "{{ x | trim('<>') }}{{ x | truncate(5, true, '..') }}",
      '<abcdefghijkl>',
      '[abcdefghijkl<ab]..',
    ],
    ["{{ x.partition('|')[1] }}{{ x.center(4, '*') }}", 'a|', '|*[a|]*'],
    ['{% for k, v in x.items() %}{{ k }}{{ v }};{% endfor %}', { a: 1, b: 'c' }, '[a]1;[bc];'],
  ]
  for (const [template, x, shown] of rows) assert.equal(marked(template, x), shown, template)
})

test('nothing many times is nothing, at once', () => {
  assert.equal(marked("{{ '' * 9999999999 }}{{ [] * 9999999999 }}{{ 'a' * -1 }}", 0), '[]')
})

test('ranges of foreign text are as short as can be', () => {
  const text = Text.join([Text.foreign('ab'), Text.foreign('c'), new Text('d'), Text.foreign('')])
  assert.deepEqual(text.foreign, [0, 3])
  assert.deepEqual(text.slice(2, 4).foreign, [0, 1])
  assert.deepEqual(Text.join([]).foreign, [])
})

test('every code of strftime is English and as in Python', () => {
  const rows: [format: string, text: string][] = [
    ['%a %A %b %B %h', 'Sun Sunday Mar March Mar'],
    ['%d %e %-d %_d %j %m %-m %y %Y %C', '01  1 1  1 060 03 3 26 2026 20'],
    ['%H %I %k %l %M %S %f %p %P', '00 12  0 12 05 09 000042 AM am'],
    ['%w %u %U %W %V %G %g', '0 7 09 08 09 2026 26'],
    [
      '%c|%x|%X|%D|%F|%T|%R|%r',
      'Sun Mar  1 00:05:09 2026|03/01/26|00:05:09|03/01/26|2026-03-01|00:05:09|00:05|12:05:09 AM',
    ],
    ['%%|%z|%Z|%n|%t|%Q|%', '%|||\n|\t|%Q|%'],
    ['%^a %#p %03d', 'SUN am 001'],
  ]
  for (const [format, text] of rows) assert.equal(strftime(format, time), text, format)
  // Weeks at the turn of years.
  const day = (year: number, month: number, d: number) => ({ ...time, year, month, day: d })
  assert.equal(strftime('%G-W%V %j', day(2027, 1, 1)), '2026-W53 001')
  assert.equal(strftime('%G-W%V %j', day(2024, 12, 30)), '2025-W01 365')
  assert.equal(strftime('%A', day(2000, 2, 29)), 'Tuesday')
})

test("strftime_now tells the wall clock's time, in its zone and in English", () => {
  const program = `
    import { renderTemplate } from './services/io/template.ts'
    import { Template } from './services/jinja/template.ts'
    const given = { messages: [], foreign: {}, own: {} }
    const { text } = renderTemplate(new Template("{{ strftime_now('%d %B %Y %H') }}"), given)
    const now = new Date(Date.now() + 14 * 3_600_000)
    const months = 'January February March April May June July August September October November December'
    const two = (n) => String(n).padStart(2, '0')
    const wanted = two(now.getUTCDate()) + ' ' + months.split(' ')[now.getUTCMonth()] + ' ' + now.getUTCFullYear()
    console.log(text.startsWith(wanted + ' '), text, wanted)`
  const env = {
    ...process.env,
    TZ: 'Pacific/Kiritimati',
    LANG: 'de_DE.UTF-8',
    LC_ALL: 'de_DE.UTF-8',
  }
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: new URL('../..', import.meta.url),
    env,
    encoding: 'utf8',
  })
  assert.match(said, /^true /)
})

test('what cannot be read is told with its line, and nothing ends the process', () => {
  const refused: [template: string, sentence: RegExp][] = [
    ['a\n{% include "x" %}', /the tag 'include' is not supported \(line 2\)/],
    ['{% if true %}a', /endif is missing/],
    ['{% endfor %}', /endfor/],
    ['{{ 1 + }}', /expected an expression/],
    ['{{ x', /Unexpected end of template/],
    ['{# a', /Missing end of comment/],
    ['{% raw %}a', /Missing end of raw/],
    ["{{ 'a }}", /unexpected char/],
    ['{{ (1 }}', /unexpected|expected/],
    ['{% break %}', /outside of a loop/],
    ['{% set true = 1 %}', /can't assign/],
    [`{{ ${'('.repeat(5_000)}1${')'.repeat(5_000)} }}`, /nested too deeply/],
    [`{{ ${'-'.repeat(5_000)}1 }}`, /nested too deeply/],
    [`{{ ${'not '.repeat(5_000)}1 }}`, /nested too deeply/],
  ]
  for (const [template, message] of refused)
    assert.throws(() => new Template(template), { name: 'TemplateSyntaxError', message }, template)
  const fails: [template: string, sentence: RegExp][] = [
    ['{{ range(100001) }}', /Range too big/],
    ["{{ 'x' * 100000000 }}", /too long/],
    ['{{ [1] * 100000000 }}', /too long/],
    ["{{ 'x'.center(300000000) }}{{ 'x'.zfill(300000000) }}", /too long/],
    ["{{ '%300000000d' % 1 }}", /too long/],
    ["{{ '{:300000000}'.format('x') }}", /too long/],
    ["{{ 'x' | indent(300000000) }}", /too long/],
    ['{{ [1] | batch(300000000, 0) | list }}', /too long/],
    ['{{ [1] | tojson(indent=300000000) }}', /too long/],
    [
      `{% set ns = namespace(a=[1]) %}{% for i in range(60) %}${'{% set ns.a = ns.a + ns.a %}'}{% endfor %}`,
      /too long/,
    ],
    [
      `{% set ns = namespace(a='a') %}{% for i in range(60) %}${'{% set ns.a = ns.a + ns.a %}'}{% endfor %}`,
      /too long/,
    ],
    [
      `{% set ns = namespace(a='aa') %}{% for i in range(60) %}${"{% set ns.a = ns.a.replace('', ns.a) %}"}{% endfor %}`,
      /too long/,
    ],
    ['{{ 1 // 0 }}', /division by zero/],
    ['{{ nothing() }}', /'nothing' is undefined/],
    ["{{ 'a'.constructor() }}", /is undefined/],
    ["{{ x.__proto__ }}{{ x['__proto__'].a }}", /is undefined/],
  ]
  for (const [template, message] of fails)
    assert.throws(() => marked(template, {}), { name: 'TemplateError', message }, template)
})
