/** Filters that make a text or a number of one value. */
import { TemplateError } from './errors.ts'
import { fixed, formatPercent } from './format.ts'
import { bind, bounded, flag, integer, number, text } from './given.ts'
import { toJson, toText } from './print.ts'
import { capitalize, lower, pad, replace, soft, splitLines, strip, upper } from './strings.ts'
import { Text } from './text.ts'
import {
  Dict,
  type Filter,
  Float,
  numberOf,
  orElse,
  Tuple,
  truthy,
  Undefined,
  type Value,
} from './values.ts'

const title = (of: Text): Text => {
  let begins = true
  return of.map((character) => {
    const separates = /[-\s({[<]/.test(character)
    const made = begins && !separates ? character.toUpperCase() : character.toLowerCase()
    begins = separates
    return made
  })
}

const indent: Filter = (value, given) => {
  const [width, first, blank] = bind('indent', given, ['width', 'first', 'blank'])
  const by = width instanceof Text ? width : new Text(' '.repeat(bounded(integer(width, 4))))
  const newline = new Text('\n')
  const lines = splitLines(Text.join([text(value), newline]), false)
  const indented = lines.map((line, i) =>
    i > 0 && (flag(blank, false) || line.value !== '') ? Text.join([by, line]) : line,
  )
  const whole = newline.between(indented)
  return flag(first, false) ? Text.join([by, whole]) : whole
}

const truncate: Filter = (value, given) => {
  const parameters = ['length', 'killwords', 'end', 'leeway']
  const [length, kill, end, leeway] = bind('truncate', given, parameters)
  const most = integer(length, 255)
  const tail = end === undefined ? new Text('...') : text(end)
  const of = text(value)
  if (most < tail.length) throw new TemplateError(`expected length >= ${tail.length}, got ${most}`)
  if (of.length <= most + integer(leeway, 5)) return of
  const cut = of.range(0, most - tail.length)
  if (flag(kill, false)) return Text.join([cut, tail])
  const space = cut.value.lastIndexOf(' ')
  return Text.join([space < 0 ? cut : cut.slice(0, space), tail])
}

/** Python's `int(text, base)`; undefined where it is none. */
const parseInteger = (of: string, base: number): number | undefined => {
  const found = /^([+-]?)(?:0([xob]))?([\da-z]+(?:_[\da-z]+)*)$/i.exec(of.trim())
  if (!found) return undefined
  const [, sign, prefix, digits = ''] = found
  const bases: Record<string, number> = { x: 16, o: 8, b: 2 }
  if (prefix !== undefined && bases[prefix.toLowerCase()] !== base) return undefined
  const plain = digits.replaceAll('_', '').toLowerCase()
  const valid = [...plain].every((d) => Number.parseInt(d, 36) < base)
  if (!valid) return undefined
  const n = Number.parseInt(plain, base)
  return sign === '-' && n !== 0 ? -n : n
}

/** Python's `float(text)`; undefined where it is none. */
const parseFloat_ = (of: string): number | undefined => {
  const plain = of.trim().toLowerCase()
  if (/^[+-]?(inf|infinity)$/.test(plain))
    return plain.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  if (/^[+-]?nan$/.test(plain)) return Number.NaN
  const valid = /^[+-]?(\d+(_\d+)*\.?(\d+(_\d+)*)?|\.\d+(_\d+)*)(e[+-]?\d+)?$/.test(plain)
  return valid ? Number(plain.replaceAll('_', '')) : undefined
}

const toInteger: Filter = (value, given) => {
  const [otherwise, base] = bind('int', given, ['default', 'base'])
  const usual = orElse(otherwise, 0)
  const n = numberOf(value)
  if (n !== undefined) return Number.isFinite(n) ? Math.trunc(n) + 0 : usual
  if (!(value instanceof Text)) {
    if (value instanceof Undefined) throw value.fail()
    return usual
  }
  const whole = parseInteger(value.value, integer(base, 10))
  if (whole !== undefined) return whole
  const float = parseFloat_(value.value)
  return float !== undefined && Number.isFinite(float) ? Math.trunc(float) + 0 : usual
}

const toFloat: Filter = (value, given) => {
  const [otherwise] = bind('float', given, ['default'])
  const usual = orElse(otherwise, new Float(0))
  const n = numberOf(value) ?? (value instanceof Text ? parseFloat_(value.value) : undefined)
  if (value instanceof Undefined) throw value.fail()
  return n === undefined ? usual : new Float(n)
}

/** To so many places, halves to even, as Python rounds. */
const roundEven = (n: number, places: number): number => {
  if (!Number.isFinite(n)) return n
  if (places < 0) {
    const unit = 10 ** -places
    const quotient = n / unit
    const floor = Math.floor(quotient)
    const rest = quotient - floor
    const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0)
    return (floor + (up ? 1 : 0)) * unit
  }
  return places > 60 ? n : Math.sign(n) * Number(fixed(Math.abs(n), places))
}

const round: Filter = (value, given) => {
  const [precision, method] = bind('round', given, ['precision', 'method'])
  const n = number(value)
  const places = integer(precision, 0)
  const how = method === undefined ? 'common' : text(method).value
  if (how === 'common') {
    const rounded = roundEven(n, places)
    return value instanceof Float ? new Float(rounded) : rounded
  }
  if (how !== 'ceil' && how !== 'floor')
    throw new TemplateError('method must be common, ceil or floor')
  return new Float(Math[how](n * 10 ** places) / 10 ** places)
}

const tojson: Filter = (value, given) => {
  const parameters = ['ensure_ascii', 'indent', 'separators', 'sort_keys']
  const [ascii, indented, separators, sorted] = bind('tojson', given, parameters)
  const pair =
    separators instanceof Tuple ? separators.items : Array.isArray(separators) ? separators : null
  const by =
    indented === undefined || indented === null
      ? undefined
      : indented instanceof Text
        ? indented.value
        : ' '.repeat(bounded(integer(indented, 0)))
  return toJson(value, {
    ascii: flag(ascii, false),
    indent: by,
    sorted: flag(sorted, false),
    ...(pair && { separators: [text(pair[0]), text(pair[1])] as [Text, Text] }),
  })
}

const html: Readonly<Record<string, string>> = {
  ...{ '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&#39;', '"': '&#34;' },
}
const escapeHtml: Filter = (value) => soft(value).map((character) => html[character] ?? character)

const urlencode: Filter = (value) => {
  const quote = (of: Text, safe: string): Text =>
    of.map((c) =>
      /[A-Za-z0-9_.~-]/.test(c) || safe.includes(c)
        ? c
        : [...Buffer.from(c)]
            .map((b) => `%${b.toString(16).toUpperCase().padStart(2, '0')}`)
            .join(''),
    )
  if (!(value instanceof Dict)) return quote(soft(value), '/')
  const pairs = value
    .entries()
    .map(([k, v]) => Text.join([quote(soft(k), ''), new Text('='), quote(soft(v), '')]))
  return new Text('&').between(pairs)
}

const format: Filter = (value, { positional, named }) => {
  const entries = [...named].map(([key, item]): [Value, Value] => [new Text(key), item])
  const values = named.size > 0 ? new Dict(entries) : new Tuple(positional)
  return formatPercent(soft(value), values)
}

export const textFilters: Readonly<Record<string, Filter>> = {
  upper: (value) => upper(soft(value)),
  lower: (value) => lower(soft(value)),
  capitalize: (value) => capitalize(soft(value)),
  title: (value) => title(soft(value)),
  string: soft,
  safe: (value) => (value instanceof Undefined ? Text.empty : toText(value)),
  trim: (value, given) => {
    const [characters] = bind('trim', given, ['chars'])
    const set = characters === undefined || characters === null ? null : text(characters).value
    return strip(soft(value), set)
  },
  replace: (value, given) => {
    const [from, to, most] = bind('replace', given, ['old', 'new', 'count'], 2)
    const count = most === undefined || most === null ? -1 : integer(most, -1)
    return replace(toText(value), toText(from as Value).value, toText(to as Value), count)
  },
  indent,
  truncate,
  center: (value, given) => {
    const [width] = bind('center', given, ['width'])
    return pad(soft(value), integer(width, 80), 'both', new Text(' '))
  },
  wordcount: (value) => soft(value).value.match(/[\p{L}\p{N}_]+/gu)?.length ?? 0,
  int: toInteger,
  float: toFloat,
  round,
  abs: (value) => {
    const n = Math.abs(number(value))
    return value instanceof Float ? new Float(n) : n
  },
  tojson,
  escape: escapeHtml,
  e: escapeHtml,
  forceescape: escapeHtml,
  urlencode,
  format,
  default: (value, given) => {
    const [otherwise, boolean] = bind('default', given, ['default_value', 'boolean'])
    const lacks = value instanceof Undefined || (flag(boolean, false) && !truthy(value))
    return lacks ? orElse(otherwise, Text.empty) : value
  },
  d: (value, given) => (textFilters.default as Filter)(value, given),
  striptags: (value) => {
    const plain = soft(value).value.replace(/<!--.*?-->|<[^>]*>/gs, '')
    return Text.foreign(plain.split(/\s+/).filter(Boolean).join(' '))
  },
}
