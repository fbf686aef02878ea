/** Attributes and items, as Jinja2's sandbox gives them. */
import { TemplateError } from './errors.ts'
import { bind, integer } from './given.ts'
import { textMethod } from './strings.ts'
import { Text } from './text.ts'
import {
  Attributed,
  Callable,
  Dict,
  equal,
  Float,
  type Given,
  Namespace,
  numberOf,
  orElse,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from './values.ts'

/** Methods that would change a value: the sandbox refuses them. */
const changing: Readonly<Record<string, readonly string[]>> = {
  list: ['append', 'clear', 'pop', 'reverse', 'insert', 'sort', 'extend', 'remove'],
  dict: ['clear', 'pop', 'popitem', 'setdefault', 'update'],
}

const dictMethods: Readonly<Record<string, (of: Dict, given: Given) => Value>> = {
  get: (of, given) => {
    const [key, otherwise] = bind('get', given, ['key', 'default'], 1)
    return orElse(of.get(key as Value), orElse(otherwise, null))
  },
  items: (of) =>
    new View(
      of.entries().map((pair) => new Tuple(pair)),
      'dict_items',
    ),
  keys: (of) => new View(of.keys(), 'dict_keys'),
  values: (of) =>
    new View(
      of.entries().map(([, value]) => value),
      'dict_values',
    ),
  copy: (of) => new Dict(of.entries()),
}

const listMethods: Readonly<Record<string, (of: readonly Value[], given: Given) => Value>> = {
  index: (of, given) => {
    const [wanted] = bind('index', given, ['value'], 1)
    const at = of.findIndex((item) => equal(item, wanted as Value))
    if (at < 0) throw new TemplateError('the value is not in list')
    return at
  },
  count: (of, given) => {
    const [wanted] = bind('count', given, ['value'], 1)
    return of.filter((item) => equal(item, wanted as Value)).length
  },
  copy: (of) => [...of],
}

const methodOf = (of: Value, name: string): ((given: Given) => Value) | undefined => {
  if (of instanceof Text) return textMethod(of, name)
  const type = typeName(of)
  if (changing[type]?.includes(name))
    return () => {
      throw new TemplateError(`access to attribute '${name}' of '${type}' object is unsafe.`)
    }
  if (of instanceof Dict) {
    const method = Object.hasOwn(dictMethods, name) ? dictMethods[name] : undefined
    return method && ((given) => method(of, given))
  }
  const items = Array.isArray(of) ? of : of instanceof Tuple ? of.items : undefined
  const method = items && Object.hasOwn(listMethods, name) ? listMethods[name] : undefined
  return items && method && ((given) => method(items, given))
}

/** An attribute proper; undefined where there is none. */
const attributeOf = (of: Value, name: string): Value | undefined => {
  if (of instanceof Namespace || of instanceof Attributed || of instanceof Callable)
    return of.attributes.get(name)
  const method = methodOf(of, name)
  if (method) return new Callable(name, method)
  if (typeof of === 'number' && name === 'real') return of
  if (of instanceof Float && name === 'is_integer')
    return new Callable(name, () => Number.isInteger(of.value))
  return undefined
}

const missing = (of: Value, key: string): Undefined =>
  new Undefined(`'${typeName(of)} object' has no attribute '${key}'; it`)

/** `of.name`: the attribute, or else the item. @throws TemplateError for what is undefined */
export const getAttribute = (of: Value, name: string): Value => {
  if (of instanceof Undefined) throw of.fail()
  if (!name.startsWith('__')) {
    const found = attributeOf(of, name)
    if (found !== undefined) return found
  }
  return orElse(of instanceof Dict ? of.at(name) : undefined, missing(of, name))
}

/** What can be had by its number. */
const itemsOf = (of: Value): readonly Value[] | undefined => {
  if (Array.isArray(of)) return of
  const sequence = of instanceof Tuple || (of instanceof View && of.name === 'range')
  return sequence ? of.items : undefined
}

const at = (items: readonly Value[], index: number): Value | undefined =>
  items[index < 0 ? items.length + index : index]

/** `of[key]`: the item, or else the attribute. @throws TemplateError for what is undefined */
export const getItem = (of: Value, key: Value): Value => {
  if (of instanceof Undefined) throw of.fail()
  if (of instanceof Dict) {
    const found = of.get(key)
    if (found !== undefined) return found
  } else if (typeof key === 'number' || typeof key === 'boolean') {
    const index = Number(key)
    if (of instanceof Text) {
      const from = index < 0 ? of.length + index : index
      if (from >= 0 && from < of.length) return of.range(from, from + 1)
    } else {
      const items = itemsOf(of) ?? []
      const found = at(items, index)
      if (found !== undefined) return found
    }
  }
  if (!(key instanceof Text)) return missing(of, String(numberOf(key) ?? typeName(key)))
  const found = key.value.startsWith('__') ? undefined : attributeOf(of, key.value)
  return orElse(found, missing(of, key.value))
}

/** Python's `of[start:stop:step]`. @throws TemplateError */
export const getSlice = (of: Value, parts: readonly (Value | undefined)[]): Value => {
  if (of instanceof Undefined) throw of.fail()
  const given = (i: number): number | undefined => {
    const part = parts[i]
    return part === undefined || part === null ? undefined : integer(part, 0)
  }
  const [start, stop, step = 1] = [given(0), given(1), given(2)]
  if (step === 0) throw new TemplateError('slice step cannot be zero')
  if (of instanceof Text && step === 1) return of.range(start ?? 0, stop)
  const all: readonly Value[] | undefined = of instanceof Text ? of.characters() : itemsOf(of)
  if (!all) return missing(of, 'slice')
  const { length } = all
  const low = step > 0 ? 0 : -1
  const high = step > 0 ? length : length - 1
  const bound = (n: number | undefined, usual: number) =>
    n === undefined ? usual : n < 0 ? Math.max(low, length + n) : Math.min(high, n)
  const from = bound(start, step > 0 ? 0 : length - 1)
  const to = bound(stop, step > 0 ? length : -1)
  const chosen: Value[] = []
  for (let i = from; step > 0 ? i < to : i > to; i += step) chosen.push(all[i] as Value)
  if (of instanceof Text) return Text.join(chosen as Text[])
  return of instanceof Tuple ? new Tuple(chosen) : chosen
}
