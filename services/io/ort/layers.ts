/**
 * The decoder layers that a node holds: one session a layer, all fed with the same rotary
 * tables, and the KV cache they share.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-node'
import { MdiError } from '../../errors.ts'
import { encodeLayer, type LayerPlan } from '../../graph/layer.ts'
import { ropeTables } from '../../graph/rope.ts'
import { matricesOf } from '../../graph/runtime.ts'
import { layerRope, type ModelSpec, type RopeSpec } from '../../model/spec.ts'
import type { Arithmetic, KvOperation, Segment } from '../../ports.ts'
import { type Group, KvCache } from './kv.ts'
import type { Materialized } from './materialize.ts'
import { type Feeds, float, floats, int32, int64, openSession } from './session.ts'

/** The layer's matrices and norms out of its record. */
export const layerPlan = (m: Materialized): LayerPlan => {
  const one = (name: string) => {
    const [matrix] = matricesOf(m.plan, [name])
    if (!matrix) throw new Error(`no matrix ${name}`)
    return matrix
  }
  return {
    qkv: matricesOf(m.plan, ['attn_q', 'attn_k', 'attn_v']),
    output: one('attn_output'),
    gateUp: matricesOf(m.plan, ['ffn_gate', 'ffn_up']),
    down: one('ffn_down'),
    vector: (name) => {
      const v = m.vectors.get(name)
      if (v) return v
      const message = `A weight record lacks its tensor ${name}; import the model again.`
      throw new MdiError('bad-file', message)
    },
  }
}

/** A layer's open session, under what it was made from. */
export type OpenLayer = { key: string; session: InferenceSession }

/** Opens one layer's session. @param key tells record, form and arithmetic */
export const openLayer = async (
  spec: ModelSpec,
  layer: number,
  m: Materialized,
  arithmetic: Arithmetic,
  folder: string,
  threads: number,
  key: string,
): Promise<OpenLayer> => {
  const model = encodeLayer(spec, layer, layerPlan(m), arithmetic, m.file)
  return { key, session: await openSession(model, folder, threads) }
}

type Tables = { cos: Tensor; sin: Tensor }

const tablesOf = (rope: RopeSpec, context: number): Tables => {
  const { cos, sin, half } = ropeTables(rope, context)
  return { cos: float(cos, [context, half]), sin: float(sin, [context, half]) }
}

/** Consecutive layers of one model, and the sequences' caches in them. */
export class Layers {
  readonly #spec: ModelSpec
  readonly #sessions: readonly InferenceSession[]
  readonly #kv: KvCache
  /** Rotary tables of each layer; most share one. */
  readonly #tables: readonly Tables[]

  /** @param first index of the first of these layers in the model */
  constructor(spec: ModelSpec, first: number, layers: readonly OpenLayer[], context: number) {
    this.#spec = spec
    this.#sessions = layers.map((l) => l.session)
    this.#kv = new KvCache({
      layers: layers.length,
      kvHeads: spec.kvHeads,
      headDim: spec.headDim,
      context,
    })
    const made = new Map<RopeSpec, Tables>()
    this.#tables = layers.map((_, i) => {
      const rope = layerRope(spec, first + i)
      const tables = made.get(rope) ?? tablesOf(rope, context)
      made.set(rope, tables)
      return tables
    })
  }

  /** Bytes of KV buffers. */
  get kvBytes(): number {
    return this.#kv.bytes
  }

  kv(operations: readonly KvOperation[]): void {
    this.#kv.apply(operations)
  }

  /** See `Engine.run`. */
  async run(
    segments: readonly Segment[],
    x: Float32Array,
    wantedOnly: boolean,
  ): Promise<Float32Array> {
    const { hidden } = this.#spec
    const starts: number[] = []
    let rows = 0
    for (const s of segments) {
      starts.push(rows)
      rows += s.rows
    }
    if (x.length !== rows * hidden)
      throw new Error(`${x.length} activations for ${rows} rows of ${hidden}`)
    const y = new Float32Array(x.length)
    for (const group of this.#kv.plan(segments)) {
      const input = gather(x, group, starts, hidden)
      const output = await this.#pass(group, segments, input)
      group.members.forEach((index, m) => {
        const floats = group.rows * hidden
        y.set(output.subarray(m * floats, (m + 1) * floats), (starts[index] as number) * hidden)
      })
    }
    this.#kv.advance(segments)
    return wantedOnly ? wantedRows(segments, y, hidden) : y
  }

  /** One group of rows through all layers. */
  async #pass(group: Group, segments: readonly Segment[], x: Float32Array): Promise<Float32Array> {
    const { kvHeads, headDim, hidden } = this.#spec
    const batch = group.members.length
    const of = group.members.map((i) => segments[i] as Segment)
    const positions = of.flatMap((s) => Array.from({ length: s.rows }, (_, r) => s.position + r))
    const ends = of.map((s) => s.position + s.rows)
    const shared: Feeds = {
      positions: int64(positions, [1, positions.length]),
      shape: int64([batch, group.rows, -1], [3]),
      lengths: int32(
        ends.map((n) => n - 1),
        [batch],
      ),
      total: int32([Math.max(...ends)], [1]),
    }
    const cache = [batch, kvHeads, group.pool.capacity, headDim]
    let state = float(x, [positions.length, hidden])
    for (let layer = 0; layer < this.#sessions.length; layer++) {
      const { k, v } = this.#kv.view(layer, group)
      const session = this.#sessions[layer] as InferenceSession
      const out = await session.run({
        ...shared,
        ...this.#tables[layer],
        x: state,
        pastK: float(k, cache),
        pastV: float(v, cache),
      })
      this.#kv.store(layer, group, segments, floats(out.newK), floats(out.newV))
      state = out.y as Tensor
    }
    return floats(state)
  }
}

const gather = (
  x: Float32Array,
  group: Group,
  starts: readonly number[],
  hidden: number,
): Float32Array => {
  const floats = group.rows * hidden
  const first = (starts[group.members[0] as number] as number) * hidden
  if (group.members.length === 1) return x.subarray(first, first + floats)
  const out = new Float32Array(group.members.length * floats)
  group.members.forEach((index, m) => {
    const at = (starts[index] as number) * hidden
    out.set(x.subarray(at, at + floats), m * floats)
  })
  return out
}

/** The last `wanted` rows of each segment. */
export const wantedRows = (
  segments: readonly Segment[],
  y: Float32Array,
  hidden: number,
): Float32Array => {
  const total = segments.reduce((sum, s) => sum + s.wanted, 0)
  const out = new Float32Array(total * hidden)
  let row = 0
  let at = 0
  for (const s of segments) {
    row += s.rows
    out.set(y.subarray((row - s.wanted) * hidden, row * hidden), at * hidden)
    at += s.wanted
  }
  return out
}
