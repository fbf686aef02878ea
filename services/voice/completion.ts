/**
 * A command without a place was answered "Which room?": what comes next may be its place, which
 * the model was not always taught to put in. Pure.
 */
import type { Intent } from './intent.ts'
import { intents } from './intents.ts'
import { folded } from './words.ts'

const places = ['name', 'area', 'floor'] as const

/** Whether an intent may be said of a room. */
export const hasRoom = ({ name }: Intent): boolean => intents[name]?.slots.includes('area') ?? true

/** An utterance without the words around a place: "in the kitchen, please." is "kitchen". */
const bare = (said: string): string =>
  said
    .trim()
    .replace(/^(?:(?:um|uh|er|please|just|only)[\s,]+)*/iu, '')
    .replace(/^(?:in|on|at|for|from|of)\s+/iu, '')
    .replace(/^(?:the|my|our)\s+/iu, '')
    .replace(/[\s,]*(?:please|thanks|thank you)?[\s.!?]*$/iu, '')

/** What is no place, however short. */
const noPlace =
  /^(yes|no|ok|okay|sure|stop|cancel|nothing|never ?mind|forget it|all|everywhere|everything|here|what|why|who|how|hello|thanks?|thank you)( |$)/u

/** The same intent with the place in it, and without one that said nothing. */
const placed = ({ name, slots }: Intent, place: Intent['slots']): Intent => {
  const rest = Object.entries(slots).filter(([slot]) => !places.some((p) => p === slot))
  return { name, slots: { ...Object.fromEntries(rest), ...place } }
}

/**
 * The command with the place of the next answer, where that names the same command, or where
 * nothing but a place was said; undefined: it is a command of its own.
 */
export const completedBy = (unplaced: Intent, said: string, next: Intent): Intent | undefined => {
  const place = Object.fromEntries(
    places.flatMap((slot) => {
      const value = next.slots[slot]
      return value === undefined ? [] : [[slot, value]]
    }),
  )
  const values = Object.values(place)
  if (values.length === 0) return undefined
  if (next.name === unplaced.name) {
    // A name tells its own kind; whatever is said now counts more than what was said before.
    const { domain, ...rest } = placed(unplaced, {}).slots
    const kept = 'name' in place || domain === undefined ? rest : { ...rest, domain }
    return { name: next.name, slots: { ...kept, ...next.slots } }
  }
  const only = values.length === 1 && folded(String(values[0])) === folded(bare(said))
  return only ? placed(unplaced, place) : undefined
}

/** The same where the model only spoke: what was said is taken for a place where it looks so. */
export const completedBySpeech = (
  unplaced: Intent,
  said: string,
  spoken: string,
): Intent | undefined => {
  const place = bare(said)
  const lost = spoken === 'Which room?' || spoken.startsWith('Sorry')
  const looks = /^(in|on|at|the|my|our)\s/iu.test(said.trim())
  const short = /[\p{L}\p{N}]/u.test(place) && place.split(/\s+/u).length <= 4
  if (!short || noPlace.test(folded(place)) || !(lost || looks)) return undefined
  const given = intents[unplaced.name]?.slots ?? []
  const onFloor = /(floor|level|stairs)$/iu.test(place) && given.includes('floor')
  const slot = onFloor ? 'floor' : given.includes('area') ? 'area' : 'name'
  return placed(unplaced, { [slot]: place })
}
