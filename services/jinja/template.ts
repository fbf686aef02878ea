/**
 * Chat templates as transformers sets Jinja2 up: `trim_blocks` and `lstrip_blocks`, loop
 * controls, `generation`, `tojson`, `raise_exception` and `strftime_now`, in its sandbox for
 * values that do not change.
 */
import type { Statement } from './ast.ts'
import { TemplateError } from './errors.ts'
import { bind, integer, text } from './given.ts'
import { Interpreter } from './interpreter.ts'
import { parse } from './parser.ts'
import { toText } from './print.ts'
import { Scope } from './scope.ts'
import { strftime, type WallTime } from './strftime.ts'
import { Text } from './text.ts'
import { Callable, Dict, iterate, Namespace, type Value, View } from './values.ts'

/** As Jinja2's sandbox has it. */
const MOST_RANGE = 100_000

const range: Callable = new Callable('range', (given) => {
  const numbers = bind('range', given, ['start', 'stop', 'step'], 1)
  const first = integer(numbers[0], 0)
  const [start, stop] = numbers[1] === undefined ? [0, first] : [first, integer(numbers[1], 0)]
  const step = integer(numbers[2], 1)
  if (step === 0) throw new TemplateError('range() arg 3 must not be zero')
  const count = Math.max(0, Math.ceil((stop - start) / step))
  if (count > MOST_RANGE)
    throw new TemplateError(`Range too big. The sandbox blocks ranges larger than ${MOST_RANGE}.`)
  const shown = step === 1 ? `range(${start}, ${stop})` : `range(${start}, ${stop}, ${step})`
  return new View(
    Array.from({ length: count }, (_, i) => start + i * step),
    'range',
    shown,
  )
})

const pairsOf = (given: Parameters<Callable['call']>[0]): [Value, Value][] => {
  const { positional, named } = given
  const [first] = positional
  const before =
    first === undefined
      ? []
      : first instanceof Dict
        ? first.entries()
        : iterate(first).map((pair) => iterate(pair) as [Value, Value])
  return [...before, ...[...named].map(([k, v]): [Value, Value] => [new Text(k), v])]
}

const namespace = new Callable('namespace', (given) => {
  const made = new Namespace()
  for (const [key, value] of pairsOf(given)) made.attributes.set(toText(key).value, value)
  return made
})

const joiner = new Callable('joiner', (given) => {
  const [between] = bind('joiner', given, ['sep'])
  let used = false
  return new Callable('joiner', () => {
    if (used) return between === undefined ? new Text(', ') : between
    used = true
    return Text.empty
  })
})

const cycler = new Callable('cycler', ({ positional }) => {
  if (positional.length === 0) throw new TemplateError('at least one item has to be provided')
  let at = 0
  const next = new Callable('next', () => positional[at++ % positional.length] as Value)
  const reset = new Callable('reset', () => {
    at = 0
    return null
  })
  return new Callable(
    'cycler',
    next.call,
    new Map([
      ['next', next],
      ['reset', reset],
    ]),
  )
})

const raise = new Callable('raise_exception', (given) => {
  const [message] = bind('raise_exception', given, ['message'], 1)
  throw new TemplateError(toText(message as Value).value)
})

/** What a template is given: values by their names. */
export type Variables = ReadonlyMap<string, Value>

export class Template {
  readonly #body: Statement[]

  /** @throws TemplateSyntaxError */
  constructor(source: string) {
    this.#body = parse(source)
  }

  /**
   * The text.
   * @param now the wall clock, for `strftime_now`
   * @throws TemplateError, TemplateSyntaxError (a filter or test that is not there)
   */
  render(variables: Variables, now: () => WallTime): Text {
    const globals = new Scope()
    globals.set('range', range)
    globals.set('dict', new Callable('dict', (given) => new Dict(pairsOf(given))))
    globals.set('namespace', namespace)
    globals.set('joiner', joiner)
    globals.set('cycler', cycler)
    globals.set('raise_exception', raise)
    const strftimeNow = new Callable('strftime_now', (given) => {
      const [format] = bind('strftime_now', given, ['format'], 1)
      return new Text(strftime(text(format).value, now()))
    })
    globals.set('strftime_now', strftimeNow)
    for (const [name, value] of variables) globals.set(name, value)
    return new Interpreter().run(this.#body, globals)
  }
}
