/** The values of a template, as Python has them. */
import { TemplateError } from './errors.ts'
import { Text } from './text.ts'

/** What is not there; a template may ask for it, but not do much with it. */
export class Undefined {
  readonly what: string

  constructor(what = 'value') {
    this.what = what
  }

  fail(): TemplateError {
    return new TemplateError(`${this.what} is undefined`)
  }
}

/** A number with a fraction; a plain `number` is Python's integer. */
export class Float {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }
}

/** A tuple; a plain array is a list. */
export class Tuple {
  readonly items: readonly Value[]

  constructor(items: readonly Value[]) {
    this.items = items
  }
}

/** What may be gone through only once, like Python's generators. */
export class Lazy {
  #items: Value[]
  readonly name: string

  constructor(items: Value[], name = 'generator') {
    this.#items = items
    this.name = name
  }

  take(): Value[] {
    const items = this.#items
    this.#items = []
    return items
  }

  /** The next one only. */
  shift(): Value | undefined {
    return this.#items.shift()
  }
}

/** Keys, values or pairs of a dict; or a range. */
export class View {
  readonly items: Value[]
  readonly name: string
  /** How it is printed, if not with its items. */
  readonly shown: string | undefined

  constructor(items: Value[], name: string, shown?: string) {
    this.items = items
    this.name = name
    this.shown = shown
  }
}

/** What `namespace()` makes: its attributes can be set. */
export class Namespace {
  readonly attributes = new Map<string, Value>()
}

/** Something with attributes of our own, such as `loop`. */
export class Attributed {
  readonly name: string
  readonly attributes: ReadonlyMap<string, Value>
  readonly call: Call | undefined

  constructor(name: string, attributes: ReadonlyMap<string, Value>, call?: Call) {
    this.name = name
    this.attributes = attributes
    this.call = call
  }
}

/** What a function, filter or test is given. */
export type Given = { positional: readonly Value[]; named: ReadonlyMap<string, Value> }
export type Call = (given: Given) => Value
export type Filter = (value: Value, given: Given) => Value

/** A function of a template's, or of ours. */
export class Callable {
  readonly name: string
  readonly call: Call
  readonly attributes: ReadonlyMap<string, Value>

  constructor(name: string, call: Call, attributes: ReadonlyMap<string, Value> = new Map()) {
    this.name = name
    this.call = call
    this.attributes = attributes
  }
}

export type Value =
  | Undefined
  | null
  | boolean
  | number
  | Float
  | Text
  | Value[]
  | Tuple
  | Dict
  | Lazy
  | View
  | Namespace
  | Attributed
  | Callable

/** A dict: keys in their order, compared as Python does (1, 1.0 and true are one). */
export class Dict {
  readonly #entries = new Map<string, [Value, Value]>()

  constructor(entries: Iterable<readonly [Value, Value]> = []) {
    for (const [key, value] of entries) this.set(key, value)
  }

  set(key: Value, value: Value): void {
    const hash = hashOf(key)
    const known = this.#entries.get(hash)
    this.#entries.set(hash, [known ? known[0] : key, value])
  }

  get(key: Value): Value | undefined {
    return this.#entries.get(hashOf(key))?.[1]
  }

  /** The value of a text key. */
  at(key: string): Value | undefined {
    return this.#entries.get(`t${key}`)?.[1]
  }

  has(key: Value): boolean {
    return this.#entries.has(hashOf(key))
  }

  get size(): number {
    return this.#entries.size
  }

  keys(): Value[] {
    return [...this.#entries.values()].map(([key]) => key)
  }

  entries(): [Value, Value][] {
    return [...this.#entries.values()]
  }
}

const hashOf = (key: Value): string => {
  if (key instanceof Text) return `t${key.value}`
  const number = numberOf(key)
  if (number !== undefined) return `n${number}`
  if (key === null) return 'none'
  if (key instanceof Tuple) return `(${key.items.map(hashOf).map((h) => `${h.length}:${h}`)})`
  if (key instanceof Undefined) return 'undefined'
  throw new TemplateError(`unhashable type: '${typeName(key)}'`)
}

/** A value, or another where there is none; `none` is a value. */
export const orElse = (value: Value | undefined, otherwise: Value): Value =>
  value === undefined ? otherwise : value

/** A number's value; undefined for what is none. */
export const numberOf = (value: Value): number | undefined => {
  if (typeof value === 'number') return value
  if (typeof value === 'boolean') return value ? 1 : 0
  return value instanceof Float ? value.value : undefined
}

/** Python's name of a value's type. */
export const typeName = (value: Value): string => {
  if (value === null) return 'NoneType'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return 'int'
  if (value instanceof Float) return 'float'
  if (value instanceof Text) return 'str'
  if (Array.isArray(value)) return 'list'
  if (value instanceof Tuple) return 'tuple'
  if (value instanceof Dict) return 'dict'
  if (value instanceof Lazy || value instanceof View || value instanceof Attributed)
    return value.name
  if (value instanceof Namespace) return 'Namespace'
  return value instanceof Undefined ? 'Undefined' : 'function'
}

/** What counts as true. */
export const truthy = (value: Value): boolean => {
  if (value === null || value instanceof Undefined) return false
  if (typeof value === 'boolean') return value
  const number = numberOf(value)
  if (number !== undefined) return number !== 0
  if (value instanceof Text) return value.value !== ''
  if (Array.isArray(value)) return value.length > 0
  if (value instanceof Tuple || value instanceof View) return value.items.length > 0
  return value instanceof Dict ? value.size > 0 : true
}

/** What one gets by going through a value. @throws TemplateError */
export const iterate = (value: Value): readonly Value[] => {
  if (Array.isArray(value)) return value
  if (value instanceof Tuple || value instanceof View) return value.items
  if (value instanceof Lazy) return value.take()
  if (value instanceof Text) return value.characters()
  if (value instanceof Dict) return value.keys()
  if (value instanceof Undefined) return []
  throw new TemplateError(`'${typeName(value)}' object is not iterable`)
}

export const isIterable = (value: Value): boolean =>
  Array.isArray(value) ||
  [Tuple, View, Lazy, Text, Dict, Undefined].some((kind) => value instanceof kind)

/** How many there are. @throws TemplateError for what has no length */
export const lengthOf = (value: Value): number => {
  if (Array.isArray(value)) return value.length
  if (value instanceof Tuple || value instanceof View) return value.items.length
  if (value instanceof Text) return value.length
  if (value instanceof Dict) return value.size
  if (value instanceof Undefined) return 0
  throw new TemplateError(`object of type '${typeName(value)}' has no len()`)
}

/** Python's `==`. */
export const equal = (a: Value, b: Value): boolean => {
  const x = numberOf(a)
  const y = numberOf(b)
  if (x !== undefined || y !== undefined) return x === y
  if (a instanceof Text && b instanceof Text) return a.value === b.value
  if (Array.isArray(a) && Array.isArray(b)) return equalItems(a, b)
  if (a instanceof Tuple && b instanceof Tuple) return equalItems(a.items, b.items)
  if (a instanceof Dict && b instanceof Dict)
    return (
      a.size === b.size &&
      a.entries().every(([key, value]) => {
        const other = b.get(key)
        return other !== undefined && equal(value, other)
      })
    )
  return a === b || (a instanceof Undefined && b instanceof Undefined)
}

const equalItems = (a: readonly Value[], b: readonly Value[]): boolean =>
  a.length === b.length && a.every((item, i) => equal(item, b[i] as Value))

/** Python's order of two texts: by code points. */
const compareTexts = (a: string, b: string): number => {
  if (a === b) return 0
  const [x, y] = [[...a], [...b]]
  for (let i = 0; i < x.length && i < y.length; i++) {
    const difference =
      ((x[i] as string).codePointAt(0) ?? 0) - ((y[i] as string).codePointAt(0) ?? 0)
    if (difference !== 0) return difference
  }
  return x.length - y.length
}

/** Less than zero where `a` comes first; NaN where a number is none. @throws TemplateError */
export const compare = (a: Value, b: Value, operator = '<'): number => {
  const x = numberOf(a)
  const y = numberOf(b)
  if (x !== undefined && y !== undefined) return x === y ? 0 : x - y
  if (a instanceof Text && b instanceof Text) return compareTexts(a.value, b.value)
  const lists: [readonly Value[], readonly Value[]] | undefined =
    Array.isArray(a) && Array.isArray(b)
      ? [a, b]
      : a instanceof Tuple && b instanceof Tuple
        ? [a.items, b.items]
        : undefined
  if (lists) {
    const [left, right] = lists
    for (let i = 0; i < left.length && i < right.length; i++)
      if (!equal(left[i] as Value, right[i] as Value))
        return compare(left[i] as Value, right[i] as Value, operator)
    return left.length - right.length
  }
  for (const side of [a, b]) if (side instanceof Undefined) throw side.fail()
  throw new TemplateError(
    `'${operator}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`,
  )
}

/** Python's `in`. @throws TemplateError */
export const contains = (container: Value, item: Value): boolean => {
  if (container instanceof Text) {
    if (item instanceof Text) return container.value.includes(item.value)
    if (item instanceof Undefined) throw item.fail()
    throw new TemplateError(`'in <string>' requires string as left operand, not ${typeName(item)}`)
  }
  if (container instanceof Dict) return container.has(item)
  if (!isIterable(container))
    throw new TemplateError(`argument of type '${typeName(container)}' is not iterable`)
  return iterate(container).some((one) => equal(one, item))
}

/** A value of JSON's kinds as a template's; texts become foreign unless `own` says otherwise. */
export const fromJson = (value: unknown, own = false): Value => {
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'string') return own ? new Text(value) : Text.foreign(value)
  if (typeof value === 'number') return Number.isInteger(value) ? value : new Float(value)
  if (Array.isArray(value)) return value.map((item) => fromJson(item, own))
  if (typeof value !== 'object') return new Undefined()
  return new Dict(
    Object.entries(value).flatMap(([key, item]): [Value, Value][] =>
      item === undefined ? [] : [[fromJson(key, own), fromJson(item, own)]],
    ),
  )
}
