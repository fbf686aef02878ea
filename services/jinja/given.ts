/** What a function, filter or test is given, by position or by name. */
import { TemplateError } from './errors.ts'
import { Text } from './text.ts'
import { Float, type Given, numberOf, truthy, typeName, Undefined, type Value } from './values.ts'

/**
 * The values of parameters; undefined where one was not given.
 * @param least how many must be given
 * @throws TemplateError for too many, too few or unknown ones
 */
export const bind = (
  what: string,
  { positional, named }: Given,
  parameters: readonly string[],
  least = 0,
): (Value | undefined)[] => {
  if (positional.length > parameters.length)
    throw new TemplateError(
      `${what}() takes at most ${parameters.length} arguments (${positional.length} given)`,
    )
  const values: (Value | undefined)[] = parameters.map((_, i) => positional[i])
  for (const [name, value] of named) {
    const at = parameters.indexOf(name)
    if (at < 0) throw new TemplateError(`${what}() got an unexpected keyword argument '${name}'`)
    if (at < positional.length)
      throw new TemplateError(`${what}() got multiple values for argument '${name}'`)
    values[at] = value
  }
  for (let i = 0; i < least; i++)
    if (values[i] === undefined)
      throw new TemplateError(`${what}() misses the argument '${parameters[i]}'`)
  return values
}

/** A whole number. @throws TemplateError */
export const integer = (value: Value | undefined, usual: number): number => {
  if (value === undefined) return usual
  if (typeof value === 'number' || typeof value === 'boolean') return Number(value)
  if (value instanceof Undefined) throw value.fail()
  throw new TemplateError(`'${typeName(value)}' object cannot be interpreted as an integer`)
}

/** Widest that anything is made: a template may not ask for more memory than there is. */
const WIDEST = 100_000

/** A width or a count, if it is not beyond all measure. @throws TemplateError */
export const bounded = (n: number): number => {
  if (n <= WIDEST) return Math.max(0, n)
  throw new TemplateError('the result is too long')
}

/** A number. @throws TemplateError */
export const number = (value: Value): number => {
  const found = numberOf(value)
  if (found !== undefined) return found
  if (value instanceof Undefined) throw value.fail()
  throw new TemplateError(`must be a number, not '${typeName(value)}'`)
}

/** A text. @throws TemplateError */
export const text = (value: Value | undefined): Text => {
  if (value instanceof Text) return value
  if (value instanceof Undefined) throw value.fail()
  throw new TemplateError(`must be str, not ${value === undefined ? 'missing' : typeName(value)}`)
}

export const flag = (value: Value | undefined, usual: boolean): boolean =>
  value === undefined ? usual : truthy(value)

/** A number that is whole stays so where both sides of an operation are. */
export const result = (value: number, float: boolean): Value => (float ? new Float(value) : value)
