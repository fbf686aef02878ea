/** What goes round the ring once, as the starter plans it and as a frame. Pure. */
import type { HeadRequest } from '../ports.ts'
import { packActivations } from '../wire/codec.ts'
import type { KvOperation, Segment, VisitFrame, WireType } from '../wire/frame.ts'

export type Visit = {
  /** Ordinal, growing. */
  number: number
  operations: KvOperation[]
  segments: Segment[]
  /** Token ids of the segments' rows. */
  tokens: Int32Array
  /** One for each row wanted. */
  head: HeadRequest[]
}

/** A visit that closes every sequence of every stage. */
export const resetVisit = (number: number): Visit => ({
  number,
  operations: [{ kind: 'reset', sequence: 0 }],
  segments: [],
  tokens: new Int32Array(0),
  head: [],
})

/** What a stage sends on of a visit: the rows that it computed, under the same number. */
export const visitFrame = (
  { number, segments, operations }: Pick<VisitFrame, 'number' | 'segments' | 'operations'>,
  x: Float32Array,
  { epoch, wire, hidden }: { epoch: number; wire: WireType; hidden: number },
): VisitFrame => ({
  kind: 'visit',
  epoch,
  number,
  wire,
  segments,
  operations,
  rows: x.length / hidden,
  hidden,
  body: packActivations(x, wire),
})
