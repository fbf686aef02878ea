/**
 * Refuses regular expressions that may take for ever: those of a tokenizer are a stranger's, and
 * run on whatever people write. What backtracks without end has a repetition within a
 * repetition, alternatives that overlap within one, or several overlapping ones in a row.
 */
import { MdiError } from '../errors.ts'

type Item = {
  /** One character's pattern; undefined for a group. */
  atom?: string
  group?: Item[][]
  /** What a group only looks for, without taking it. */
  looks: boolean
  least: number
  most: number
}

/** Overlapping repetitions in a row: two take time with the square of a text's length. */
const MOST_IN_A_ROW = 2

/** Characters by which it is found whether two patterns overlap. */
const samples = [
  ...Array.from({ length: 0x250 }, (_, code) => String.fromCharCode(code)),
  ...'αΩбЯأ٣क१一三あア가ǅʰ̈\u2028—’€☕😀',
]

class Reader {
  readonly #source: string
  #at = 0

  constructor(source: string) {
    this.#source = source
  }

  /** Alternatives, up to the end or a closing bracket. */
  alternatives(depth = 0): Item[][] {
    if (depth > 50) throw new SyntaxError('nested too deeply')
    const found: Item[][] = [[]]
    while (this.#at < this.#source.length && this.#source[this.#at] !== ')') {
      if (this.#source[this.#at] === '|') {
        this.#at += 1
        found.push([])
      } else found.at(-1)?.push(this.#item(depth))
    }
    return found
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#source)
    if (found) this.#at += found[0].length
    return found ?? undefined
  }

  #item(depth: number): Item {
    let item: Item
    const open = this.#take(/\((?:\?(?:<?[=!]|[a-z-]*:|>|<[A-Za-z_]\w*>|P<\w+>))?/y)
    if (open) {
      const looks = /^\(\?<?[=!]/.test(open[0])
      const group = this.alternatives(depth + 1)
      if (this.#source[this.#at] !== ')') throw new SyntaxError('unbalanced')
      this.#at += 1
      item = { group, looks, least: 1, most: 1 }
    } else {
      if (this.#take(/\\(?:[1-9]|k<)/y)) throw new SyntaxError('a reference back')
      const atom = this.#take(
        /\[(?:\\.|\[:\w+:\]|[^\]\\])+\]|\\[pP]\{[^}]*\}|\\u\{[^}]*\}|\\u[\da-fA-F]{4}|\\x[\da-fA-F]{2}|\\.|[^()|]/suy,
      )
      if (!atom) throw new SyntaxError('unbalanced')
      item = { atom: atom[0], looks: /^(\^|\$|\\[bBAzZ])$/.test(atom[0]), least: 1, most: 1 }
    }
    const times = this.#take(/([*+?])|\{(\d*)(,?)(\d*)\}/y)
    if (!times) return item
    this.#take(/[?+]/y)
    const [, sign, low = '', comma = '', high = ''] = times
    if (sign)
      return {
        ...item,
        least: sign === '+' ? 1 : 0,
        most: sign === '?' ? 1 : Number.POSITIVE_INFINITY,
      }
    const least = Number(low || 0)
    return {
      ...item,
      least,
      most: comma === '' ? least : high === '' ? Number.POSITIVE_INFINITY : Number(high),
    }
  }
}

const endless = ({ most }: Item): boolean => most > 1_000

const setOf = (atom: string): Set<string> | undefined => {
  try {
    const pattern = new RegExp(`^(?:${atom})$`, 'su')
    return new Set(samples.filter((c) => pattern.test(c)))
  } catch {
    return undefined
  }
}

/** Whether one character may be taken by both; also where that cannot be told. */
const overlap = (a: string, b: string): boolean => {
  const [x, y] = [setOf(a), setOf(b)]
  return !x || !y || [...x].some((c) => y.has(c))
}

/** Whether a group that is repeated has only one way to take a text. */
const plain = (group: Item[][]): boolean => {
  const [only] = group
  if (group.length === 1 && only)
    return only.every((item) => item.least === item.most && !item.group)
  const atoms = group.map(([item, more]) =>
    more || !item || item.most !== 1 ? undefined : item.atom,
  )
  if (atoms.includes(undefined)) return false
  return atoms.every((a, i) => atoms.slice(i + 1).every((b) => !overlap(a as string, b as string)))
}

/** Why a sequence may take for ever; undefined where it does not. */
const troubleIn = (items: readonly Item[]): string | undefined => {
  let row: string[] = []
  for (const item of items) {
    if (item.group) {
      const trouble = troubleOf(item.group)
      if (trouble) return trouble
      if (endless(item) && !plain(item.group)) return 'a repetition within a repetition'
    }
    if (item.looks) continue
    if (item.atom === undefined) row = []
    else if (!endless(item)) {
      // What must stand between them parts them, unless they could take it, too.
      const { atom, least } = item
      if (least > 0 && !row.some((other) => overlap(other, atom))) row = []
    } else {
      row = row.some((other) => overlap(other, item.atom as string))
        ? [...row, item.atom]
        : [item.atom]
      if (row.length > MOST_IN_A_ROW) return 'several repetitions of the same in a row'
    }
  }
  return undefined
}

const troubleOf = (alternatives: readonly Item[][]): string | undefined => {
  for (const items of alternatives) {
    const trouble = troubleIn(items)
    if (trouble) return trouble
  }
  return undefined
}

const refuse = (source: string, why: string): MdiError =>
  new MdiError(
    'unsupported',
    `The model's tokenizer has a regular expression that could take for ever (${why}): ${source.slice(0, 100)}`,
  )

/** @throws MdiError `unsupported` for a regular expression that may take for ever */
export const checkRegex = (source: string): void => {
  let alternatives: Item[][]
  try {
    alternatives = new Reader(source).alternatives()
  } catch (error) {
    throw refuse(source, (error as Error).message)
  }
  const trouble = troubleOf(alternatives)
  if (trouble) throw refuse(source, trouble)
}

/** Checks every regular expression of a part of `tokenizer.json`. @throws MdiError `unsupported` */
export const checkRegexes = (part: unknown): void => {
  if (typeof part !== 'object' || part === null) return
  for (const [key, value] of Object.entries(part))
    if (key === 'Regex' && typeof value === 'string') checkRegex(value)
    else checkRegexes(value)
}
