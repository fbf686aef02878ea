/**
 * The KV cache of one node: for each sequence and layer, rotated keys and values
 * `[kvHeads, capacity, headDim]`.
 *
 * Attention reads the buffers where they stand, and its cost follows the capacity that is
 * fed, not the rows used; so capacity follows the length closely. Sequences that
 * decode together stand side by side in one buffer `[slots, kvHeads, capacity, headDim]`,
 * so that one call attends for all of them; they are moved there when they first meet.
 */
import { MdiError } from '../../errors.ts'
import type { KvOperation, Segment } from '../../ports.ts'

/** Sequences whose capacities differ by more than this factor are not packed together. */
const PACK_RATIO = 4
const CAPACITY_STEP = 32

type Buffers = { k: Float32Array; v: Float32Array }
/** Side-by-side sequences: one buffer pair a layer. */
export type Pool = { slots: number; capacity: number; layers: Buffers[] }
type Sequence = { pool: Pool; slot: number; length: number }

/** Segments that one pass through the layers computes: all of one row, or one alone. */
export type Group = {
  /** Indices into the visit's segments. */
  members: number[]
  pool: Pool
  firstSlot: number
  /** Rows of each member. */
  rows: number
}

export type KvShape = { layers: number; kvHeads: number; headDim: number; context: number }

const capacityFor = (length: number, context: number): number => {
  const roomy = Math.ceil((length * 1.25) / CAPACITY_STEP) * CAPACITY_STEP
  return Math.max(length, Math.min(context, roomy))
}

export class KvCache {
  readonly #shape: KvShape
  readonly #sequences = new Map<number, Sequence>()

  constructor(shape: KvShape) {
    this.#shape = shape
  }

  /** Bytes of all buffers. */
  get bytes(): number {
    const pools = new Set([...this.#sequences.values()].map((s) => s.pool))
    return [...pools].reduce((sum, p) => sum + p.slots * this.#slotBytes(p.capacity), 0)
  }

  #slotBytes(capacity: number): number {
    return this.#shape.layers * 2 * 4 * this.#rowFloats * capacity
  }

  get #rowFloats(): number {
    return this.#shape.kvHeads * this.#shape.headDim
  }

  /** Applies changes in order. Closing or truncating what is not there is no error. */
  apply(operations: readonly KvOperation[]): void {
    for (const op of operations) {
      if (op.kind === 'open') {
        this.#sequences.set(op.sequence, { pool: this.#pool(1, 0), slot: 0, length: 0 })
      } else if (op.kind === 'close') this.#sequences.delete(op.sequence)
      else if (op.kind === 'reset') this.#sequences.clear()
      else if (op.kind === 'truncate') {
        const s = this.#sequences.get(op.sequence)
        if (s) s.length = Math.min(s.length, op.length)
      } else this.#copy(op.sequence, op.from, op.length)
    }
  }

  /** Drops every sequence. */
  clear(): void {
    this.#sequences.clear()
  }

  /**
   * Makes room for the segments' rows and groups them into passes: rows of one are packed
   * side by side, longer ones run alone.
   */
  plan(segments: readonly Segment[]): Group[] {
    for (const s of segments) this.#grow(s)
    const groups: Group[] = []
    const single: number[] = []
    segments.forEach((s, i) => {
      if (s.rows === 1) single.push(i)
      else groups.push(this.#alone(segments, i))
    })
    for (const members of this.#similar(segments, single)) {
      if (members.length === 1) groups.push(this.#alone(segments, members[0] as number))
      else groups.push(this.#packed(segments, members))
    }
    return groups
  }

  /** Positions before the segment's rows: its sequence's length now. */
  lengthOf(sequence: number): number {
    return this.#get(sequence).length
  }

  /**
   * Stores one layer's new rows of a group.
   * @param newK, newV `[members · rows, kvHeads · headDim]`
   */
  store(
    layer: number,
    group: Group,
    segments: readonly Segment[],
    newK: Float32Array,
    newV: Float32Array,
  ): void {
    const { kvHeads, headDim } = this.#shape
    const width = this.#rowFloats
    const buffers = group.pool.layers[layer] as Buffers
    const stride = group.pool.capacity * headDim
    group.members.forEach((index, m) => {
      const position = (segments[index] as Segment).position
      const slot = (group.firstSlot + m) * kvHeads * stride
      for (let r = 0; r < group.rows; r++) {
        const from = (m * group.rows + r) * width
        for (let h = 0; h < kvHeads; h++) {
          const to = slot + h * stride + (position + r) * headDim
          const at = from + h * headDim
          buffers.k.set(newK.subarray(at, at + headDim), to)
          buffers.v.set(newV.subarray(at, at + headDim), to)
        }
      }
    })
  }

  /** Counts the group's rows as stored, after the last layer. */
  advance(segments: readonly Segment[]): void {
    for (const s of segments) this.#get(s.sequence).length = s.position + s.rows
  }

  /** The buffers of a group's members in one layer, without copying. */
  view(layer: number, group: Group): Buffers {
    const { pool, firstSlot, members } = group
    const floats = this.#rowFloats * pool.capacity
    const { k, v } = pool.layers[layer] as Buffers
    const [from, to] = [firstSlot * floats, (firstSlot + members.length) * floats]
    return { k: k.subarray(from, to), v: v.subarray(from, to) }
  }

  #get(sequence: number): Sequence {
    const s = this.#sequences.get(sequence)
    if (!s) throw new MdiError('not-found', `Sequence ${sequence} is not open on this node.`)
    return s
  }

  #pool(slots: number, capacity: number): Pool {
    const floats = slots * this.#rowFloats * capacity
    const layers = Array.from({ length: this.#shape.layers }, () => ({
      k: new Float32Array(floats),
      v: new Float32Array(floats),
    }))
    return { slots, capacity, layers }
  }

  #alone(segments: readonly Segment[], index: number): Group {
    const segment = segments[index] as Segment
    const s = this.#get(segment.sequence)
    return { members: [index], pool: s.pool, firstSlot: s.slot, rows: segment.rows }
  }

  /** Splits single-row segments into lists of similar capacity, each in order of its slots. */
  #similar(segments: readonly Segment[], indices: readonly number[]): number[][] {
    const of = (i: number) => this.#get((segments[i] as Segment).sequence)
    const sorted = [...indices].sort((a, b) => of(a).pool.capacity - of(b).pool.capacity)
    const lists: number[][] = []
    for (const i of sorted) {
      const list = lists.at(-1)
      const smallest = list?.[0]
      if (
        list &&
        smallest !== undefined &&
        of(i).pool.capacity <= PACK_RATIO * of(smallest).pool.capacity
      )
        list.push(i)
      else lists.push([i])
    }
    for (const list of lists) list.sort((a, b) => of(a).slot - of(b).slot)
    return lists
  }

  #packed(segments: readonly Segment[], members: number[]): Group {
    const all = members.map((i) => this.#get((segments[i] as Segment).sequence))
    const first = all[0] as Sequence
    const inPlace = all.every((s, i) => s.pool === first.pool && s.slot === first.slot + i)
    if (!inPlace) {
      const capacity = Math.max(...all.map((s) => s.pool.capacity))
      this.#move(all, this.#pool(all.length, capacity))
    }
    return { members, pool: first.pool, firstSlot: first.slot, rows: 1 }
  }

  #grow(segment: Segment): void {
    const s = this.#get(segment.sequence)
    if (segment.position !== s.length) {
      throw new MdiError(
        'bad-value',
        `Sequence ${segment.sequence} stands at position ${s.length}, not ${segment.position}.`,
      )
    }
    const needed = segment.position + segment.rows
    if (needed > this.#shape.context) {
      throw new MdiError(
        'too-long',
        `Sequence ${segment.sequence} needs ${needed} positions; the context holds ${this.#shape.context}.`,
      )
    }
    if (needed <= s.pool.capacity) return
    const mates = [...this.#sequences.values()].filter((o) => o.pool === s.pool)
    mates.sort((a, b) => a.slot - b.slot)
    this.#move(mates, this.#pool(mates.length, capacityFor(needed, this.#shape.context)))
  }

  /** Copies the sequences' rows into a new pool, layer by layer, dropping the old as it goes. */
  #move(sequences: readonly Sequence[], pool: Pool): void {
    for (let layer = 0; layer < this.#shape.layers; layer++) {
      const to = pool.layers[layer] as Buffers
      sequences.forEach((s, slot) => {
        const from = s.pool.layers[layer] as Buffers
        this.#copyRows(from, s.pool.capacity, s.slot, to, pool.capacity, slot, s.length)
      })
    }
    sequences.forEach((s, slot) => {
      s.pool = pool
      s.slot = slot
    })
  }

  #copyRows(
    from: Buffers,
    fromCapacity: number,
    fromSlot: number,
    to: Buffers,
    toCapacity: number,
    toSlot: number,
    rows: number,
  ): void {
    const { kvHeads, headDim } = this.#shape
    for (let h = 0; h < kvHeads; h++) {
      const a = (fromSlot * kvHeads + h) * fromCapacity * headDim
      const b = (toSlot * kvHeads + h) * toCapacity * headDim
      to.k.set(from.k.subarray(a, a + rows * headDim), b)
      to.v.set(from.v.subarray(a, a + rows * headDim), b)
    }
  }

  #copy(sequence: number, from: number, length: number): void {
    const source = this.#get(from)
    const rows = Math.min(length, source.length)
    const pool = this.#pool(1, capacityFor(rows, this.#shape.context))
    for (let layer = 0; layer < this.#shape.layers; layer++) {
      const to = pool.layers[layer] as Buffers
      const buffers = source.pool.layers[layer] as Buffers
      this.#copyRows(buffers, source.pool.capacity, source.slot, to, pool.capacity, 0, rows)
    }
    this.#sequences.set(sequence, { pool, slot: 0, length: rows })
  }
}
