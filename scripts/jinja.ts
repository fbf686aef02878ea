/** Compares our templates with Jinja2's own texts: lines of test/golden/jinja.py on standard input. */
import { createInterface } from 'node:readline'
import { Template } from '../services/jinja/template.ts'
import { fromJson, type Value } from '../services/jinja/values.ts'

type Line = {
  variables?: Record<string, unknown>
  template?: string
  text?: string
  error?: string
}

const never = { year: 2026, month: 1, day: 2, hour: 3, minute: 4, second: 5, microsecond: 0 }
let variables = new Map<string, Value>()
const counts = { equal: 0, refused: 0, different: 0 }

const ours = (template: string): { text: string } | { error: string } => {
  try {
    return { text: new Template(template).render(variables, () => never).value }
  } catch (error) {
    return { error: String(error) }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { variables: given, template, text, error } = JSON.parse(line) as Line
  if (given) variables = new Map(Object.entries(given).map(([k, v]) => [k, fromJson(v)]))
  if (template === undefined) continue
  const made = ours(template)
  if ('text' in made && made.text === text) counts.equal += 1
  else if ('error' in made && error !== undefined) counts.refused += 1
  else {
    counts.different += 1
    if (counts.different <= 20)
      console.log(JSON.stringify({ template, jinja2: text ?? error, ours: made }, undefined, 1))
  }
}
console.log(
  `${counts.equal} equal, ${counts.refused} refused by both, ${counts.different} different`,
)
process.exitCode = counts.different === 0 ? 0 : 1
