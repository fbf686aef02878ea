/**
 * Whether what an intent names was said in full. A model that cuts a name short ("bathroom" of
 * "kids bathroom") would switch something else. A model's file may tell which words stand
 * beside names in what it was taught; any other word beside a name belongs to it. Pure.
 */
import type { Intent } from './intent.ts'
import { folded } from './words.ts'

/** Slots that hold what something is called. */
const naming = ['name', 'area', 'floor', 'item'] as const
const placing = ['name', 'area', 'floor'] as const

const wordsOf = (text: string): string[] =>
  folded(text).match(/[\p{L}\p{N}\p{M}]+(?:['’][\p{L}\p{N}\p{M}]+)*/gu) ?? []

/** What is said in one breath: a comma or a stop ends it. */
const clausesOf = (text: string): string[][] => text.split(/[,.;:!?]+(?=\s|$)/u).map(wordsOf)

/** A name that was said more often is looked at this many times in a clause: nobody says so. */
const MENTIONS = 8

/** Where `span` stands in `clause`. */
const placesOf = (span: readonly string[], clause: readonly string[]): number[] =>
  span.length === 0
    ? []
    : [...clause.keys()].filter((at) => span.every((word, i) => clause[at + i] === word))

/**
 * Looks for a name of which a part was left out, and for two that were said as one.
 * @param said what the person said, in each of the turns that count
 * @param beside words that may stand beside a name (case folded); numbers always may
 * @returns what is wrong, for the log; undefined: nothing is
 */
export const cutShort = (
  { slots }: Intent,
  said: readonly string[],
  beside: ReadonlySet<string>,
): string | undefined => {
  const spans = new Map(
    Object.entries(slots).flatMap(([slot, value]) =>
      typeof value === 'string' ? [[slot, wordsOf(value)] as const] : [],
    ),
  )
  const clauses = said.flatMap(clausesOf)
  const belongsTo = (slot: string, clause: readonly string[], at: number): boolean =>
    [...spans].some(
      ([other, span]) =>
        other !== slot && placesOf(span, clause).some((p) => p <= at && at < p + span.length),
    )
  for (const slot of naming) {
    const span = spans.get(slot)
    if (span === undefined) continue
    let strange: string | undefined
    const whole = clauses.some((clause) =>
      placesOf(span, clause)
        .slice(0, MENTIONS)
        .some((at) => {
          const found = [at - 1, at + span.length].find((i) => {
            const word = clause[i]
            return word !== undefined && !isBeside(word, beside) && !belongsTo(slot, clause, i)
          })
          if (found !== undefined) strange = clause[found]
          return found === undefined
        }),
    )
    if (!whole && strange !== undefined)
      return `${slot} "${span.join(' ')}" without "${strange.slice(0, 60)}"`
  }
  return saidOnce(spans, clauses)
}

/** Letters from which on a word is known with one of them misheard or misspelt. */
const LONG = 5

/** Whether two words differ by one letter: another, one more, one less, or two that changed places. */
const isNear = (a: string, b: string): boolean => {
  if (Math.abs(a.length - b.length) > 1) return false
  let same = 0
  while (same < a.length && a[same] === b[same]) same++
  const [x, y] = [a.slice(same), b.slice(same)]
  const swapped = x[0] === y[1] && x[1] === y[0] && x.slice(2) === y.slice(2)
  return x.slice(1) === y || x === y.slice(1) || x.slice(1) === y.slice(1) || swapped
}

const isBeside = (word: string, beside: ReadonlySet<string>): boolean =>
  /^\p{N}/u.test(word) ||
  beside.has(word) ||
  (word.length >= LONG && [...beside].some((w) => w.length >= LONG - 1 && isNear(word, w)))

/** The same words for a device and for its room must have been said twice. */
const saidOnce = (
  spans: ReadonlyMap<string, readonly string[]>,
  clauses: readonly string[][],
): string | undefined => {
  const named = placing.flatMap((slot) => spans.get(slot)?.join(' ') ?? [])
  for (const name of named) {
    const times = clauses.flatMap((clause) => placesOf(name.split(' '), clause)).length
    if (times > 0 && named.filter((n) => n === name).length > times) return `"${name}" said once`
  }
  return undefined
}
