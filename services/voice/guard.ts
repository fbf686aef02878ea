/**
 * Decides whether an intent that a model emitted may go out to Home Assistant. Releases differ
 * in what they check themselves (older ones: nothing, not even exposure), so everything is
 * checked here, against the table and against what the person really said. Pure.
 */

import { cutShort } from './completeness.ts'
import { type Danger, dangerOf } from './danger.ts'
import type { Circumstances, Intent } from './intent.ts'
import {
  combinationOf,
  type IntentRow,
  intents,
  type SlotKind,
  slots,
  takesDomain,
} from './intents.ts'
import { folded, hasTemplate, isSpan } from './words.ts'

/** Why an intent is withheld. */
export type Reason =
  | 'unknown intent'
  | 'unknown slot'
  | 'slot value'
  | 'slot combination'
  | 'not said'
  | 'cut short'
  | 'unsure'
  | 'no place'
  | 'template'
  | 'release'
  | Danger

export type Verdict = { ok: true; row: IntentRow } | { ok: false; reason: Reason; detail: string }

const withheld = (reason: Reason, detail: string): Verdict => ({ ok: false, reason, detail })

/** Reads an answer's first line as an intent; undefined where it is none. */
export const readIntent = (line: string): Intent | undefined => {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const { intent, slots: given = {} } = value as { intent?: unknown; slots?: unknown }
  if (typeof intent !== 'string' || typeof given !== 'object' || given === null) return undefined
  const entries = Object.entries(given)
  const plain = entries.every(([, v]) => typeof v === 'string' || Number.isFinite(v))
  if (Array.isArray(given) || !plain || entries.length > 32) return undefined
  return { name: intent, slots: Object.fromEntries(entries) as Intent['slots'] }
}

const isWithin = (value: unknown, low: number, high: number): boolean =>
  typeof value === 'number' && value >= low && value <= high

/** Whether a value is of its slot's type; what must have been said is looked at elsewhere. */
const isOfKind = (value: string | number, kind: SlotKind): boolean => {
  switch (kind.kind) {
    case 'said':
    case 'word or said':
      return typeof value === 'string' && value.trim() !== '' && value.length <= 200
    case 'word':
      return typeof value === 'string' && kind.words.includes(value)
    case 'integer':
      return Number.isInteger(value) && isWithin(value, kind.low, kind.high)
    case 'number':
      return isWithin(value, kind.low, kind.high)
    case 'word or integer':
      return typeof value === 'string'
        ? kind.words.includes(value)
        : Number.isInteger(value) && isWithin(value, kind.low, kind.high)
  }
}

/** What limits hold for a slot in one intent and not in another. */
const isInRange = (intent: string, slot: string, value: string | number): boolean => {
  if (slot !== 'temperature') return true
  return intent === 'HassLightSet'
    ? Number.isInteger(value) && isWithin(value, 1_000, 20_000)
    : isWithin(value, -60, 300)
}

const mustBeSaid = (kind: SlotKind, value: string | number): value is string =>
  typeof value === 'string' &&
  (kind.kind === 'said' || (kind.kind === 'word or said' && !kind.words.includes(value)))

/** Checks every slot by itself. */
const checkSlots = (
  intent: Intent,
  row: IntentRow,
  { said, saidBefore }: Circumstances,
): Verdict | undefined => {
  const { name, slots: given } = intent
  if (isNothing(intent)) return withheld('slot value', 'no time at all')
  for (const [slot, value] of Object.entries(given)) {
    const kind = Object.hasOwn(slots, slot) ? slots[slot] : undefined
    if (!kind || !row.slots.includes(slot)) return withheld('unknown slot', slot.slice(0, 40))
    if (typeof value === 'string' && hasTemplate(value)) return withheld('template', slot)
    if (!isOfKind(value, kind) || !isInRange(name, slot, value)) return withheld('slot value', slot)
    if (!mustBeSaid(kind, value)) continue
    const heard = isSpan(value, said) || (saidBefore !== undefined && isSpan(value, saidBefore))
    if (!heard) return withheld('not said', `${slot} "${value}"`)
  }
  return undefined
}

/** Names are to be whole, where the model's file tells how to know it. */
const checkWhole = (
  intent: Intent,
  { said, saidBefore, trust }: Circumstances,
): Verdict | undefined => {
  const beside = trust?.beside
  if (!beside) return undefined
  const turns = saidBefore === undefined ? [said] : [said, saidBefore]
  const wrong = cutShort(intent, turns, beside)
  return wrong === undefined ? undefined : withheld('cut short', wrong)
}

/** The model is to be sure enough of what it says, where its file tells how sure that is. */
const checkSure = ({ trust, logprob }: Circumstances): Verdict | undefined => {
  if (trust?.probability === undefined || logprob === undefined) return undefined
  const given = Math.exp(logprob)
  return given < trust.probability ? withheld('unsure', given.toFixed(2)) : undefined
}

const isNothing = ({ slots: given }: Intent): boolean => {
  const times = ['hours', 'minutes', 'seconds'].filter((slot) => slot in given)
  return times.length > 0 && times.every((slot) => given[slot] === 0)
}

/** Home Assistant takes "all" for a name, an area or a floor as no filter at all. */
const namesAll = ({ slots: given }: Intent): boolean =>
  [given.name, given.area, given.floor].some((v) => typeof v === 'string' && folded(v) === 'all')

/** Slots of which at least one must be there, whatever else is. */
const hasPlace = ({ slots: given }: Intent): boolean =>
  'name' in given || 'area' in given || 'floor' in given

const switching = ['HassTurnOn', 'HassTurnOff', 'HassToggle']

/** Checks rule by rule; the first that fails names the reason. */
export const judge = (intent: Intent, circumstances: Circumstances): Verdict => {
  const row = Object.hasOwn(intents, intent.name) ? intents[intent.name] : undefined
  if (!row) return withheld('unknown intent', intent.name.slice(0, 60))
  const wrong = checkSlots(intent, row, circumstances) ?? checkWhole(intent, circumstances)
  if (wrong) return wrong
  if (namesAll(intent) || (row.place && !hasPlace(intent))) return withheld('no place', intent.name)
  const unsure = checkSure(circumstances)
  if (unsure) return unsure
  const { slots: given } = intent
  const onlyRoom = ('area' in given || 'floor' in given) && !('name' in given || 'domain' in given)
  // Everything in a room, whatever it is, would take the locks with it.
  if (switching.includes(intent.name) && onlyRoom)
    return withheld('slot combination', `${intent.name}: a room without a domain`)
  const combination = combinationOf(Object.keys(given))
  if (!row.combinations.includes(combination) && !row.beyond?.includes(combination))
    return withheld('slot combination', `${intent.name}: ${combination || 'no slots'}`)
  const { domain } = given
  if (typeof domain === 'string' && !takesDomain(row, combination, domain))
    return withheld('slot combination', `${intent.name}: ${combination}, domain ${domain}`)
  return judgeDanger(intent, circumstances, row)
}

const judgeDanger = (intent: Intent, circumstances: Circumstances, row: IntentRow): Verdict => {
  const { recent, allowUnlock } = circumstances
  const danger = allowUnlock && recent ? undefined : dangerOf(intent, circumstances)
  if (danger)
    return withheld(danger, allowUnlock ? 'this release sends no language' : 'not allowed')
  if (row.recent && !recent) return withheld('release', intent.name)
  return { ok: true, row }
}
