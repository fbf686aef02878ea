/** JSON that came from elsewhere: bounded, checked by a schema, told about in a sentence. */
import type { z } from 'zod'
import { MdiError } from '../errors.ts'

const decoder = new TextDecoder('utf-8', { fatal: true })
const encoder = new TextEncoder()

/** A value as UTF-8 JSON. */
export const writeJson = (value: unknown): Uint8Array => encoder.encode(JSON.stringify(value))

const place = (path: readonly PropertyKey[]): string =>
  path.length === 0 ? '' : ` at "${path.map(String).join('.').slice(0, 80)}"`

/**
 * Checks a value against a schema.
 * @param what what it is, for the sentence: "the desired state of node pi3"
 * @throws MdiError `bad-value`
 */
export const checkValue = <T>(value: unknown, schema: z.ZodType<T>, what: string): T => {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const why = issue ? `${issue.message.slice(0, 200)}${place(issue.path)}` : 'it has a wrong form'
  throw new MdiError('bad-value', `In ${what}: ${why}.`)
}

/**
 * Reads UTF-8 JSON and checks it against a schema.
 * @throws MdiError `bad-value` with one sentence
 */
export const readJson = <T>(bytes: Uint8Array, schema: z.ZodType<T>, what: string): T => {
  let value: unknown
  try {
    value = JSON.parse(decoder.decode(bytes))
  } catch {
    throw new MdiError('bad-value', `In ${what}: this is no JSON.`)
  }
  return checkValue(value, schema, what)
}
