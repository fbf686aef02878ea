/**
 * How the answers of the model in the box are scored; the rules stand in words in its model
 * card (`firmware/model/README.md`).
 */

import { judge, type Reason, readIntent } from '../../services/voice/guard.ts'
import type { Trust } from '../../services/voice/intent.ts'

/** One record of an evaluation set. */
export type EvalRecord = {
  messages: { role: string; content: string }[]
  expect?: { intent: string; slots: Slots }
  ask?: boolean
  expectText?: string[]
  refuse?: boolean
  seen?: boolean
  /** Of the outside set: domains that are inferred from a name's entity. */
  domains?: string[]
}
export type Slots = Record<string, unknown>
export type Intent = { intent: string; slots: Slots }

const REFUSALS = ["don't know", 'do not know', 'cannot', "can't"]
const PLACES = ['name', 'area', 'floor']

/** The intent of an answer's first line, if it is one. */
export const intentOf = (answer: string): Intent | undefined => {
  try {
    const value: unknown = JSON.parse(answer.split('\n', 1)[0] as string)
    if (typeof value !== 'object' || value === null) return undefined
    const { intent, slots } = value as { intent?: unknown; slots?: unknown }
    if (typeof intent !== 'string' || typeof slots !== 'object' || slots === null) return undefined
    return Array.isArray(slots) ? undefined : { intent, slots: slots as Slots }
  } catch {
    return undefined
  }
}

const folded = (text: string): string => text.toLowerCase().split(/\s+/).filter(Boolean).join(' ')
const plain = (value: unknown): unknown => (typeof value === 'string' ? folded(value) : value)

const sameSlots = (
  given: Slots,
  wanted: Slots,
  domains: readonly string[] | undefined,
): boolean => {
  const got: Slots = Object.fromEntries(Object.entries(given).map(([k, v]) => [k, plain(v)]))
  const want: Slots = Object.fromEntries(Object.entries(wanted).map(([k, v]) => [k, plain(v)]))
  const inferred = domains && !('domain' in want) && domains.includes(String(got.domain))
  if (inferred) delete got.domain
  if (domains?.length === 1 && domains[0] === 'todo')
    for (const slots of [got, want]) slots.name = String(slots.name ?? '').replace(/( list)+$/, '')
  const keys = Object.keys(got)
  return keys.length === Object.keys(want).length && keys.every((k) => got[k] === want[k])
}

/** Whether an answer is right. */
export const isRight = (record: EvalRecord, answer: string): boolean => {
  const got = intentOf(answer)
  if (record.ask) return answer.trim() === 'Which room?'
  if (record.refuse) return !got && REFUSALS.some((r) => answer.includes(r))
  if (record.expectText) return record.expectText.includes(answer.trim())
  const want = record.expect
  if (!want || got?.intent !== want.intent) return false
  return sameSlots(got.slots, want.slots, record.domains)
}

/** Whether an intent was given whose name, area or floor is not the one that was meant. */
export const isWrongPlace = (record: EvalRecord, answer: string): boolean => {
  const got = intentOf(answer)
  if (!got) return false
  const want = record.expect?.slots ?? {}
  return PLACES.some((k) => plain(got.slots[k] ?? '') !== plain(want[k] ?? ''))
}

/**
 * Why the gateway does not send an answer's intent on (`voice/guard`), if it does not; as to a
 * release and settings that allow everything.
 * @param trust what the model's file tells
 * @param logprob natural log of the probability of the answer's first line
 */
export const withheldFor = (
  record: EvalRecord,
  answer: string,
  trust: Trust,
  logprob: number | undefined,
): Reason | undefined => {
  const intent = readIntent(answer.split('\n', 1)[0] as string)
  if (!intent) return undefined
  const turns = record.messages.filter((m) => m.role === 'user').map((m) => m.content)
  const [said = '', saidBefore] = turns.reverse()
  const able = { recent: true, allowUnlock: true }
  const verdict = judge(intent, { said, saidBefore, ...able, trust, logprob })
  return verdict.ok ? undefined : verdict.reason
}
