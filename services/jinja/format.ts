/** Python's two ways of putting values into a text: `%` and `str.format`. */
import { TemplateError } from './errors.ts'
import { bounded } from './given.ts'
import { floatText, repr, toText } from './print.ts'
import { Text } from './text.ts'
import { Dict, Float, type Given, numberOf, Tuple, type Value } from './values.ts'

const need = (value: Value, what: string): number => {
  const found = numberOf(value)
  if (found === undefined) throw new TemplateError(`%${what} format: a number is required`)
  return found
}

/** Thousands apart, by a mark. */
const grouped = (digits: string, mark: string): string => {
  const [whole = '', rest] = digits.split('.')
  const parts = whole.replace(/\B(?=(\d{3})+(?!\d))/g, mark)
  return rest === undefined ? parts : `${parts}.${rest}`
}

/** A size with so many places; halves go to the even digit, as in Python. */
export const fixed = (size: number, places: number): string => {
  const rounded = size.toFixed(Math.min(100, places))
  const more = size.toFixed(Math.min(100, places + 40))
  const cut = more.length - (places === 0 ? 41 : 40)
  // `toFixed` takes exact halves up: down again where that made an odd digit.
  if (places > 60 || !/^\.?50*$/.test(more.slice(cut))) return rounded
  return Number(rounded.at(-1)) % 2 === 1 ? more.slice(0, cut) : rounded
}

/** A float with so many significant digits, as `g` has it. */
const general = (n: number, precision: number): string => {
  if (n === 0) return '0'
  const digits = Math.max(1, precision)
  const exponent = Number(n.toExponential(digits - 1).split('e')[1])
  if (exponent < -4 || exponent >= digits) return exponential(n, digits - 1, true)
  const fixed = n.toFixed(Math.max(0, digits - 1 - exponent))
  return fixed.includes('.') ? fixed.replace(/\.?0+$/, '') : fixed
}

const exponential = (n: number, precision: number, short = false): string => {
  const [mantissa = '', exponent = ''] = n.toExponential(precision).split('e')
  const value = short && mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa
  return `${value}e${exponent[0] === '-' ? '-' : '+'}${exponent.slice(1).padStart(2, '0')}`
}

/** A number in one of Python's forms, without sign. @returns undefined for an unknown form */
const digitsOf = (n: number, kind: string, precision: number | undefined): string | undefined => {
  const size = Math.abs(n)
  switch (kind) {
    case 'd':
    case 'i':
    case 'u':
      return String(Math.trunc(size))
    case 'f':
    case 'F':
      return fixed(size, precision ?? 6)
    case '%':
      return `${fixed(size * 100, precision ?? 6)}%`
    case 'e':
      return exponential(size, precision ?? 6)
    case 'g':
      return general(size, precision ?? 6)
    case 'x':
      return Math.trunc(size).toString(16)
    case 'X':
      return Math.trunc(size).toString(16).toUpperCase()
    case 'o':
      return Math.trunc(size).toString(8)
    case 'b':
      return Math.trunc(size).toString(2)
    default:
      return undefined
  }
}

const spaces = (n: number, fill = ' '): Text => new Text(fill.repeat(bounded(n)))

const percent = /%(?:\((\w+)\))?([-+ #0]*)(\d+|\*)?(?:\.(\d+))?[hlL]?([a-zA-Z%])/g

/** `format % values`. @throws TemplateError */
export const formatPercent = (format: Text, values: Value): Text => {
  const list = values instanceof Tuple ? values.items : [values]
  let used = 0
  const take = (): Value => {
    const value = list[used++]
    if (value === undefined) throw new TemplateError('not enough arguments for format string')
    return value
  }
  const pieces: Text[] = []
  let at = 0
  for (const found of format.value.matchAll(percent)) {
    const [whole, key, flags = '', width, precision, kind = ''] = found
    pieces.push(format.slice(at, found.index))
    at = found.index + whole.length
    if (kind === '%') {
      pieces.push(format.as('%', found.index))
      continue
    }
    const room = width === '*' ? Number(numberOf(take())) : Number(width ?? 0)
    let value: Value | undefined
    if (key === undefined) value = take()
    else value = values instanceof Dict ? values.at(key) : undefined
    if (value === undefined) throw new TemplateError(`format requires a mapping with '${key}'`)
    const digits = precision === undefined ? undefined : Number(precision)
    pieces.push(onePercent(value, { kind, flags, room, digits }))
  }
  pieces.push(format.slice(at))
  if (!(values instanceof Dict) && used < list.length)
    throw new TemplateError('not all arguments converted during string formatting')
  return Text.join(pieces)
}

type Percent = { kind: string; flags: string; room: number; digits: number | undefined }

const onePercent = (value: Value, { kind, flags, room, digits }: Percent): Text => {
  let made: Text
  let sign = ''
  if (kind === 's' || kind === 'r') {
    const whole = kind === 's' ? toText(value) : repr(value)
    made = digits === undefined ? whole : whole.range(0, digits)
  } else if (kind === 'c' && value instanceof Text) made = value
  else {
    const n = need(value, kind)
    const text = digitsOf(n, kind, digits)
    if (text === undefined) throw new TemplateError(`unsupported format character '${kind}'`)
    sign = n < 0 ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : ''
    if (flags.includes('0') && !flags.includes('-'))
      made = new Text(sign + text.padStart(bounded(room) - sign.length, '0'))
    else made = new Text(sign + text)
  }
  const left = room - made.length
  return Text.join(flags.includes('-') ? [made, spaces(left)] : [spaces(left), made])
}

const braces = /\{\{|\}\}|\{([^{}!:]*)(?:!([rs]))?(?::([^{}]*))?\}|[{}]/g
const specification = /^(?:(.)?([<>^=]))?([-+ ])?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([a-zA-Z%])?$/u

/** `format.format(…)`. @throws TemplateError */
export const formatBraces = (format: Text, { positional, named }: Given): Text => {
  let next = 0
  let manual = 0
  const pieces: Text[] = []
  let at = 0
  for (const found of format.value.matchAll(braces)) {
    const [whole, field, conversion, form = ''] = found
    pieces.push(format.slice(at, found.index))
    at = found.index + whole.length
    if (whole === '{{' || whole === '}}') {
      pieces.push(format.as(whole.charAt(0), found.index))
      continue
    }
    if (field === undefined)
      throw new TemplateError(`Single '${whole}' encountered in format string`)
    const [name = '', ...inner] = field.split(/[.[]/)
    if (/^\d+$/.test(name)) manual += 1
    const key = name === '' ? String(next++) : name
    if (manual > 0 && next > 0)
      throw new TemplateError('cannot mix manual and automatic field numbering')
    let value = /^\d+$/.test(key) ? positional[Number(key)] : named.get(key)
    for (const part of inner) {
      const item = part.replace(/\]$/, '')
      if (value instanceof Dict) value = value.at(item)
      else if (Array.isArray(value)) value = value[Number(item)]
      else value = undefined
    }
    if (value === undefined) throw new TemplateError(`Replacement index ${key} is out of range`)
    pieces.push(byForm(conversion === 'r' ? repr(value) : value, form))
  }
  pieces.push(format.slice(at))
  return Text.join(pieces)
}

/** Python's `format(value, form)`. @throws TemplateError */
const byForm = (value: Value, form: string): Text => {
  const found = specification.exec(form)
  if (!found) throw new TemplateError(`Invalid format specifier '${form}'`)
  const [, given, align, plus, , zero, width = '0', mark, precision, kind] = found
  const n = numberOf(value)
  const digits = precision === undefined ? undefined : Number(precision)
  const numeric = n !== undefined && (typeof value !== 'boolean' || kind !== undefined)
  let made: Text
  let sign = ''
  if (!numeric || n === undefined) {
    const whole = toText(value)
    made = digits === undefined ? whole : whole.range(0, digits)
  } else {
    const plain =
      value instanceof Float
        ? digits === undefined
          ? floatText(Math.abs(n))
          : general(Math.abs(n), digits)
        : String(Math.abs(n))
    const text = kind === undefined ? plain : digitsOf(n, kind, digits)
    if (text === undefined) throw new TemplateError(`Unknown format code '${kind}'`)
    sign = n < 0 ? '-' : plus === '+' || plus === ' ' ? plus : ''
    made = new Text(mark === undefined ? text : grouped(text, mark))
  }
  const fill = given ?? (zero ? '0' : ' ')
  const side = align ?? (zero && numeric ? '=' : numeric ? '>' : '<')
  const room = Number(width) - made.length - sign.length
  const head = new Text(sign)
  if (side === '=') return Text.join([head, spaces(room, fill), made])
  const whole = Text.join([head, made])
  if (side === '<') return Text.join([whole, spaces(room, fill)])
  if (side === '>') return Text.join([spaces(room, fill), whole])
  const left = Math.max(0, Math.floor(room / 2))
  return Text.join([spaces(left, fill), whole, spaces(room - left, fill)])
}
