/** The methods of Python's `str` that templates use. */
import { TemplateError } from './errors.ts'
import { formatBraces } from './format.ts'
import { bind, bounded, integer, text } from './given.ts'
import { toText } from './print.ts'
import { Text } from './text.ts'
import { type Given, isIterable, iterate, Tuple, Undefined, type Value } from './values.ts'

/** Python's white space: not quite that of regular expressions here. */
const white =
  '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'
const blank = new RegExp(`[${white}]`)
const blanks = new RegExp(`^[${white}]+$`)

/** A text without the characters of a set, or without white space, at its ends. */
export const strip = (of: Text, characters: string | null, left = true, right = true): Text => {
  const set = characters === null ? undefined : new Set(characters)
  const drops = (c: string) => (set ? set.has(c) : blank.test(c))
  const all = [...of.value]
  let start = 0
  let end = all.length
  if (left) while (start < end && drops(all[start] as string)) start++
  if (right) while (end > start && drops(all[end - 1] as string)) end--
  return of.range(start, end)
}

const stripped = (left: boolean, right: boolean) => (of: Text, given: Given) => {
  const [characters] = bind('strip', given, ['chars'])
  const set = characters === undefined || characters === null ? null : text(characters).value
  return strip(of, set, left, right)
}

/** Python's `str.upper` and `str.lower`. */
export const upper = (of: Text): Text => of.map((c) => c.toUpperCase())
export const lower = (of: Text): Text =>
  of.map((c, at) => {
    // A sigma at a word's end has a form of its own.
    if (c !== 'Σ') return c.toLowerCase()
    const before = /[\p{L}\p{M}]['\u00ad]*$/u.test(of.value.slice(0, at))
    const after = /^['\u00ad]*[\p{L}\p{M}]/u.test(of.value.slice(at + 1))
    return before && !after ? 'ς' : 'σ'
  })

export const capitalize = (of: Text): Text => {
  const first = of.range(0, 1)
  const head = first.map((c) => c.toUpperCase())
  return Text.join([head, lower(of.range(1))])
}

/** Python's `str.title`: a word begins where no letter stands before. */
const title = (of: Text): Text => {
  let inside = false
  return of.map((c) => {
    const letter = /[\p{Lu}\p{Ll}\p{Lt}]/u.test(c)
    const made = letter ? (inside ? c.toLowerCase() : c.toUpperCase()) : c
    inside = letter
    return made
  })
}

/** Text in place of each `from`; an empty one stands between all characters. */
export const replace = (of: Text, from: string, to: Text, most: number): Text => {
  const limit = most < 0 ? Number.POSITIVE_INFINITY : most
  if (from !== '') return to.between(of.split(from, limit))
  const pieces: Text[] = []
  const characters = of.characters()
  for (const [i, character] of characters.entries()) {
    if (i < limit) pieces.push(to)
    pieces.push(character)
  }
  if (characters.length < limit) pieces.push(to)
  return pieces.length === 0 ? of : Text.join(pieces)
}

/** Words between white space. */
const words = (of: Text, most: number): Text[] => {
  const found: Text[] = []
  const pattern = new RegExp(`[^${white}]+`, 'g')
  for (let word = pattern.exec(of.value); word; word = pattern.exec(of.value)) {
    if (found.length >= most) {
      found.push(strip(of.slice(word.index), null, true, false))
      break
    }
    found.push(of.slice(word.index, word.index + word[0].length))
  }
  return found
}

const split = (of: Text, given: Given): Value => {
  const [separator, most] = bind('split', given, ['sep', 'maxsplit'])
  const limit = integer(most, -1) < 0 ? Number.POSITIVE_INFINITY : integer(most, -1)
  if (separator === undefined || separator === null) return words(of, limit)
  const by = text(separator).value
  if (by === '') throw new TemplateError('empty separator')
  return of.split(by, limit)
}

const rsplit = (of: Text, given: Given): Value => {
  const [separator, most] = bind('rsplit', given, ['sep', 'maxsplit'])
  const limit = integer(most, -1)
  if (separator === undefined || separator === null) {
    const all = words(of, Number.POSITIVE_INFINITY)
    if (limit < 0 || all.length <= limit) return all
    let rest = strip(of, null, false, true)
    const tail: Text[] = []
    for (let n = 0; n < limit; n++) {
      const last = all[all.length - 1 - n] as Text
      tail.unshift(last)
      rest = strip(rest.slice(0, rest.value.length - last.value.length), null, false, true)
    }
    return [rest, ...tail]
  }
  const by = text(separator)
  if (by.value === '') throw new TemplateError('empty separator')
  const parts: Text[] = []
  let end = of.value.length
  while (limit < 0 || parts.length < limit) {
    const at = end < by.value.length ? -1 : of.value.lastIndexOf(by.value, end - by.value.length)
    if (at < 0) break
    parts.unshift(of.slice(at + by.value.length, end))
    end = at
  }
  return [of.slice(0, end), ...parts]
}

const breaks = '\\n-\\r\\x1c-\\x1e\\x85\\u2028\\u2029'
const lineEnd = new RegExp(`\\r\\n|[${breaks}]`, 'g')

export const splitLines = (of: Text, keep: boolean): Text[] => {
  const lines: Text[] = []
  let start = 0
  for (const { 0: end, index } of of.value.matchAll(lineEnd)) {
    lines.push(of.slice(start, keep ? index + end.length : index))
    start = index + end.length
  }
  if (start < of.value.length) lines.push(of.slice(start))
  return lines
}

const edge = (at: 'startsWith' | 'endsWith') => (of: Text, given: Given) => {
  const name = at.toLowerCase()
  const [wanted, start, end] = bind(name, given, ['prefix', 'start', 'end'], 1)
  const part = of.range(integer(start ?? undefined, 0), integer(end ?? undefined, of.length)).value
  if (wanted instanceof Tuple) return wanted.items.some((item) => part[at](text(item).value))
  if (wanted instanceof Text) return part[at](wanted.value)
  throw new TemplateError(`${name} first arg must be str or a tuple of str`)
}

const find = (last: boolean, missing?: string) => (of: Text, given: Given) => {
  const [wanted, start, end] = bind('find', given, ['sub', 'start', 'end'], 1)
  const from = Math.min(integer(start, 0), of.length)
  const part = of.range(from, integer(end, of.length))
  const search = text(wanted).value
  const at = last ? part.value.lastIndexOf(search) : part.value.indexOf(search)
  if (at >= 0) return part.point(at) + (from < 0 ? Math.max(0, of.length + from) : from)
  if (missing !== undefined) throw new TemplateError(missing)
  return -1
}

const partition = (last: boolean) => (of: Text, given: Given) => {
  const [separator] = bind('partition', given, ['sep'], 1)
  const by = text(separator)
  if (by.value === '') throw new TemplateError('empty separator')
  const at = last ? of.value.lastIndexOf(by.value) : of.value.indexOf(by.value)
  if (at < 0) return new Tuple(last ? [Text.empty, Text.empty, of] : [of, Text.empty, Text.empty])
  return new Tuple([of.slice(0, at), by, of.slice(at + by.value.length)])
}

/** Room on one or both sides. */
export const pad = (of: Text, width: number, side: 'left' | 'right' | 'both', fill: Text): Text => {
  const room = bounded(width - of.length)
  const left =
    side === 'left' ? room : side === 'right' ? 0 : Math.floor(room / 2) + (room & width & 1)
  const some = (n: number) => Array.from({ length: n }, () => fill)
  return Text.join([...some(left), of, ...some(room - left)])
}

const padded = (side: 'left' | 'right' | 'both') => (of: Text, given: Given) => {
  const [width, fill] = bind('center', given, ['width', 'fillchar'], 1)
  return pad(of, integer(width, 0), side, fill === undefined ? new Text(' ') : text(fill))
}

const is = (pattern: RegExp) => (of: Text) => pattern.test(of.value)

const methods: Readonly<Record<string, (of: Text, given: Given) => Value>> = {
  upper,
  lower,
  casefold: (of) => of.map((c) => c.toLowerCase().replace('ß', 'ss').replace('ς', 'σ')),
  capitalize,
  title,
  swapcase: (of) => of.map((c) => (c === c.toUpperCase() ? c.toLowerCase() : c.toUpperCase())),
  strip: stripped(true, true),
  lstrip: stripped(true, false),
  rstrip: stripped(false, true),
  split,
  rsplit,
  splitlines: (of, given) => {
    const [keep] = bind('splitlines', given, ['keepends'])
    return splitLines(of, keep === true)
  },
  replace: (of, given) => {
    const [from, to, most] = bind('replace', given, ['old', 'new', 'count'], 2)
    return replace(of, text(from).value, text(to), integer(most, -1))
  },
  startswith: edge('startsWith'),
  endswith: edge('endsWith'),
  find: find(false),
  rfind: find(true),
  index: find(false, 'substring not found'),
  rindex: find(true, 'substring not found'),
  count: (of, given) => {
    const [wanted] = bind('count', given, ['sub'], 1)
    const search = text(wanted).value
    return search === '' ? of.length + 1 : of.split(search).length - 1
  },
  partition: partition(false),
  rpartition: partition(true),
  removeprefix: (of, given) => {
    const prefix = text(bind('removeprefix', given, ['prefix'], 1)[0]).value
    return of.value.startsWith(prefix) ? of.slice(prefix.length) : of
  },
  removesuffix: (of, given) => {
    const suffix = text(bind('removesuffix', given, ['suffix'], 1)[0]).value
    const ends = suffix !== '' && of.value.endsWith(suffix)
    return ends ? of.slice(0, of.value.length - suffix.length) : of
  },
  join: (of, given) => {
    const [items] = bind('join', given, ['iterable'], 1)
    if (items === undefined || !isIterable(items))
      throw new TemplateError('can only join an iterable')
    return of.between(iterate(items).map((item) => text(item)))
  },
  center: padded('both'),
  ljust: padded('right'),
  rjust: padded('left'),
  zfill: (of, given) => {
    const width = integer(bind('zfill', given, ['width'], 1)[0], 0)
    const sign = /^[+-]/.test(of.value) ? 1 : 0
    const zeros = pad(of.slice(sign), width - sign, 'left', new Text('0'))
    return Text.join([of.slice(0, sign), zeros])
  },
  expandtabs: (of) => {
    let column = 0
    return of.map((c) => {
      if (c === '\n' || c === '\r') column = 0
      else if (c !== '\t') column += 1
      else {
        const room = 8 - (column % 8)
        column += room
        return ' '.repeat(room)
      }
      return c
    })
  },
  isdigit: is(/^\p{Nd}+$/u),
  isdecimal: is(/^\p{Nd}+$/u),
  isnumeric: is(/^\p{N}+$/u),
  isalpha: is(/^\p{L}+$/u),
  isalnum: is(/^[\p{L}\p{N}]+$/u),
  isspace: is(blanks),
  isupper: (of) => /\p{Lu}/u.test(of.value) && !/\p{Ll}/u.test(of.value),
  islower: (of) => /\p{Ll}/u.test(of.value) && !/\p{Lu}/u.test(of.value),
  format: (of, given) => formatBraces(of, given),
  encode: () => {
    throw new TemplateError('bytes are not supported')
  },
}

/** A method of a text; undefined where there is none of that name. */
export const textMethod = (of: Text, name: string): ((given: Given) => Value) | undefined => {
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined
  return method && ((given) => method(of, given))
}

/** Any value as a text, for filters that take one. */
export const soft = (value: Value): Text =>
  value instanceof Undefined ? Text.empty : toText(value)
