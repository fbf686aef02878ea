/**
 * What the pure core asks of the world, as types only. `io/` implements them; the
 * simulation in `test/sim` does too.
 */
import type { SamplingParameters } from './model/sampler.ts'
import type { Manifest, RecordRef } from './model/spec.ts'
import type { LogLevel, ModelReference } from './wire/control.ts'
import type { Frame, KvOperation, PlainDraft, Segment, VisitFrame } from './wire/frame.ts'
import type { Hello, Purpose } from './wire/hello.ts'
import type { Peer } from './wire/values.ts'

export type { KvOperation, Segment } from './wire/frame.ts'
export type { SamplingParameters }

/** Time that never jumps: milliseconds since an arbitrary moment. */
export interface Clock {
  now(): number
  /** Calls back once after `ms`; the returned function cancels it. */
  after(ms: number, callback: () => void): () => void
}

/** The time of day, in the local time zone. */
export interface WallClock {
  /** Undefined while it is not synchronized: a board has no clock of its own. */
  now(): Date | undefined
}

/** Unpredictable numbers. */
export interface Random {
  /** An integer from 0 to 2^32 − 1. */
  uint32(): number
}

/** How far a long step is. */
export type Progress = {
  /** What is being done, in a word or two. */
  step: string
  done: number
  total: number
  unit: 'bytes' | 'layers' | 'rows' | 'steps'
}
export type OnProgress = (progress: Progress) => void

/** A record that is being written, chunk by chunk, in order. */
export interface RecordWriter {
  /** Appends bytes of any length; the store cuts them into its chunks. */
  write(bytes: Uint8Array): Promise<void>
  /**
   * Seals the record.
   * @param expected its address, where that is known beforehand
   * @returns its address (`model/address`) and its length
   * @throws MdiError `bad-file` where it has another one; it is dropped then
   */
  finish(expected?: string): Promise<{ sha256: string; bytes: number }>
  /** Drops what was written. */
  abort(): Promise<void>
}

/** A record that is being fetched from a peer, in chunks of `limits.chunkBytes`. */
export type PartialRecord = { sha256: string; bytes: number; have: number[] }

/**
 * Models, weight records and configuration on disk. Every call runs in the store's own
 * thread. Errors: `disk-full`, `store`, `not-found`, `bad-file` (a hash does not match).
 */
export interface Store {
  /** Starts a record whose hash is not yet known (import). */
  createRecord(): Promise<RecordWriter>
  /** Starts or resumes a record whose address is known (transfer). */
  openRecord(sha256: string, bytes: number): Promise<PartialRecord>
  /** Stores one chunk after checking its own hash (SHA-256, hex). */
  putChunk(sha256: string, index: number, data: Uint8Array, chunkSha256: string): Promise<void>
  /** Checks that all chunks are there and make up its address, and seals it. */
  sealRecord(sha256: string): Promise<void>
  /** One chunk and its hash, for a peer. */
  getChunk(sha256: string, index: number): Promise<{ data: Uint8Array; sha256: string }>
  /** Bytes of a sealed record, from `offset`. */
  readRecord(sha256: string, offset: number, length: number): Promise<Uint8Array>
  /** Which of these records are here, sealed. */
  hasRecords(sha256: readonly string[]): Promise<Set<string>>

  putModel(manifest: Manifest): Promise<void>
  getModel(name: string): Promise<Manifest | undefined>
  listModels(): Promise<Manifest[]>
  /** Removes the model and the records that no other model uses. @returns bytes freed */
  removeModel(name: string): Promise<number>

  getConfig(key: string): Promise<string | undefined>
  /** Written with full synchronization: identity and epochs survive a power cut. */
  setConfig(key: string, value: string): Promise<void>
  close(): Promise<void>
}

/** How the engine multiplies: fp32 activations, or 8-bit activations. */
export type Arithmetic = 'exact' | 'fast'

/** What is to be done with one wanted row at the head. */
export type HeadRequest =
  | {
      kind: 'sample'
      parameters: SamplingParameters
      step: number
      history: readonly number[]
      /** Whether the token's own log-probability is wanted. */
      logprob?: boolean
    }
  /** Log-probabilities at these ids, for comparing with a reference. */
  | { kind: 'score'; ids: readonly number[] }

/** What the head answers for one row. */
export type HeadResult = {
  token: number
  /** Natural-log probabilities at the ids asked for, or of the token where that was wanted. */
  logprobs?: number[]
}

/** Which part of a model an engine computes. */
export type EngineAssignment = {
  manifest: Manifest
  /** Layers `first` to `end − 1`. */
  first: number
  end: number
  /** Whether it also embeds, and normalizes, projects and samples: the starter's part. */
  ends: boolean
  arithmetic: Arithmetic
  /** Positions that a sequence may reach. */
  context: number
}

/** What one call of the engine does, in this order. */
export type Job = {
  /** Changes of KV state. */
  operations: readonly KvOperation[]
  /** Rows to run through the layers; empty: none. */
  segments: readonly Segment[]
  /**
   * The rows' input, one after the other: token ids (the starter embeds them) or
   * activations `[rows, hidden]`, which are handed over.
   */
  input: Int32Array | Float32Array
  /** Rows that come out: all of them, or those wanted (after the last layer). */
  output: 'rows' | 'wanted'
  /** What to do with each row that comes out, at the head; absent: the rows are given back. */
  head?: readonly HeadRequest[]
  /**
   * With a head alone: one row more for each of these segments, of the tokens that the head
   * chooses. Its answers are told as soon as they are there, and these rows are given back.
   */
  next?: readonly NextRow[]
}

/** A row that follows the head's answer at once; `token` where it is known whatever that is. */
export type NextRow = Segment & { token?: number }

/** What a job gave: activations `[rows, hidden]`, or the head's answers. */
export type JobOutput = { x: Float32Array } | { results: HeadResult[] }

/**
 * Computes layers. Jobs are done one at a time, in the order of the calls.
 * Activations are row-major `[rows, hidden]` float32.
 */
export interface Engine {
  /** Measures how quick the forms are here, in bytes of weights a second; kept once done. */
  measure(arithmetic: Arithmetic): Promise<Record<string, number>>
  /** Loads what is missing, drops what is no longer wanted; every sequence is closed. */
  load(assignment: EngineAssignment, onProgress?: OnProgress): Promise<EngineReport>
  /**
   * KV operations, then embedding, layers and head as the job says. Errors: `bad-value`
   * (a segment that does not follow its sequence), `too-long`, `not-found`.
   * @param onResults is told the head's answers of a job with `next`
   */
  run(job: Job, onResults?: (results: HeadResult[]) => void): Promise<JobOutput>
  /** Drops everything that is loaded. */
  unload(): Promise<void>
  close(): Promise<void>
}

/** What loading came to. */
export type EngineReport = {
  /** Layers loaded now. */
  layers: number
  /** Which form each bit width runs in on this CPU. */
  forms: Record<string, string>
  /** Bytes of weights loaded. */
  weightBytes: number
  /** Prepared files that were damaged on the disk, and were made anew. */
  mended?: number
}

/** How a link or the bus stands. */
export type ConnectionState = { up: true } | { up: false; reason: string }

/** The control plane: a broker's topics. Nothing here needs more than MQTT 3.1.1. */
export interface Bus {
  /**
   * Publishes UTF-8 JSON. Retained and QoS 1 messages wait for the broker when it is away;
   * QoS 0 messages are dropped then.
   */
  publish(topic: string, payload: string, options: PublishOptions): void
  /** Receives what matches the filter, now and after every reconnect. */
  subscribe(
    filter: string,
    handler: (message: BusMessage) => void,
    /** Those that are too long come too, cut (`wholeBytes`), so that whoever asked is answered. */
    options?: { long?: boolean },
  ): void
  /** Called at every change; retained state is published again at each `up`. */
  onConnection(handler: (connection: ConnectionState) => void): void
  close(): Promise<void>
}

export type PublishOptions = {
  retain: boolean
  qos: 0 | 1
  /** Worth little later: the first to go where too much waits for the broker. */
  passing?: boolean
  /** MQTT 5 only: mirrored from the request that is answered. */
  correlation?: Uint8Array
  /** QoS 1 and MQTT 5 only, and not by every broker: told whether somebody listened. */
  heard?: (by: boolean) => void
}

export type BusMessage = {
  topic: string
  payload: Uint8Array
  retained: boolean
  /** It was too long: `payload` is only its beginning. */
  wholeBytes?: number
  /** MQTT 5 only. */
  responseTopic?: string
  correlation?: Uint8Array
}

/** What the broker publishes, retained, when a connection is lost. */
export type Will = { topic: string; payload: string }

/** A connection to a broker. Nothing happens before `start`. */
export interface BusConnection extends Bus {
  /** Begins to dial. @throws MdiError `bad-value` where the broker's address is none */
  start(): void
}

/**
 * Opens a connection to the cluster's broker. MQTT has one last will a connection, so each role
 * that has one needs a connection of its own.
 * @param client its name among the broker's clients
 */
export type OpenBus = (client: string, will?: Will) => BusConnection

/** A connection to the home's broker, with its own address and secrets; see `house_mqtt`. */
export type OpenHomeBus = OpenBus

/** What a service tells people: one line a sentence. */
export interface Log {
  tell(level: LogLevel, sentence: string): void
  /** What must be there to be read later, whatever the level. */
  audit(line: string): void
  /** From now on only sentences of this level and graver ones are told. */
  setLevel(level: LogLevel): void
}

/** The machine that a board is. */
export interface Machine {
  /** Addresses at which others can dial what listens at `host`. */
  addresses(host: string): string[]
  /** Bytes that weights and caches may take now. @param configured what a person allows at most */
  availableMemory(configured?: number): number
  /** Resident memory of this process in bytes. */
  residentMemory(): number
  /** The processor's temperature in °C; undefined where the machine tells none. */
  temperature(): number | undefined
  processor(): { name: string; cores: number }
  /** Tells this machine from others: its nodes share its memory. */
  host(): string
  /** Shows a person which board this is. */
  identify(): void
}

/** Where weights are fetched from, best first. */
export type FetchFrom = { sources: readonly Peer[]; signal?: AbortSignal }

/** Fetches what this board lacks from others. Errors: `node-lost`, `not-found`, `cancelled`, `disk-full`. */
export interface WeightFetch {
  manifest(model: ModelReference, from: FetchFrom): Promise<Manifest>
  /** Into the store. */
  records(wanted: readonly RecordRef[], from: FetchFrom, onProgress: OnProgress): Promise<void>
}

/** A link to another node that has been up; `key` is never used again. */
export type Link = {
  key: number
  /** Id of the node at the other end. */
  peer: string
  purpose: Purpose
  /** Whether this node dialed; a `ring` link that was dialed leads to the next stage. */
  dialed: boolean
}

/** What happens to links. Events of one link come in order: `up`, frames, `down`. */
export type LinkEvent =
  /** The neighbour answered a probe: frames go both ways. */
  | { kind: 'up'; link: Link }
  | { kind: 'frame'; link: Link; frame: Frame }
  | { kind: 'down'; link: Link; reason: string }
  /** A target of `keep` is announced but cannot be reached; a sentence with address and port. */
  | { kind: 'unreachable'; peer: string; purpose: Purpose; reason: string }

/** Why a peer that says hello is not taken. */
export type Refusal = { code: 'epoch' | 'node' | 'busy' | 'purpose'; reason: string }

/**
 * Links to other nodes. Nothing is called back from within a call: events come later.
 */
export interface Links {
  /** The one receiver of all events. */
  onEvent(handler: (event: LinkEvent) => void): void
  /**
   * Asked about a peer that speaks our version and is of our cluster: undefined takes it.
   * Without it every such peer is taken.
   */
  onHello(admit: (hello: Hello) => Refusal | undefined): void
  /** The epoch that our hellos and welcomes state from now on. */
  setEpoch(epoch: number): void
  /** Keeps a link to this peer until `drop`, dialing every address again and again. */
  keep(peer: Peer, purpose: Purpose): void
  /** No longer keeps it, and closes it and every other link to this peer for this purpose. */
  drop(peer: string, purpose: Purpose): void
  /**
   * Sends a frame. Its body must not change afterwards.
   * @returns false when the link is down or its queue is full: the frame was not taken
   */
  send(link: Link, frame: VisitFrame | PlainDraft): boolean
  /** Closes a link; its peer may dial again. */
  hangUp(link: Link, reason: string): void
  /** Stops or resumes reading from a link, when its receiver's own queue is full. */
  pause(link: Link, paused: boolean): void
}

/** One who has called at a door of ours (a TCP port that speaks some protocol of bytes). */
export interface Caller {
  /** Where it calls from. */
  readonly address: string
  /** Sends bytes; a caller that does not read is dropped when too many wait. */
  send(bytes: Uint8Array): void
  /** Sends what waits and hangs up. */
  finish(): void
  /** Hangs up at once. */
  drop(): void
}

/** What is done with a caller. */
export interface CallerSession {
  /** Whether nothing is being done for it: it may be dropped for a newcomer. */
  readonly idle: boolean
  data(bytes: Uint8Array): void
  /** It sends no more; it may still read, or be gone. */
  halfClosed(): void
  /** It is gone, whoever hung up. Called once. */
  closed(): void
  /** We hang up: it is told what it waits for in vain, and finished. */
  leave(): void
}

export type DoorwayOptions = {
  /** What is behind it, for a sentence: "The voice service". */
  what: string
  visit(caller: Caller): CallerSession
  /** Said to a caller for whom there is no room. */
  crowded?: () => Uint8Array
  /** Callers at once. */
  most: number
}
export type OpenDoorway = (options: DoorwayOptions) => Doorway

/** A door: accepts callers, so many at once. */
export interface Doorway {
  /** @returns the port. @throws MdiError `bad-value` where it is taken */
  start(port: number, host: string): Promise<number>
  close(): Promise<void>
}
