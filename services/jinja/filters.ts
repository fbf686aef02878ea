/** Jinja2's filters, and `tojson` as transformers has it. */
import { TemplateError, TemplateSyntaxError } from './errors.ts'
import { text } from './given.ts'
import { getter, listFilters } from './listfilters.ts'
import { known } from './tests.ts'
import { textFilters } from './textfilters.ts'
import { type Filter, type Given, iterate, Lazy, truthy, type Value } from './values.ts'

/** Applies a filter by its name to each of a list, so it needs them all. */
const map: Filter = (value, { positional, named }) => {
  if (!truthy(value)) return new Lazy([])
  if (positional.length === 0 && named.has('attribute')) {
    const get = getter(named.get('attribute'), named.get('default'))
    return new Lazy(iterate(value).map(get))
  }
  const [name, ...rest] = positional
  if (name === undefined) throw new TemplateError('map requires a filter argument')
  const filter = text(name).value
  return new Lazy(
    iterate(value).map((item) => runFilter(filter, item, { positional: rest, named })),
  )
}

const filters: Readonly<Record<string, Filter>> = { ...textFilters, ...listFilters, map }

known.filter = (name) => Object.hasOwn(filters, name)

/** What a filter makes of a value. @throws TemplateSyntaxError, TemplateError */
export const runFilter: (name: string, value: Value, given: Given) => Value = (
  name,
  value,
  given,
) => {
  const filter = Object.hasOwn(filters, name) ? filters[name] : undefined
  if (!filter) throw new TemplateSyntaxError(`No filter named '${name}'.`)
  return filter(value, given)
}
