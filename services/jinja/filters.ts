/** Jinja2's filters, and `tojson` as transformers has it. */
import { TemplateSyntaxError } from './errors.ts'
import { listFilters } from './listfilters.ts'
import { known } from './tests.ts'
import { textFilters } from './textfilters.ts'
import type { Given, Value } from './values.ts'

export type Filter = (value: Value, given: Given) => Value

const filters: Readonly<Record<string, Filter>> = { ...textFilters, ...listFilters }

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
