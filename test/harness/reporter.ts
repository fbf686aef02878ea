/**
 * How `scripts/test` shows tests: a line a file, what failed in full, what was skipped and
 * why, and node's own summary (`# tests N`, `# pass N`, `# fail N`, …) as the last lines.
 */
import { relative } from 'node:path'
import { inspect } from 'node:util'

type Data = {
  name: string
  file?: string
  nesting: number
  skip?: string | boolean
  todo?: string | boolean
  message?: string
  details?: { duration_ms?: number; error?: unknown; type?: string }
  counts?: Record<string, number>
  duration_ms?: number
}
type Event = { type: string; data: Data }
type File = { passed: number; failed: number; skipped: number; ms: number }

/** Lines of one failure at most: two large values that differ fill many screens. */
const LINES = 60

const causeOf = (error: unknown): unknown => (error as { cause?: unknown } | undefined)?.cause

const failure = ({ name, file, details }: Data): string => {
  const error = causeOf(details?.error) ?? details?.error
  const whole = error instanceof Error ? (error.stack ?? error.message) : inspect(error)
  const lines = whole.split('\n')
  const text =
    lines.length <= LINES
      ? whole
      : [...lines.slice(0, LINES / 2), '…', ...lines.slice(-LINES / 2)].join('\n')
  const where = file ? relative(process.cwd(), file) : ''
  return `\n✖ ${where}: ${name}\n${text.replace(/^/gm, '    ')}\n\n`
}

const fileLine = (name: string, { passed, failed, skipped, ms }: File): string => {
  const more = `${failed > 0 ? `, ${failed} failed` : ''}${skipped > 0 ? `, ${skipped} skipped` : ''}`
  return `${failed > 0 ? '✖' : '✔'} ${relative(process.cwd(), name)}  ${passed} passed${more}  ${(ms / 1000).toFixed(1)} s\n`
}

/** Node calls it with the events of a run. */
export default async function* report(events: AsyncIterable<Event>): AsyncGenerator<string> {
  const files = new Map<string, File>()
  const skipped: string[] = []
  const diagnostics: string[] = []
  const slow: { name: string; ms: number }[] = []
  const of = (name: string): File => {
    const found = files.get(name) ?? { passed: 0, failed: 0, skipped: 0, ms: 0 }
    files.set(name, found)
    return found
  }
  for await (const { type, data } of events) {
    const isTest = data.details?.type !== 'suite'
    if (type === 'test:pass' && isTest) {
      const ms = data.details?.duration_ms ?? 0
      if (data.skip !== undefined) {
        of(data.file ?? '?').skipped += 1
        skipped.push(`- ${data.name}${typeof data.skip === 'string' ? ` (${data.skip})` : ''}\n`)
      } else of(data.file ?? '?').passed += 1
      slow.push({ name: data.name, ms })
    } else if (type === 'test:fail' && isTest) {
      of(data.file ?? '?').failed += 1
      yield failure(data)
    } else if (type === 'test:stderr' || type === 'test:stdout') yield data.message ?? ''
    else if (type === 'test:diagnostic' && data.nesting === 0 && !data.file)
      diagnostics.push(`# ${data.message}\n`)
    else if (type === 'test:summary' && data.file) {
      const file = of(data.file)
      file.ms = data.duration_ms ?? 0
      yield fileLine(data.file, file)
    }
  }
  slow.sort((a, b) => b.ms - a.ms)
  const slowest = slow.slice(0, 5).filter((s) => s.ms > 2000)
  for (const { name, ms } of slowest) yield `slow: ${(ms / 1000).toFixed(1)} s  ${name}\n`
  if (skipped.length > 0) yield `\nSkipped:\n${skipped.join('')}`
  yield `\n${diagnostics.join('')}`
}
