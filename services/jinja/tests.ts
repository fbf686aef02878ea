/** Jinja2's tests: what may stand after `is`. */
import { TemplateError, TemplateSyntaxError } from './errors.ts'
import { number } from './given.ts'
import { toText } from './print.ts'
import { textMethod } from './strings.ts'
import { Text } from './text.ts'
import {
  Attributed,
  Callable,
  compare,
  contains,
  Dict,
  equal,
  Float,
  type Given,
  isIterable,
  Tuple,
  Undefined,
  type Value,
  View,
} from './values.ts'

type Test = (value: Value, ...args: Value[]) => boolean

const remainder = (value: Value, by: Value): number => {
  const [a, b] = [number(value), number(by)]
  if (b === 0) throw new TemplateError('division by zero')
  return ((a % b) + b) % b
}

const cased = (value: Value, method: string): boolean =>
  textMethod(toText(value), method)?.({ positional: [], named: new Map() }) === true

const eq: Test = (value, other) => equal(value, other as Value)
const ne: Test = (value, other) => !equal(value, other as Value)
const gt: Test = (value, other) => compare(value, other as Value, '>') > 0
const ge: Test = (value, other) => compare(value, other as Value, '>=') >= 0
const lt: Test = (value, other) => compare(value, other as Value, '<') < 0
const le: Test = (value, other) => compare(value, other as Value, '<=') <= 0

const sequence: Test = (value) =>
  Array.isArray(value) ||
  (value instanceof View && value.name === 'range') ||
  [Tuple, Text, Dict, Undefined].some((kind) => value instanceof kind)

const tests: Readonly<Record<string, [test: Test, args: number]>> = {
  odd: [(value) => remainder(value, 2) === 1, 0],
  even: [(value) => remainder(value, 2) === 0, 0],
  divisibleby: [(value, by) => remainder(value, by as Value) === 0, 1],
  defined: [(value) => !(value instanceof Undefined), 0],
  undefined: [(value) => value instanceof Undefined, 0],
  none: [(value) => value === null, 0],
  boolean: [(value) => typeof value === 'boolean', 0],
  false: [(value) => value === false, 0],
  true: [(value) => value === true, 0],
  integer: [(value) => typeof value === 'number', 0],
  float: [(value) => value instanceof Float, 0],
  number: [
    (value) => typeof value === 'number' || typeof value === 'boolean' || value instanceof Float,
    0,
  ],
  lower: [(value) => cased(value, 'islower'), 0],
  upper: [(value) => cased(value, 'isupper'), 0],
  string: [(value) => value instanceof Text, 0],
  mapping: [(value) => value instanceof Dict, 0],
  sequence: [sequence, 0],
  iterable: [(value) => isIterable(value), 0],
  callable: [
    (value) =>
      value instanceof Undefined ||
      value instanceof Callable ||
      (value instanceof Attributed && value.call !== undefined),
    0,
  ],
  sameas: [
    (value, other) => value === other || (value instanceof Text && equal(value, other as Value)),
    1,
  ],
  escaped: [() => false, 0],
  in: [(value, container) => contains(container as Value, value), 1],
  filter: [(value) => value instanceof Text && known.filter(value.value), 0],
  test: [(value) => value instanceof Text && Object.hasOwn(tests, value.value), 0],
  ...{ '==': [eq, 1], eq: [eq, 1], equalto: [eq, 1], '!=': [ne, 1], ne: [ne, 1] },
  ...{ '>': [gt, 1], gt: [gt, 1], greaterthan: [gt, 1], '>=': [ge, 1], ge: [ge, 1] },
  ...{ '<': [lt, 1], lt: [lt, 1], lessthan: [lt, 1], '<=': [le, 1], le: [le, 1] },
}

/** Which filters there are; the filters tell it, since they use tests themselves. */
export const known = { filter: (_name: string): boolean => false }

/** Whether a value passes a test. @throws TemplateSyntaxError, TemplateError */
export const runTest = (name: string, value: Value, { positional, named }: Given): boolean => {
  const found = Object.hasOwn(tests, name) ? tests[name] : undefined
  if (!found) throw new TemplateSyntaxError(`No test named '${name}'.`)
  const given = [...positional, ...named.values()]
  if (given.length !== found[1])
    throw new TemplateError(
      `the test '${name}' takes ${found[1]} arguments (${given.length} given)`,
    )
  return found[0](value, ...given)
}
