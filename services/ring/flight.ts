/** The visits that are on their way round the ring, in the order in which they were sent. Pure. */
import type { VisitFrame } from '../wire/frame.ts'
import type { Visit } from './visit.ts'

export class Flight {
  readonly #visits = new Map<number, Visit>()

  add(visit: Visit): void {
    this.#visits.set(visit.number, visit)
  }

  delete(number: number): void {
    this.#visits.delete(number)
  }

  clear(): void {
    this.#visits.clear()
  }

  /**
   * Takes a frame that has come back for its visit.
   * @returns the visit; nothing for a frame that is not awaited; or what is wrong with it, in
   * words that go on after the name of the stage that sent it
   */
  land(frame: VisitFrame, hidden: number): Visit | string | undefined {
    const visit = this.#visits.get(frame.number)
    if (!visit) return undefined
    const [due] = this.#visits.keys()
    // Visits come back in their order. One that is missing never comes.
    if (due !== frame.number) return `visit ${due} never came back from it`
    const wanted = visit.head.length
    if (frame.rows !== wanted || (wanted > 0 && frame.hidden !== hidden))
      return `it sent ${frame.rows} rows of ${frame.hidden}, not ${wanted} of ${hidden}`
    this.#visits.delete(frame.number)
    return visit
  }
}
