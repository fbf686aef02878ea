/**
 * The data plane's frame: a fixed header, the tables of segments and of KV operations,
 * and the body. The tables of fields below are the one definition of its bytes.
 *
 * The header has a checksum of its own, so nothing that it declares is believed, and
 * nothing allocated, before that was right; every length is then held against its bound.
 */
import { limits } from '../limits.ts'
import { defineLayout, describeLayout } from './bytes.ts'

/** Version of this format; peers of different versions refuse each other. */
export const PROTOCOL = 1
/** The bytes "MDIF". */
export const MAGIC = 0x4649444d

/** A part of a visit: consecutive rows of one sequence. */
export type Segment = {
  /** The sequence's number, given by the starter; unique in the ring's life. */
  sequence: number
  /** Stale speculation is told by it; 0 without speculation. */
  branch: number
  /** Position of the first row in the sequence. */
  position: number
  rows: number
  /** How many of the last rows go to the head (0 within a prompt). */
  wanted: number
}

/** A change of KV state; it travels in the same ordered stream as the rows. */
export type KvOperation =
  | { kind: 'open'; sequence: number }
  /** Keeps the first `length` positions. */
  | { kind: 'truncate'; sequence: number; length: number }
  /** Copies the first `length` positions of `from` into `sequence` (a shared prefix). */
  | { kind: 'copy'; sequence: number; from: number; length: number }
  | { kind: 'close'; sequence: number }
  /** Closes every sequence (the starter's first visit of a ring); `sequence` is 0. */
  | { kind: 'reset'; sequence: number }

/** How activations are written on the wire. */
export type WireType = 'fp32' | 'fp16'

type KindRow = {
  code: number
  body: 'none' | 'json' | 'activations' | 'bytes'
  /** Bytes that the body may have. */
  max: number
  about: string
}

const json = limits.frameJsonBytes

/** Every kind of frame. */
export const kinds = {
  hello: { code: 1, body: 'json', max: limits.helloBytes, about: 'who dials, and what for' },
  welcome: { code: 2, body: 'json', max: limits.helloBytes, about: 'who answers' },
  refuse: { code: 3, body: 'json', max: limits.helloBytes, about: 'why the link is refused' },
  probe: { code: 4, body: 'none', max: 0, about: 'asks for a `probe-reply` of the same number' },
  'probe-reply': { code: 5, body: 'none', max: 0, about: 'answers a `probe`' },
  visit: {
    code: 6,
    body: 'activations',
    max: limits.frameBodyBytes,
    about: 'KV operations, then rows to compute; at the starter: the rows wanted',
  },
  fetch: { code: 7, body: 'json', max: limits.helloBytes, about: 'asks for one chunk' },
  chunk: {
    code: 8,
    body: 'bytes',
    max: limits.chunkBytes + 32,
    about: 'SHA-256 of the data (32 bytes), then the data',
  },
  'fetch-error': { code: 9, body: 'json', max: limits.helloBytes, about: 'why there is no chunk' },
  open: { code: 10, body: 'json', max: json, about: 'a request, from its owner to the starter' },
  cancel: { code: 11, body: 'json', max: json, about: 'ends a request' },
  attach: {
    code: 12,
    body: 'json',
    max: json,
    about: 'asks for a request’s tokens from a step on',
  },
  token: { code: 13, body: 'json', max: json, about: 'one token of a request' },
  end: { code: 14, body: 'json', max: json, about: 'the end of a request, and why' },
  fault: {
    code: 15,
    body: 'json',
    max: limits.helloBytes,
    about: 'a node was lost; goes on along the ring to the starter',
  },
} as const satisfies Record<string, KindRow>

export type FrameKind = keyof typeof kinds

export const headerLayout = defineLayout('header', 40, [
  { name: 'magic', type: 'u32', offset: 0, about: '4d 44 49 46, "MDIF"' },
  { name: 'protocol', type: 'u16', offset: 4, about: `version of this format, now ${PROTOCOL}` },
  { name: 'kind', type: 'u8', offset: 6, about: 'see the table of kinds' },
  { name: 'wire', type: 'u8', offset: 7, about: 'activations: 0 none, 1 fp32, 2 fp16' },
  { name: 'epoch', type: 'u32', offset: 8, about: 'epoch of the plan' },
  { name: 'number', type: 'u32', offset: 12, about: 'ordinal of the visit, probe or fetch' },
  { name: 'segments', type: 'u16', offset: 16, about: 'how many segments' },
  { name: 'operations', type: 'u16', offset: 18, about: 'how many KV operations' },
  { name: 'rows', type: 'u32', offset: 20, about: 'rows of activations' },
  { name: 'hidden', type: 'u32', offset: 24, about: 'activations in a row' },
  { name: 'body', type: 'u32', offset: 28, about: 'bytes of the body' },
  { name: 'contentCrc', type: 'u32', offset: 32, about: 'CRC-32 of the tables and the body' },
  { name: 'headerCrc', type: 'u32', offset: 36, about: 'CRC-32 of the 36 bytes before it' },
])

export const segmentLayout = defineLayout('segment', 14, [
  { name: 'sequence', type: 'u32', offset: 0, about: 'the sequence’s number' },
  { name: 'branch', type: 'u16', offset: 4, about: 'tells stale speculation' },
  { name: 'position', type: 'u32', offset: 6, about: 'position of the first row' },
  { name: 'rows', type: 'u16', offset: 10, about: 'rows of this sequence' },
  { name: 'wanted', type: 'u16', offset: 12, about: 'how many of the last rows go to the head' },
])

export const operationLayout = defineLayout('KV operation', 13, [
  { name: 'kind', type: 'u8', offset: 0, about: '1 open, 2 truncate, 3 copy, 4 close, 5 reset' },
  { name: 'sequence', type: 'u32', offset: 1, about: 'the sequence that changes' },
  { name: 'from', type: 'u32', offset: 5, about: 'copy: the sequence that is read' },
  { name: 'length', type: 'u32', offset: 9, about: 'truncate, copy: positions kept or copied' },
])

export const HEADER_BYTES = headerLayout.bytes

/** Bytes of one activation. */
export const wireBytes = { fp32: 4, fp16: 2 } as const satisfies Record<WireType, number>

/** Activations with the operations before them: `rows × hidden` of `wire` in the body. */
export type VisitFrame = {
  kind: 'visit'
  epoch: number
  /** Ordinal of the visit, given by the starter. */
  number: number
  wire: WireType
  segments: Segment[]
  /** Applied before the rows are computed. */
  operations: KvOperation[]
  /** Rows in the body: all of the segments', or (to the starter) those wanted. */
  rows: number
  hidden: number
  body: Uint8Array
}

/** Any other frame. */
export type PlainFrame = {
  kind: Exclude<FrameKind, 'visit'>
  epoch: number
  number: number
  body: Uint8Array
}

export type Frame = VisitFrame | PlainFrame

/** A plain frame on its way out: the body may be in several pieces. */
export type PlainDraft = Omit<PlainFrame, 'body'> & { body?: Uint8Array | readonly Uint8Array[] }

/** What was wrong with bytes that should have been a frame. */
export class FrameError extends Error {
  /** `protocol`: it is a frame, but of another version. */
  readonly reason: 'garbage' | 'protocol' | 'damaged' | 'too-large' | 'unexpected'
  constructor(reason: FrameError['reason'], message: string) {
    super(message)
    this.name = 'FrameError'
    this.reason = reason
  }
}

/** What contradicts itself in a visit, or undefined. */
export const visitProblem = (visit: VisitFrame): string | undefined => {
  const { segments, rows, hidden, body } = visit
  const all = segments.reduce((sum, s) => sum + s.rows, 0)
  const wanted = segments.reduce((sum, s) => sum + s.wanted, 0)
  if (segments.some((s) => s.rows === 0)) return 'a segment has no rows'
  if (segments.some((s) => s.wanted > s.rows)) return 'a segment wants more rows than it has'
  if (segments.length > limits.segments) return `${segments.length} segments in one visit`
  if (visit.operations.length > limits.operations)
    return `${visit.operations.length} KV operations in one visit`
  if (all > limits.visitRows) return `${all} rows in one visit`
  if (rows !== all && rows !== wanted)
    return `${rows} rows, but its segments have ${all} and want ${wanted}`
  if (hidden > limits.modelHidden) return `a hidden size of ${hidden}`
  if (body.length !== rows * hidden * wireBytes[visit.wire])
    return `${body.length} bytes for ${rows} rows of ${hidden} ${visit.wire}`
  return undefined
}

/** The frame format as Markdown. */
export const describeFrames = (): string =>
  [
    ...[headerLayout, segmentLayout, operationLayout].map(describeLayout),
    [
      '| kind | code | body | bytes at most | |',
      '|---|---|---|---|---|',
      ...Object.entries(kinds).map(
        ([name, k]) => `| ${name} | ${k.code} | ${k.body} | ${k.max} | ${k.about} |`,
      ),
    ].join('\n'),
  ].join('\n\n')

if (
  limits.segments * segmentLayout.bytes +
    limits.operations * operationLayout.bytes +
    headerLayout.bytes >
  limits.frameHeaderBytes
)
  throw new Error('limits: the tables of a visit do not fit into frameHeaderBytes')
