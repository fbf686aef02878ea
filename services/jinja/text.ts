/**
 * A text that knows which of its characters somebody else wrote: a template's variables are
 * foreign, its own literals are not. Every operation on texts keeps that, and none of them can
 * see it, so a template works as it does in Jinja2.
 */

import { TemplateError } from './errors.ts'

/**
 * Longest text that a template may make. Where one allocation needs more memory than its thread
 * may have, the whole process ends; so texts and lists are bounded.
 */
const MOST_UNITS = 16_000_000

/** Ranges `[start, end)` in UTF-16 units, flat and ascending; neighbours are one. */
export type Ranges = readonly number[]

const none: Ranges = []

/** A range of Python's kind: code points, and negative numbers count from the end. */
const clamp = (at: number, length: number): number =>
  at < 0 ? Math.max(0, length + at) : Math.min(at, length)

export class Text {
  readonly value: string
  readonly foreign: Ranges
  /** Where each code point begins, and the end; only for texts with surrogate pairs. */
  #points: number[] | null | undefined

  constructor(value: string, foreign: Ranges = none) {
    this.value = value
    this.foreign = foreign
  }

  static readonly empty = new Text('')

  /** A text that somebody else wrote. */
  static foreign(value: string): Text {
    return new Text(value, value === '' ? none : [0, value.length])
  }

  /** Texts one after the other. */
  static join(pieces: readonly Text[]): Text {
    if (pieces.length === 1) return pieces[0] as Text
    const foreign: number[] = []
    const values: string[] = []
    let at = 0
    for (const piece of pieces) {
      if (at + piece.value.length > MOST_UNITS) throw new TemplateError('the result is too long')
      values.push(piece.value)
      for (let i = 0; i < piece.foreign.length; i += 2)
        addRange(foreign, at + (piece.foreign[i] as number), at + (piece.foreign[i + 1] as number))
      at += piece.value.length
    }
    return new Text(values.join(''), foreign)
  }

  /** A part, in UTF-16 units from 0. */
  slice(start: number, end: number = this.value.length): Text {
    if (start <= 0 && end >= this.value.length) return this
    const value = this.value.slice(start, end)
    if (this.foreign.length === 0 || value === '') return new Text(value)
    const foreign: number[] = []
    for (let i = this.#rangeAt(start); i < this.foreign.length; i += 2) {
      if ((this.foreign[i] as number) >= end) break
      const from = Math.max(this.foreign[i] as number, start)
      const to = Math.min(this.foreign[i + 1] as number, end)
      if (from < to) addRange(foreign, from - start, to - start)
    }
    return new Text(value, foreign)
  }

  /** Whether the character at that unit is foreign. */
  isForeign(at: number): boolean {
    return at >= (this.foreign[this.#rangeAt(at)] ?? Number.POSITIVE_INFINITY)
  }

  /** Index of the first range that ends behind a unit, found by halving. */
  #rangeAt(at: number): number {
    let low = 0
    let high = this.foreign.length / 2
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.foreign[2 * middle + 1] as number) <= at) low = middle + 1
      else high = middle
    }
    return 2 * low
  }

  /** A text made of this one's character at `at`: whoever wrote that wrote this. */
  as(value: string, at: number): Text {
    return this.isForeign(at) ? Text.foreign(value) : new Text(value)
  }

  #starts(): number[] | null {
    if (this.#points !== undefined) return this.#points
    if (!/[\ud800-\udbff][\udc00-\udfff]/.test(this.value)) this.#points = null
    else {
      const starts: number[] = []
      let at = 0
      for (const character of this.value) {
        starts.push(at)
        at += character.length
      }
      starts.push(at)
      this.#points = starts
    }
    return this.#points
  }

  /** Length in code points, as Python has it. */
  get length(): number {
    const starts = this.#starts()
    return starts === null ? this.value.length : starts.length - 1
  }

  /** The UTF-16 unit at which a code point begins. */
  unit(point: number): number {
    const starts = this.#starts()
    return starts === null ? point : (starts[point] as number)
  }

  /** The code point that begins at a UTF-16 unit. */
  point(unit: number): number {
    const starts = this.#starts()
    return starts === null ? unit : starts.indexOf(unit)
  }

  /** Code points from `start` to `end`, each of which may be negative. */
  range(start: number, end: number = this.length): Text {
    const { length } = this
    const from = clamp(start, length)
    const to = clamp(end, length)
    return from >= to ? Text.empty : this.slice(this.unit(from), this.unit(to))
  }

  /** Each character, as a text of its own. */
  characters(): Text[] {
    const characters: Text[] = []
    let at = 0
    for (const character of this.value) {
      characters.push(this.slice(at, at + character.length))
      at += character.length
    }
    return characters
  }

  /** Each character replaced by what `change` makes of it. */
  map(change: (character: string, at: number) => string): Text {
    const pieces: Text[] = []
    let same = 0
    let at = 0
    for (const character of this.value) {
      const changed = change(character, at)
      if (changed !== character) {
        if (same < at) pieces.push(this.slice(same, at))
        pieces.push(this.as(changed, at))
        same = at + character.length
      }
      at += character.length
    }
    if (same === 0) return this
    pieces.push(this.slice(same))
    return Text.join(pieces)
  }

  /** This text cut at every place where a separator stands; at most `most` times. */
  split(separator: string, most = Number.POSITIVE_INFINITY): Text[] {
    const parts: Text[] = []
    let start = 0
    for (let at = this.value.indexOf(separator); at >= 0 && parts.length < most; ) {
      parts.push(this.slice(start, at))
      start = at + separator.length
      at = this.value.indexOf(separator, start)
    }
    parts.push(this.slice(start))
    return parts
  }

  /** This text so many times. */
  repeat(times: number): Text {
    const { length } = this.value
    if (length * times > MOST_UNITS || this.foreign.length * times > MOST_UNITS / 10)
      throw new TemplateError('the result is too long')
    const foreign: number[] = []
    for (let n = 0; n < times; n++)
      for (let i = 0; i < this.foreign.length; i += 2)
        addRange(
          foreign,
          n * length + (this.foreign[i] as number),
          n * length + (this.foreign[i + 1] as number),
        )
    return new Text(this.value.repeat(times), foreign)
  }

  /** Texts with this one between them. */
  between(pieces: readonly Text[]): Text {
    return Text.join(pieces.flatMap((piece, i) => (i === 0 ? [piece] : [this, piece])))
  }

  toString(): string {
    return this.value
  }
}

const addRange = (ranges: number[], start: number, end: number): void => {
  if (start === end) return
  if (ranges.length > 0 && ranges[ranges.length - 1] === start) ranges[ranges.length - 1] = end
  else ranges.push(start, end)
}
