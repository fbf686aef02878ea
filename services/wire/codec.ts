/** Frames to bytes and back, after the tables in `frame.ts`. */
import { limits } from '../limits.ts'
import { asFloat32, bytesOf, checksum, halfToFloat32, toHalf, viewOf } from './bytes.ts'
import type {
  Frame,
  FrameKind,
  KvOperation,
  PlainDraft,
  PlainFrame,
  Segment,
  VisitFrame,
  WireType,
} from './frame.ts'
import {
  FrameError,
  HEADER_BYTES,
  headerLayout as header,
  kinds,
  MAGIC,
  operationLayout as operation,
  PROTOCOL,
  segmentLayout as segment,
  visitProblem,
  wireBytes,
} from './frame.ts'

const CRC_AT = HEADER_BYTES - 4
const kindOf = new Map<number, FrameKind>(
  (Object.keys(kinds) as FrameKind[]).map((name) => [kinds[name].code, name]),
)
const wireCodes = { none: 0, fp32: 1, fp16: 2 } as const
const operationKinds = ['open', 'truncate', 'copy', 'close', 'reset'] as const

const writeTables = (frame: VisitFrame): Uint8Array => {
  const { segments, operations } = frame
  const tables = new Uint8Array(
    segments.length * segment.bytes + operations.length * operation.bytes,
  )
  const view = viewOf(tables)
  let at = 0
  for (const s of segments) {
    segment.write(view, at, s)
    at += segment.bytes
  }
  for (const o of operations) {
    operation.write(view, at, {
      kind: operationKinds.indexOf(o.kind) + 1,
      sequence: o.sequence,
      from: o.kind === 'copy' ? o.from : 0,
      length: o.kind === 'copy' || o.kind === 'truncate' ? o.length : 0,
    })
    at += operation.bytes
  }
  return tables
}

/**
 * Encodes a frame. The body is not copied: it must not change until it is sent.
 * @returns pieces to be written one after the other
 * @throws RangeError when a number does not fit its field (a mistake of the caller)
 */
export const encodeFrame = (frame: VisitFrame | PlainDraft): Uint8Array[] => {
  const visit = frame.kind === 'visit' ? frame : undefined
  const body = frame.body === undefined ? [] : [frame.body].flat()
  const length = body.reduce((sum, part) => sum + part.length, 0)
  const tables = visit ? writeTables(visit) : new Uint8Array(0)
  if (visit) {
    const problem = visitProblem(visit)
    if (problem) throw new RangeError(problem)
  }
  if (length > kinds[frame.kind].max)
    throw new RangeError(`a ${frame.kind} of ${length} bytes is beyond ${kinds[frame.kind].max}`)
  const head = new Uint8Array(header.bytes + tables.length)
  const view = viewOf(head)
  header.write(view, 0, {
    magic: MAGIC,
    protocol: PROTOCOL,
    kind: kinds[frame.kind].code,
    wire: wireCodes[visit ? visit.wire : 'none'],
    epoch: frame.epoch,
    number: frame.number,
    segments: visit ? visit.segments.length : 0,
    operations: visit ? visit.operations.length : 0,
    rows: visit ? visit.rows : 0,
    hidden: visit ? visit.hidden : 0,
    body: length,
    contentCrc: checksum(tables, ...body),
    headerCrc: 0,
  })
  view.setUint32(CRC_AT, checksum(head.subarray(0, CRC_AT)), true)
  head.set(tables, header.bytes)
  return [head, ...body.filter((part) => part.length > 0)]
}

/** How many bytes a body of this kind may have now; undefined: none of it is expected. */
export type Accept = (kind: FrameKind) => number | undefined

/** What a header declares, checked. */
export type Declared = {
  kind: FrameKind
  epoch: number
  number: number
  wire: WireType | undefined
  segments: number
  operations: number
  rows: number
  hidden: number
  /** Bytes of both tables, and of the body. */
  tables: number
  body: number
  contentCrc: number
}

const damaged = (message: string): FrameError => new FrameError('damaged', message)

/**
 * Whether bytes can be the start of a frame: tells garbage at its first byte.
 * @param start as much of the header as has arrived
 */
export const looksLikeFrame = (start: Uint8Array): boolean => {
  for (let i = 0; i < Math.min(4, start.length); i++)
    if (start[i] !== ((MAGIC >>> (8 * i)) & 0xff)) return false
  return true
}

/**
 * Reads and checks a header.
 * @param bytes at least `HEADER_BYTES`
 * @param accept bytes that a body of this kind may have now; undefined: none is expected
 * @throws FrameError
 */
export const readHeader = (bytes: Uint8Array, accept: Accept): Declared => {
  const h = header.read(viewOf(bytes), 0)
  if (h.magic !== MAGIC) throw new FrameError('garbage', 'what arrived is no frame')
  // The version comes before the checksum, whose place another version may change.
  if (h.protocol !== PROTOCOL)
    throw new FrameError(
      'protocol',
      `the peer speaks version ${h.protocol} of the frame format, this node version ${PROTOCOL}`,
    )
  if (h.headerCrc !== checksum(bytes.subarray(0, CRC_AT)))
    throw damaged('a frame’s header is damaged: its checksum is wrong')
  const kind = kindOf.get(h.kind)
  if (!kind) throw damaged(`a frame is of the unknown kind ${h.kind}`)
  const wire = h.wire === 1 ? 'fp32' : h.wire === 2 ? 'fp16' : undefined
  const isVisit = kind === 'visit'
  if (isVisit ? !wire : h.wire !== 0) throw damaged(`a ${kind} has the wire type ${h.wire}`)
  if (!isVisit && (h.segments || h.operations || h.rows || h.hidden))
    throw damaged(`a ${kind} has segments or rows`)
  const accepted = accept(kind)
  if (accepted === undefined)
    throw new FrameError('unexpected', `a ${kind} is not expected on this link`)
  const max = Math.min(kinds[kind].max, accepted)
  const tables = h.segments * segment.bytes + h.operations * operation.bytes
  if (h.segments > limits.segments || h.operations > limits.operations)
    throw new FrameError(
      'too-large',
      `a visit has ${h.segments} segments and ${h.operations} KV operations`,
    )
  if (h.body > max)
    throw new FrameError('too-large', `a ${kind} declares ${h.body} bytes; at most ${max} go`)
  if (isVisit && wire && h.body !== h.rows * h.hidden * wireBytes[wire])
    throw damaged(`a visit has ${h.body} bytes for ${h.rows} rows of ${h.hidden} ${wire}`)
  const { epoch, number, segments, operations, rows, hidden, body, contentCrc } = h
  return {
    kind,
    epoch,
    number,
    wire,
    segments,
    operations,
    rows,
    hidden,
    tables,
    body,
    contentCrc,
  }
}

const readOperation = (view: DataView, at: number): KvOperation => {
  const { kind, sequence, from, length } = operation.read(view, at)
  const name = operationKinds[kind - 1]
  if (name === 'open' || name === 'close' || name === 'reset') {
    if (from || length) throw damaged(`a KV operation ${name} has unused fields set`)
    return { kind: name, sequence }
  }
  if (name === 'copy') return { kind: name, sequence, from, length }
  if (name !== 'truncate') throw damaged(`a KV operation is of the unknown kind ${kind}`)
  if (from) throw damaged('a KV operation truncate has unused fields set')
  return { kind: name, sequence, length }
}

/**
 * Puts a frame together from its checked header, tables and body. The body is not copied.
 * @throws FrameError when the content is damaged or contradicts itself
 */
export const readContent = (declared: Declared, tables: Uint8Array, body: Uint8Array): Frame => {
  const { kind, epoch, number, wire, rows, hidden } = declared
  if (checksum(tables, body) !== declared.contentCrc)
    throw damaged(`a ${kind} is damaged: the checksum of its content is wrong`)
  if (kind !== 'visit' || !wire) return { kind: kind as PlainFrame['kind'], epoch, number, body }
  const view = viewOf(tables)
  const segments: Segment[] = []
  const operations: KvOperation[] = []
  let at = 0
  for (; segments.length < declared.segments; at += segment.bytes)
    segments.push(segment.read(view, at))
  for (; operations.length < declared.operations; at += operation.bytes)
    operations.push(readOperation(view, at))
  const visit: VisitFrame = {
    kind,
    epoch,
    number,
    wire,
    segments,
    operations,
    rows,
    hidden,
    body,
  }
  const problem = visitProblem(visit)
  if (problem) throw damaged(`a visit contradicts itself: ${problem}`)
  return visit
}

/** A visit's body from activations `[rows, hidden]`; fp32 is not copied. */
export const packActivations = (x: Float32Array, wire: WireType): Uint8Array =>
  wire === 'fp32' ? bytesOf(x) : bytesOf(toHalf(x))

/** A visit's activations `[rows, hidden]`; fp32 shares the frame's memory. */
export const unpackActivations = (visit: Pick<VisitFrame, 'wire' | 'body'>): Float32Array =>
  visit.wire === 'fp32' ? asFloat32(visit.body) : halfToFloat32(visit.body)
