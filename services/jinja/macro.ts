/** Macros: parts of a template that are called like functions. */
import type { Expression, Parameter, Statement } from './ast.ts'
import { TemplateError } from './errors.ts'
import { Scope } from './scope.ts'
import { Text } from './text.ts'
import { Callable, Dict, orElse, Tuple, Undefined, type Value } from './values.ts'

/** What a macro needs of the interpreter. */
export type MacroBody = {
  text(scope: Scope): Text
  value(expression: Expression, scope: Scope): Value
}

/** Whether a name is read anywhere in a tree. */
const reads = (tree: unknown, name: string): boolean => {
  if (Array.isArray(tree)) return tree.some((part) => reads(part, name))
  if (typeof tree !== 'object' || tree === null) return false
  const { kind, name: read } = tree as { kind?: unknown; name?: unknown }
  if (kind === 'name' && read === name) return true
  return Object.values(tree).some((part) => reads(part, name))
}

/** A macro as a value. @param scope where it is defined */
export const macroOf = (
  name: string,
  parameters: readonly Parameter[],
  body: readonly Statement[],
  scope: Scope,
  run: MacroBody,
): Callable => {
  const own = new Set(parameters.map((p) => p.name))
  const special = (word: string) => !own.has(word) && reads(body, word)
  const [callers, varargs, kwargs] = ['caller', 'varargs', 'kwargs'].map(special)
  const attributes = new Map<string, Value>([
    ['name', new Text(name)],
    ['arguments', new Tuple(parameters.map((p) => new Text(p.name)))],
  ])
  return new Callable(
    name,
    ({ positional, named }) => {
      const inner = new Scope(scope)
      const rest = new Map(named)
      const defaults: Parameter[] = []
      for (const [i, parameter] of parameters.entries()) {
        const given = i < positional.length ? positional[i] : rest.get(parameter.name)
        rest.delete(parameter.name)
        if (given !== undefined) inner.set(parameter.name, given)
        else if (parameter.default) defaults.push(parameter)
        else inner.set(parameter.name, new Undefined(`parameter '${parameter.name}'`))
      }
      if (callers) inner.set('caller', orElse(rest.get('caller'), new Undefined('No caller; it')))
      if (callers) rest.delete('caller')
      if (kwargs) inner.set('kwargs', new Dict([...rest].map(([k, v]) => [new Text(k), v])))
      else if (rest.size > 0)
        throw new TemplateError(
          `macro '${name}' takes no keyword argument '${[...rest.keys()].join(', ')}'`,
        )
      if (varargs) inner.set('varargs', new Tuple(positional.slice(parameters.length)))
      else if (positional.length > parameters.length)
        throw new TemplateError(
          `macro '${name}' takes not more than ${parameters.length} argument(s)`,
        )
      for (const parameter of defaults)
        if (parameter.default) inner.set(parameter.name, run.value(parameter.default, inner))
      return run.text(inner)
    },
    attributes,
  )
}
