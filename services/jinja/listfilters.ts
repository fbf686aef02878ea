/** Filters on lists and dicts. */
import { getAttribute, getItem } from './access.ts'
import { binary } from './arithmetic.ts'
import { TemplateError } from './errors.ts'
import { bind, bounded, flag, integer, text } from './given.ts'
import { lower, soft } from './strings.ts'
import { runTest } from './tests.ts'
import { Text } from './text.ts'
import {
  compare,
  Dict,
  equal,
  type Filter,
  type Given,
  iterate,
  Lazy,
  lengthOf,
  orElse,
  Tuple,
  truthy,
  Undefined,
  type Value,
  View,
} from './values.ts'

/** Looks an attribute up, with dots for those within: "function.name". */
export const getter = (attribute: Value | undefined, otherwise?: Value) => {
  const parts: Value[] =
    attribute instanceof Text
      ? attribute.split('.').map((p) => (/^\d+$/.test(p.value) ? Number(p.value) : p))
      : attribute === undefined || attribute === null
        ? []
        : [attribute]
  return (item: Value): Value =>
    parts.reduce<Value>((of, part) => {
      const found = getItem(of, part)
      return found instanceof Undefined && otherwise !== undefined && otherwise !== null
        ? otherwise
        : found
    }, item)
}

const withoutCase = (value: Value): Value => (value instanceof Text ? lower(value) : value)

/** What is compared of an item. */
const keyOf = (attribute: Value | undefined, cased: boolean) => {
  const get = getter(attribute)
  return (item: Value) => (cased ? get(item) : withoutCase(get(item)))
}

const sort: Filter = (value, given) => {
  const [reverse, cased, attribute] = bind('sort', given, [
    'reverse',
    'case_sensitive',
    'attribute',
  ])
  const several = attribute instanceof Text ? attribute.split(',') : [attribute]
  const keys = several.map((one) => keyOf(one, flag(cased, false)))
  const direction = flag(reverse, false) ? -1 : 1
  return [...iterate(value)].sort((a, b) => {
    for (const key of keys) {
      const order = compare(key(a), key(b))
      if (order !== 0) return direction * order
    }
    return 0
  })
}

const dictsort: Filter = (value, given) => {
  const [cased, by, reverse] = bind('dictsort', given, ['case_sensitive', 'by', 'reverse'])
  if (!(value instanceof Dict)) throw new TemplateError('dictsort takes a dict')
  const which = by === undefined ? 'key' : text(by).value
  if (which !== 'key' && which !== 'value')
    throw new TemplateError('You can only sort by either "key" or "value"')
  const part = (pair: [Value, Value]) => {
    const item = pair[which === 'key' ? 0 : 1]
    return flag(cased, false) ? item : withoutCase(item)
  }
  const direction = flag(reverse, false) ? -1 : 1
  return value
    .entries()
    .sort((a, b) => direction * compare(part(a), part(b)))
    .map((pair) => new Tuple(pair))
}

const unique: Filter = (value, given) => {
  const [cased, attribute] = bind('unique', given, ['case_sensitive', 'attribute'])
  const key = keyOf(attribute, flag(cased, false))
  const seen = new Dict()
  const kept = iterate(value).filter((item) => {
    const k = key(item)
    if (seen.has(k)) return false
    seen.set(k, true)
    return true
  })
  return new Lazy(kept)
}

const extreme =
  (sign: number): Filter =>
  (value, given) => {
    const [cased, attribute] = bind('max', given, ['case_sensitive', 'attribute'])
    const key = keyOf(attribute, flag(cased, false))
    const items = iterate(value)
    if (items.length === 0) return new Undefined('No aggregated item, sequence was empty; it')
    return items.reduce((best, item) => (sign * compare(key(item), key(best)) > 0 ? item : best))
  }

/** A value only where the test, or its truth, says so. */
const chosen =
  (keep: boolean, byAttribute: boolean): Filter =>
  (value, { positional, named }) => {
    if (!truthy(value)) return new Lazy([])
    const args = [...positional]
    if (byAttribute && args.length === 0)
      throw new TemplateError('Missing parameter for attribute name')
    const get = byAttribute ? getter(args.shift()) : (item: Value) => item
    const name = args.shift()
    const passes = (item: Value): boolean =>
      name === undefined
        ? truthy(get(item))
        : runTest(text(name).value, get(item), { positional: args, named })
    return new Lazy(iterate(value).filter((item) => passes(item) === keep))
  }

const groupby: Filter = (value, given) => {
  const parameters = ['attribute', 'default', 'case_sensitive']
  const [attribute, otherwise, cased] = bind('groupby', given, parameters, 1)
  const get = getter(attribute, otherwise)
  const key = (item: Value) => (flag(cased, false) ? get(item) : withoutCase(get(item)))
  const items = [...iterate(value)].sort((a, b) => compare(key(a), key(b)))
  const groups: Value[][] = []
  for (const item of items) {
    const last = groups.at(-1)
    if (last && equal(key(last[0] as Value), key(item))) last.push(item)
    else groups.push([item])
  }
  return groups.map((group) => new Tuple([get(group[0] as Value), group]))
}

const join: Filter = (value, given) => {
  const [between, attribute] = bind('join', given, ['d', 'attribute'])
  const items = iterate(value)
  const values =
    attribute === undefined || attribute === null ? items : items.map(getter(attribute))
  return (between === undefined ? Text.empty : soft(between)).between(values.map(soft))
}

const sum: Filter = (value, given) => {
  const [attribute, start] = bind('sum', given, ['attribute', 'start'])
  const get = getter(attribute)
  return iterate(value).reduce<Value>(
    (total, item) => binary('add', total, get(item)),
    orElse(start, 0),
  )
}

/** Rows of so many. */
const batch: Filter = (value, given) => {
  const [count, fill] = bind('batch', given, ['linecount', 'fill_with'], 1)
  const size = bounded(integer(count, 1))
  const items = iterate(value)
  const rows: Value[] = []
  for (let at = 0; at < items.length && size > 0; at += size) {
    const row = items.slice(at, at + size)
    while (fill !== undefined && fill !== null && row.length < size) row.push(fill)
    rows.push(row)
  }
  return new Lazy(rows)
}

/** So many columns. */
const slice: Filter = (value, given) => {
  const [count, fill] = bind('slice', given, ['slices', 'fill_with'], 1)
  const slices = bounded(integer(count, 1))
  if (slices === 0) return new Lazy([])
  const items = iterate(value)
  const each = Math.floor(items.length / slices)
  const extra = items.length % slices
  const columns: Value[] = []
  let at = 0
  for (let n = 0; n < slices; n++) {
    const size = each + (n < extra ? 1 : 0)
    const column = items.slice(at, at + size)
    if (fill !== undefined && fill !== null && n >= extra) column.push(fill)
    columns.push(column)
    at += size
  }
  return new Lazy(columns)
}

const length: Filter = (value) => lengthOf(value)

const nothing = new Undefined('No first item, sequence was empty; it')
const first: Filter = (value) =>
  orElse(value instanceof Lazy ? value.shift() : iterate(value)[0], nothing)

const last: Filter = (value) => {
  if (value instanceof Lazy) throw new TemplateError("'generator' object is not reversible")
  return orElse(iterate(value).at(-1), nothing)
}

const reverse: Filter = (value) => {
  const reversed = [...iterate(value)].reverse()
  return value instanceof Text
    ? Text.join(reversed as Text[])
    : new Lazy(reversed, 'list_reverseiterator')
}

const items: Filter = (value) => {
  if (value instanceof Undefined) return new Lazy([])
  if (!(value instanceof Dict)) throw new TemplateError('Can only get item pairs from a mapping.')
  return new Lazy(value.entries().map((pair) => new Tuple(pair)))
}

export const listFilters: Readonly<Record<string, Filter>> = {
  sort,
  dictsort,
  unique,
  groupby,
  join,
  sum,
  batch,
  slice,
  first,
  last,
  reverse,
  items,
  length,
  count: length,
  min: extreme(-1),
  max: extreme(1),
  select: chosen(true, false),
  reject: chosen(false, false),
  selectattr: chosen(true, true),
  rejectattr: chosen(false, true),
  list: (value) => {
    // A view stays as it was; a generator is empty now.
    const all = value instanceof View ? value.items : iterate(value)
    return [...all]
  },
  attr: (value, given: Given) => {
    const [name] = bind('attr', given, ['name'], 1)
    if (value instanceof Dict) return new Undefined()
    return getAttribute(value, text(name).value)
  },
}
