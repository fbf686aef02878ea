/**
 * Running ahead, pure: a job of the head goes on with its sequences' next rows by itself. Until
 * an answer has gone to the main thread and the next job has come back, the engine would stand
 * still: once a token, and longest where every core computes.
 */
import type { HeadResult, NextRow } from '../ports.ts'
import type { KvOperation, Segment } from '../wire/frame.ts'
import type { Visit } from './scheduler.ts'

export class RunningAhead {
  /** What enters next. It was drawn while rows were computed ahead that it does not have. */
  #drawn: Visit | undefined
  /** Takes such rows back out of this node's caches. */
  #undo: KvOperation[] = []

  /** Whether another visit enters before rows may be computed ahead again. */
  get overtaken(): boolean {
    return this.#drawn !== undefined
  }

  /**
   * The rows were computed for a visit that does not enter next.
   * @param instead what enters; undefined: nothing does yet
   */
  overtake(instead: Visit | undefined): void {
    this.#drawn = instead
  }

  /** What enters next, where that was drawn already. */
  take(): Visit | undefined {
    const drawn = this.#drawn
    this.#drawn = undefined
    return drawn
  }

  /** Rows came out that nobody wants. */
  unwanted(rows: readonly NextRow[]): void {
    for (const { sequence, position } of rows)
      this.#undo.push({ kind: 'truncate', sequence, length: position })
  }

  /** Operations by which such rows leave the caches; they belong to the next job. */
  takeUndo(): KvOperation[] {
    return this.#undo.splice(0)
  }

  /** The ring broke: a reset clears every cache. */
  clear(): void {
    this.#drawn = undefined
    this.#undo = []
  }
}

/** Whether a visit is what was computed ahead of it. */
export const isWhatRan = (
  visit: Visit,
  ahead: readonly NextRow[],
  results: readonly HeadResult[],
): boolean => {
  if (visit.operations.length > 0 || visit.segments.length !== ahead.length) return false
  return ahead.every((a, i) => {
    const { sequence, position, rows } = visit.segments[i] as Segment
    const same = sequence === a.sequence && position === a.position && rows === a.rows
    return same && visit.tokens[i] === (a.token ?? results[i]?.token)
  })
}
