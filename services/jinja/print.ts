/** Values as texts: Python's `str` and `repr`, and `tojson`. */
import { TemplateError } from './errors.ts'
import { Text } from './text.ts'
import {
  Attributed,
  Dict,
  Float,
  Lazy,
  Namespace,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from './values.ts'

/** A float as Python writes it. */
export const floatText = (n: number): string => {
  if (Number.isNaN(n)) return 'nan'
  if (!Number.isFinite(n)) return n < 0 ? '-inf' : 'inf'
  if (Object.is(n, -0)) return '-0.0'
  const size = Math.abs(n)
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [mantissa = '', exponent = ''] = n.toExponential().split('e')
    const sign = exponent.startsWith('-') ? '-' : '+'
    return `${mantissa}e${sign}${exponent.replace(/^[+-]/, '').padStart(2, '0')}`
  }
  return Number.isInteger(n) ? `${n}.0` : String(n)
}

const integerText = (n: number): string => (Math.abs(n) < 1e21 ? String(n) : BigInt(n).toString())

/** What is printed. */
export const toText = (value: Value): Text => {
  if (value instanceof Text) return value
  if (value instanceof Undefined) return Text.empty
  return repr(value)
}

const named: Readonly<Record<string, string>> = {
  ...{ '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' },
}

const hex = (code: number): string => {
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`
  return `\\U${code.toString(16).padStart(8, '0')}`
}

const reprText = (text: Text): Text => {
  const quote = text.value.includes("'") && !text.value.includes('"') ? '"' : "'"
  const inner = text.map((character) => {
    if (character === quote) return `\\${quote}`
    const known = named[character]
    if (known !== undefined) return known
    return character !== ' ' && /[\p{C}\p{Z}]/u.test(character)
      ? hex(character.codePointAt(0) as number)
      : character
  })
  const mark = new Text(quote)
  return Text.join([mark, inner, mark])
}

const commas = new Text(', ')

const listed = (open: string, items: readonly Value[], close: string): Text =>
  Text.join([new Text(open), commas.between(items.map(repr)), new Text(close)])

/** A value as Python would write it in a program. */
export const repr = (value: Value): Text => {
  if (value instanceof Text) return reprText(value)
  if (value === null) return new Text('None')
  if (typeof value === 'boolean') return new Text(value ? 'True' : 'False')
  if (typeof value === 'number') return new Text(integerText(value))
  if (value instanceof Float) return new Text(floatText(value.value))
  if (Array.isArray(value)) return listed('[', value, ']')
  if (value instanceof Tuple) return listed('(', value.items, value.items.length === 1 ? ',)' : ')')
  if (value instanceof View)
    return value.shown === undefined
      ? listed(`${value.name}([`, value.items, '])')
      : new Text(value.shown)
  if (value instanceof Undefined) return new Text('Undefined')
  if (value instanceof Dict) {
    const colon = new Text(': ')
    const pairs = value.entries().map(([k, v]) => Text.join([repr(k), colon, repr(v)]))
    return Text.join([new Text('{'), commas.between(pairs), new Text('}')])
  }
  if (value instanceof Lazy) return new Text(`<${value.name} object>`)
  if (value instanceof Namespace) return new Text('<Namespace>')
  if (value instanceof Attributed) return new Text(`<${value.name}>`)
  return new Text(`<function ${value.name}>`)
}

export type JsonForm = {
  /** Spaces of each level, or a text; undefined: all in one line. */
  indent?: string | undefined
  ascii: boolean
  separators?: [Text, Text] | undefined
  sorted: boolean
}

const escapes: Readonly<Record<string, string>> = {
  ...{ '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\f': '\\f' },
  '\b': '\\b',
}

const jsonText = (text: Text, ascii: boolean): Text => {
  const unit = (code: number) => `\\u${code.toString(16).padStart(4, '0')}`
  const inner = text.map((character) => {
    const known = escapes[character]
    if (known !== undefined) return known
    const beyond = ascii && (character > '~' || character.length > 1)
    if (character >= ' ' && !beyond) return character
    return Array.from({ length: character.length }, (_, i) => unit(character.charCodeAt(i))).join(
      '',
    )
  })
  const quote = new Text('"')
  return Text.join([quote, inner, quote])
}

const jsonFloat = (n: number): string => {
  if (Number.isNaN(n)) return 'NaN'
  if (!Number.isFinite(n)) return n < 0 ? '-Infinity' : 'Infinity'
  return floatText(n)
}

const jsonKey = (key: Value, form: JsonForm): Text => {
  if (key instanceof Text) return jsonText(key, form.ascii)
  if (key === null || typeof key === 'boolean' || typeof key === 'number' || key instanceof Float)
    return Text.join([new Text('"'), toJson(key, form), new Text('"')])
  throw new TemplateError(`keys must be str, int, float, bool or None, not ${typeName(key)}`)
}

/** A value as Python's `json.dumps` writes it. @throws TemplateError */
export const toJson = (value: Value, form: JsonForm, level = 0): Text => {
  if (value === null) return new Text('null')
  if (typeof value === 'boolean') return new Text(value ? 'true' : 'false')
  if (typeof value === 'number') return new Text(integerText(value))
  if (value instanceof Float) return new Text(jsonFloat(value.value))
  if (value instanceof Text) return jsonText(value, form.ascii)
  const { indent } = form
  const between = form.separators?.[0] ?? new Text(indent === undefined ? ', ' : ',')
  const colon = form.separators?.[1] ?? new Text(': ')
  const wrap = (open: string, pieces: Text[], close: string): Text => {
    if (pieces.length === 0) return new Text(open + close)
    const line = (depth: number) =>
      new Text(indent === undefined ? '' : `\n${indent.repeat(depth)}`)
    const inner = Text.join([between, line(level + 1)]).between(pieces)
    return Text.join([new Text(open), line(level + 1), inner, line(level), new Text(close)])
  }
  const items = Array.isArray(value) ? value : value instanceof Tuple ? value.items : undefined
  if (items)
    return wrap(
      '[',
      items.map((item) => toJson(item, form, level + 1)),
      ']',
    )
  if (!(value instanceof Dict))
    throw new TemplateError(`Object of type ${typeName(value)} is not JSON serializable`)
  const entries = value.entries()
  if (form.sorted) entries.sort(([a], [b]) => (toText(a).value < toText(b).value ? -1 : 1))
  const pairs = entries.map(([key, item]) =>
    Text.join([jsonKey(key, form), colon, toJson(item, form, level + 1)]),
  )
  return wrap('{', pairs, '}')
}
