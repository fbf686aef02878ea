/** Python's operators. */
import type { Operator } from './ast.ts'
import { TemplateError } from './errors.ts'
import { formatPercent } from './format.ts'
import { result } from './given.ts'
import { Text } from './text.ts'
import { Float, numberOf, Tuple, typeName, Undefined, type Value } from './values.ts'

const signs: Readonly<Record<Operator, string>> = {
  ...{ add: '+', sub: '-', mul: '*', div: '/', floordiv: '//', mod: '%', pow: '**' },
}

/** Longest text, and list, that an operator may make (see `MOST_UNITS` in `text`). */
const MOST_UNITS = 10_000_000
const MOST_ITEMS = 1_000_000

const joined = (a: readonly Value[], b: readonly Value[]): Value[] => {
  if (a.length + b.length > MOST_ITEMS) throw new TemplateError('the result is too long')
  return [...a, ...b]
}

const onNumbers = (operator: Operator, a: number, b: number, float: boolean): Value => {
  const divides = operator === 'div' || operator === 'floordiv' || operator === 'mod'
  if (divides && b === 0) throw new TemplateError('division by zero')
  switch (operator) {
    case 'add':
      return result(a + b, float)
    case 'sub':
      return result(a - b, float)
    case 'mul':
      return result(a * b, float)
    case 'div':
      return new Float(a / b)
    case 'floordiv':
      return result(Math.floor(a / b), float)
    case 'mod': {
      const rest = a % b
      // Zero has the divisor's sign; an integer has none.
      if (rest === 0) return result(float && b < 0 ? -0 : 0, float)
      return result(rest < 0 !== b < 0 ? rest + b : rest, float)
    }
    case 'pow':
      return result(a ** b, float || b < 0)
  }
}

const repeat = (value: Value, times: number): Value | undefined => {
  const given = Math.max(0, times)
  const items = Array.isArray(value) ? value : value instanceof Tuple ? value.items : undefined
  const length = value instanceof Text ? value.value.length : items?.length
  if (length === undefined) return undefined
  const n = length === 0 ? 0 : given
  if (length * n > (items ? MOST_ITEMS : MOST_UNITS))
    throw new TemplateError('the result is too long')
  if (value instanceof Text) return value.repeat(n)
  const all = Array.from({ length: n }, () => items as Value[]).flat()
  return value instanceof Tuple ? new Tuple(all) : all
}

/** `left operator right`. @throws TemplateError */
export const binary = (operator: Operator, left: Value, right: Value): Value => {
  if (operator === 'mod' && left instanceof Text) return formatPercent(left, right)
  for (const side of [left, right]) if (side instanceof Undefined) throw side.fail()
  const a = numberOf(left)
  const b = numberOf(right)
  const float = left instanceof Float || right instanceof Float
  if (a !== undefined && b !== undefined) return onNumbers(operator, a, b, float)
  if (operator === 'add') {
    if (left instanceof Text && right instanceof Text) return Text.join([left, right])
    if (Array.isArray(left) && Array.isArray(right)) return joined(left, right)
    if (left instanceof Tuple && right instanceof Tuple)
      return new Tuple(joined(left.items, right.items))
  }
  if (operator === 'mul' && !float) {
    const repeated =
      b !== undefined ? repeat(left, b) : a !== undefined ? repeat(right, a) : undefined
    if (repeated !== undefined) return repeated
  }
  if (operator === 'add' && left instanceof Text)
    throw new TemplateError(`can only concatenate str (not "${typeName(right)}") to str`)
  throw new TemplateError(
    `unsupported operand type(s) for ${signs[operator]}: '${typeName(left)}' and '${typeName(right)}'`,
  )
}

/** `-value` or `+value`. @throws TemplateError */
export const signed = (negative: boolean, value: Value): Value => {
  if (value instanceof Undefined) throw value.fail()
  const n = numberOf(value)
  if (n === undefined)
    throw new TemplateError(
      `bad operand type for unary ${negative ? '-' : '+'}: '${typeName(value)}'`,
    )
  // An integer has no negative zero.
  return result(
    negative && n !== 0 ? -n : negative && value instanceof Float ? -n : n,
    value instanceof Float,
  )
}
