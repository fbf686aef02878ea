/**
 * Running ahead, pure. When the head has chosen a token, the engine would stand still until
 * the answer has reached the main thread and the next job has come back: a pause with every
 * token, and the longest where every core computes. So a head's job also names the rows that
 * will most likely come next, and the engine goes on with them at once. The scheduler alone
 * decides what enters the ring. Where it decides otherwise, the rows are taken out of this
 * node's caches again.
 */
import type { HeadResult, NextRow } from '../ports.ts'
import type { KvOperation, Segment } from '../wire/frame.ts'
import type { Scheduler } from './scheduler.ts'
import type { Visit } from './visit.ts'

export class Ahead {
  readonly #scheduler: Pick<Scheduler, 'next' | 'follow'>
  /** What enters next; it was drawn when the engine had gone on with other rows. */
  #drawn: Visit | undefined
  /** Takes such rows out of this node's caches. */
  #undo: KvOperation[] = []

  constructor(scheduler: Pick<Scheduler, 'next' | 'follow'>) {
    this.#scheduler = scheduler
  }

  /** The rows that the engine may go on with after the head of this visit. */
  rowsAfter(number: number): readonly NextRow[] | undefined {
    return this.#drawn ? undefined : this.#scheduler.follow(number)
  }

  /**
   * The head has answered: asks the scheduler what enters next.
   * @returns that visit where the engine computes it already. Another one is kept for `next`.
   */
  match(rows: readonly NextRow[], results: readonly HeadResult[]): Visit | undefined {
    const visit = this.#scheduler.next()
    if (visit && isThat(visit, rows, results)) return visit
    this.#drawn = visit
    return undefined
  }

  /** Rows were computed that are not wanted. */
  takeBack(rows: readonly NextRow[]): void {
    for (const { sequence, position } of rows)
      this.#undo.push({ kind: 'truncate', sequence, length: position })
  }

  /** What enters the ring now, if anything may. */
  next(): Visit | undefined {
    const visit = this.#drawn ?? this.#scheduler.next()
    this.#drawn = undefined
    return visit
  }

  /** Operations that go before those of the next job. */
  operations(): KvOperation[] {
    return this.#undo.splice(0)
  }

  /** The ring broke: the reset clears all caches. */
  clear(): void {
    this.#drawn = undefined
    this.#undo = []
  }
}

/** Whether a visit is what was computed ahead of it. */
const isThat = (
  visit: Visit,
  rows: readonly NextRow[],
  results: readonly HeadResult[],
): boolean => {
  if (visit.operations.length > 0 || visit.segments.length !== rows.length) return false
  return rows.every((row, i) => {
    const { sequence, position, rows: count } = visit.segments[i] as Segment
    const same = sequence === row.sequence && position === row.position && count === row.rows
    return same && visit.tokens[i] === (row.token ?? results[i]?.token)
  })
}
