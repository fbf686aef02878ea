/**
 * The recurrent pipeline's scheduler (MDI-LLM, arXiv 2505.18164, section III): decides what
 * enters the ring next, so that every stage always has a visit to compute. Pure.
 *
 * Sequences that decode are spread over as many lanes as the ring has stages. All ready
 * sequences of a lane go in one visit: N lanes keep N stages busy, and the weights are read
 * once for a lane. Prompts go in chunks between the lanes' visits, one chunk in each round of
 * the lanes, so that neither waits until the other has ended. Chunks of one prompt follow each
 * other through the stages without waiting. A ring of one stage uses the same code.
 */
import { limits } from '../limits.ts'
import type { HeadRequest, HeadResult, NextRow } from '../ports.ts'
import type { KvOperation, Segment } from '../wire/frame.ts'
import type { End, Open, Token } from '../wire/requests.ts'
import { Sequence } from './sequence.ts'
import type { Visit } from './visit.ts'

/** What a result means for the requests' owners. */
export type Outcome = { kind: 'token'; token: Token } | { kind: 'end'; end: End }

export type SchedulerOptions = {
  stages: number
  /** Rows of a prompt in one visit. */
  chunkRows: number
  /** Sequences that run at once. Others wait. */
  sequences: number
  /** Positions that a sequence may reach. */
  context: number
}

type InFlight = { visit: Visit; members: Sequence[]; lane: number | undefined }

export class Scheduler {
  readonly #options: SchedulerOptions
  readonly #lanes: number
  #waiting: Open[] = []
  #running: Sequence[] = []
  /** Numbers of sequences whose caches are to be closed with the next visit. */
  #closing: number[] = []
  readonly #inFlight = new Map<number, InFlight>()
  readonly #busyLanes = new Set<number>()
  #nextSequence = 1
  #nextVisit: number
  #turn = 0
  /** Lanes' visits since the last chunk of a prompt. */
  #decodesSinceChunk = 0

  /** @param firstVisit number of the first visit; each later one is one more */
  constructor(options: SchedulerOptions, firstVisit = 1) {
    this.#options = options
    this.#lanes = Math.min(options.stages, limits.framesInFlight - 1)
    this.#nextVisit = firstVisit
  }

  /** Requests that run or wait. */
  get load(): { running: number; waiting: number; visits: number } {
    return {
      running: this.#running.length,
      waiting: this.#waiting.length,
      visits: this.#inFlight.size,
    }
  }

  /** Whether a request is here. */
  has(id: string): boolean {
    return this.#find(id) !== undefined || this.#waiting.some((w) => w.id === id)
  }

  /** Takes a request; it starts as soon as a place is free. */
  open(request: Open): void {
    this.#waiting.push(request)
  }

  /** Ends a request; its rows are free with the next visit. @returns whether it was here */
  cancel(id: string): boolean {
    const waiting = this.#waiting.length
    this.#waiting = this.#waiting.filter((w) => w.id !== id)
    const sequence = this.#find(id)
    if (sequence) this.#end(sequence)
    return sequence !== undefined || this.#waiting.length < waiting
  }

  /** Ends everything: the ring is lost. @returns the ids of all requests */
  clear(): string[] {
    const ids = [...this.#running.map((s) => s.request.id), ...this.#waiting.map((w) => w.id)]
    this.#running = []
    this.#waiting = []
    this.#closing = []
    this.#inFlight.clear()
    this.#busyLanes.clear()
    return ids
  }

  /** A number for a visit that is made elsewhere (a reset), in one order with all others. */
  takeNumber(): number {
    return this.#nextVisit++
  }

  /** What enters the ring now, if anything may. */
  next(): Visit | undefined {
    if (this.#inFlight.size >= limits.framesInFlight) return undefined
    const opening = this.#admit()
    const chunk = this.#chunkSequence()
    const decode = chunk && this.#chunkIsDue ? undefined : this.#decodeVisit()
    if (decode) {
      this.#decodesSinceChunk += 1
      return this.#launch(decode.members, decode.lane, opening)
    }
    if (chunk) {
      this.#decodesSinceChunk = 0
      return this.#launch([chunk], undefined, opening)
    }
    if (opening.length > 0 || this.#closing.length > 0) return this.#launch([], undefined, opening)
    return undefined
  }

  /**
   * The next rows of a visit's sequences, if they will most likely be the next to enter:
   * nothing else waits to enter, and none of them is known to end. So the engine may go on with
   * them at once when the head has chosen their tokens. `next` decides whether that was right.
   */
  follow(number: number): NextRow[] | undefined {
    const flight = this.#inFlight.get(number)
    if (flight?.lane === undefined || this.#closing.length > 0) return undefined
    const entering =
      (this.#waiting.length > 0 && this.#running.length < this.#options.sequences) ||
      this.#running.some(
        (s) =>
          s.prefilling || (s.ready && (s.lane === flight.lane || !this.#busyLanes.has(s.lane))),
      )
    if (entering || !flight.members.every((s) => s.goesOn(this.#options.context))) return undefined
    return flight.members.map((s) => {
      const token = s.forced
      const row = { sequence: s.number, branch: 0, position: s.sent, rows: 1, wanted: 1 }
      return token === undefined ? row : { ...row, token }
    })
  }

  /**
   * A visit has come back.
   * @param results one for each row that it wanted
   * @returns what to tell the owners; nothing for a visit that is not awaited (stale)
   */
  complete(number: number, results: readonly HeadResult[]): Outcome[] {
    const flight = this.#inFlight.get(number)
    if (!flight) return []
    this.#inFlight.delete(number)
    if (flight.lane !== undefined) this.#busyLanes.delete(flight.lane)
    const outcomes: Outcome[] = []
    let next = 0
    flight.members.forEach((sequence, i) => {
      sequence.inFlight -= 1
      const wanted = flight.visit.segments[i]?.wanted ?? 0
      if (wanted === 0) return
      const result = results[next]
      next += wanted
      if (!result || sequence.ended) return
      outcomes.push(...this.#accept(sequence, result))
    })
    return outcomes
  }

  #find(id: string): Sequence | undefined {
    return this.#running.find((s) => s.request.id === id)
  }

  #accept(sequence: Sequence, result: HeadResult): Outcome[] {
    const { id, generated } = sequence.request
    const step = generated + sequence.generated
    const reason = sequence.accept(result.token, this.#options.context)
    const { token, logprobs } = result
    const told: Outcome = {
      kind: 'token',
      token: { id, step, token, ...(logprobs && { logprobs }) },
    }
    if (!reason) return [told]
    this.#end(sequence)
    return [told, { kind: 'end', end: { id, reason } }]
  }

  #end(sequence: Sequence): void {
    sequence.ended = true
    this.#running = this.#running.filter((s) => s !== sequence)
    this.#closing.push(sequence.number)
  }

  /** Starts waiting requests while there are places. */
  #admit(): KvOperation[] {
    const opening: KvOperation[] = []
    while (this.#running.length < this.#options.sequences) {
      const request = this.#waiting.shift()
      if (!request) break
      const sequence = new Sequence(request, this.#nextSequence++, this.#emptiestLane())
      this.#running.push(sequence)
      opening.push({ kind: 'open', sequence: sequence.number })
    }
    return opening
  }

  /** Whether every lane that decodes has had its turn since the last chunk. */
  get #chunkIsDue(): boolean {
    const lanes = new Set(this.#running.filter((s) => s.generated > 0).map((s) => s.lane))
    return this.#decodesSinceChunk >= lanes.size
  }

  #inLane(lane: number): number {
    return this.#running.filter((s) => s.lane === lane).length
  }

  #emptiestLane(): number {
    let best = 0
    let fewest = Number.POSITIVE_INFINITY
    for (let lane = 0; lane < this.#lanes; lane++) {
      const count = this.#inLane(lane)
      if (count < fewest) {
        best = lane
        fewest = count
      }
    }
    return best
  }

  /** The free lane whose ready sequences have waited longest, and those sequences. */
  #decodeVisit(): { lane: number; members: Sequence[] } | undefined {
    const ready = this.#running.filter((s) => s.ready && !this.#busyLanes.has(s.lane))
    const oldest = ready.reduce<Sequence | undefined>(
      (a, b) => (a === undefined || b.turn < a.turn ? b : a),
      undefined,
    )
    if (!oldest) return undefined
    const { lane } = oldest
    this.#spread(lane)
    const members = ready
      .filter((s) => s.lane === lane)
      .sort((a, b) => a.turn - b.turn || a.number - b.number)
      .slice(0, limits.segments)
    // In the order of their numbers, so that a lane's sequences keep their places in memory.
    return { lane, members: members.sort((a, b) => a.number - b.number) }
  }

  /** Moves ready sequences out of an overfull lane when another has become much emptier. */
  #spread(lane: number): void {
    for (;;) {
      const to = this.#emptiestLane()
      const movable = this.#running.filter((s) => s.lane === lane && s.ready)
      if (movable.length < 2 || this.#inLane(lane) - this.#inLane(to) < 2) return
      const last = movable.at(-1) as Sequence
      last.lane = to
    }
  }

  /** The sequence whose prompt's next chunk may enter; prompts take turns. */
  #chunkSequence(): Sequence | undefined {
    const chunks = [...this.#inFlight.values()].filter((f) => f.lane === undefined).length
    const decoding = this.#running.some((s) => s.generated > 0)
    const most = decoding ? Math.max(1, this.#options.stages >> 1) : this.#options.stages
    // Visits of very different lengths leave gaps in the stages unless some more are on the
    // way than there are stages.
    const enough = 1.5 * this.#options.stages
    if (chunks >= most && this.#inFlight.size > enough) return undefined
    return this.#running
      .filter((s) => s.prefilling)
      .reduce<Sequence | undefined>(
        (a, b) => (a === undefined || b.turn < a.turn ? b : a),
        undefined,
      )
  }

  #launch(members: Sequence[], lane: number | undefined, opening: KvOperation[]): Visit {
    const segments: Segment[] = []
    const head: HeadRequest[] = []
    const tokens: number[] = []
    for (const s of members) {
      const rows = Math.min(s.pending, this.#options.chunkRows)
      const wanted = rows === s.pending ? 1 : 0
      segments.push({ sequence: s.number, branch: 0, position: s.sent, rows, wanted })
      tokens.push(...s.tokens.slice(s.sent, s.sent + rows))
      if (wanted) head.push(s.headRequest())
      s.sent += rows
      s.inFlight += 1
      s.turn = ++this.#turn
    }
    const closing = this.#closing.splice(0, limits.operations - opening.length)
    const operations: KvOperation[] = [
      ...closing.map((sequence): KvOperation => ({ kind: 'close', sequence })),
      ...opening,
    ]
    const number = this.takeNumber()
    const visit = { number, operations, segments, tokens: Int32Array.from(tokens), head }
    this.#inFlight.set(number, { visit, members, lane })
    if (lane !== undefined) this.#busyLanes.add(lane)
    return visit
  }
}
