/**
 * Every bound of the system, by name, with the relations between them asserted at
 * load. Sizes are in bytes and times in milliseconds unless the name says otherwise.
 */
const KiB = 1024
const MiB = 1024 * KiB

export const limits = {
  /** A weight record is stored and sent in chunks of this size. */
  chunkBytes: 4 * MiB,
  /** A record may not be longer. */
  recordBytes: 16 * 1024 * MiB,
  /** The store's write-ahead log is written back when it has grown to this. */
  storeLogBytes: 8 * MiB,
  /** Room set aside so that things can be removed on a full disk; twice the log. */
  storeReserveBytes: 16 * MiB,
  /** Tensors inside a record start at multiples of this. */
  recordAlignment: 64,
  /** A record's header (JSON) may not be longer. */
  recordHeaderBytes: 256 * KiB,

  /** GGUF: keys, tensors, dimensions, a name, one string, and one array's length. */
  ggufKeys: 65_536,
  ggufTensors: 65_536,
  ggufDimensions: 4,
  ggufNameBytes: 1_024,
  ggufStringBytes: 16 * MiB,
  ggufArrayLength: 4_000_000,
  /** GGUF: all metadata together. */
  ggufHeaderBytes: 64 * MiB,

  /** safetensors: one file's header, files of one model, its JSON files, its tokenizer. */
  safetensorsHeaderBytes: 64 * MiB,
  safetensorsFiles: 1_000,
  modelConfigBytes: 16 * MiB,
  tokenizerBytes: 64 * MiB,

  /** Shapes that a model file may declare. */
  modelLayers: 512,
  modelHidden: 65_536,
  modelFeedForward: 262_144,
  modelVocab: 1_048_576,
  modelContext: 16_777_216,
  /** Words that a model may name as standing beside names: each strange word is compared with all. */
  modelBesideNames: 5_000,

  /** SentencePiece tokens longer than this are never merged. */
  tokenChars: 256,
  /** Text is encoded in slices of about this many characters. */
  encodeChars: 8_192,

  /** Rows of a prompt that one visit computes at most. */
  chunkRows: 128,
  /** Segments (sequences) in one visit at most. */
  segments: 8,
  /** Rows in one visit at most, all segments together. */
  visitRows: 512,
  /** Sequences that a ring holds at once. */
  sequences: 256,
  /** Requests that wait at the starter for a place. */
  waitingRequests: 1_024,
  /** Ended answers that the starter keeps for owners that were away. */
  keptAnswerBytes: 4 * MiB,
  /** Tokens and ends that wait for an owner's link before it is dropped. */
  ownerFrames: 65_536,

  /** A chat template runs in a worker and is stopped after this time. */
  templateMs: 2_000,
  templateOutputBytes: 4 * MiB,
  templateHeapMiB: 128,
  /** A user's text, and stop strings. */
  promptBytes: 4 * MiB,
  /** Objects and lists within each other in a request's messages and tools. */
  promptDepth: 64,
  stopStrings: 16,
  stopStringBytes: 1_024,

  /** Data plane: one frame's header and body. */
  frameHeaderBytes: 64 * KiB,
  frameBodyBytes: 64 * MiB,
  /** A frame's body of JSON (a prompt's tokens), and those of a handshake. */
  frameJsonBytes: 4 * MiB,
  helloBytes: 16 * KiB,
  /** KV operations in one visit at most. */
  operations: 1_024,
  /** A prompt's tokens; reference steps that a request may be scored on, and ids a step. */
  promptTokens: 262_144,
  scoreSteps: 4_096,
  scoreIds: 256,
  /** Addresses that a node may announce. */
  addresses: 32,
  /** Frames that a node queues at most before it stops reading. */
  queueFrames: 64,
  /** Bytes that may wait in a link's queue, beside one frame. */
  queueBytes: 64 * MiB,
  /** Frames in flight in the whole ring; below every queue, so a cycle cannot block. */
  framesInFlight: 48,
  /** Nodes of one ring: each has a sequence in flight, and one frame is left for prompts. */
  stages: 47,
  /** Plans are numbered below this, and then from 1 again. No coordinator says this or more. */
  epochs: 0x7fff_ffff,
  /** A plan is older than another if it is behind by so many steps at most. */
  epochSteps: 0x10_0000,
  /** Peers that a node is told to fetch weights from. */
  sources: 64,

  /** Weight transfer: records at once, and chunks of each on their way. */
  fetchRecords: 2,
  fetchChunks: 2,
  /** A source that answers no chunk for so long is given up for another. */
  fetchMs: 30_000,
  /**
   * Rounds over all sources without an answer before a fetch fails, and where one of them could
   * not be reached: it may be restarting. The pause between them doubles up to the third.
   */
  fetchRounds: 3,
  fetchRoundsAway: 8,
  fetchPauseMs: 5_000,
  /** Chunks that a peer may ask for ahead; beyond, it is cut off. */
  fetchesAhead: 16,
  /** A model's manifest as JSON, with its tokenizer. */
  manifestBytes: 64 * MiB,
  /** Turns of one conversation. */
  chatMessages: 4_096,

  /** Control plane: one MQTT payload. */
  controlBytes: 1 * MiB,
  /** Of one that is longer, so much is looked at to answer whoever sent it. */
  prefixBytes: 4 * KiB,
  /** A whole MQTT packet; mosquitto's own bound is 2,000,000. */
  packetBytes: 1.5 * MiB,
  /** Messages that wait for the broker while it is away, retained ones apart, and those. */
  busQueue: 1_024,
  busQueueBytes: 8 * MiB,
  busRetained: 4_096,
  /** The broker is dialed again after this time; and silence that it takes for a loss. */
  brokerRedialMs: 500,
  brokerKeepaliveSeconds: 10,
  brokerConnectMs: 5_000,
  /** A message during which the broker hung up so often is given up. */
  publishTries: 3,
  /** A gateway waits so long for the ring's broker before it takes the home's for another. */
  claimMs: 5_000,
  /** A board that the ring does not know is taken from the home after this time. */
  goneBoardMs: 60_000,
  /** Whoever waits for a load is told when nothing changed for so long. */
  loadQuietMs: 60_000,
  /** A topic on which a client wants its answer. */
  answerTopicBytes: 256,
  answerTopicLevels: 32,
  /** Clients of the embedded broker. */
  brokerClients: 1_024,
  /** What it retains: topics, and bytes of topics and payloads. */
  brokerRetained: 8_192,
  brokerRetainedBytes: 32 * MiB,
  /** A probe of a link: sent this often, and the link is lost after this silence. */
  probeEveryMs: 500,
  linkSilenceMs: 2_000,
  /** A TCP connection and its handshake must be there within this time. */
  connectMs: 1_500,
  helloMs: 1_000,
  /** Another address is tried beside the first ones after this time. */
  dialStaggerMs: 250,
  /** Dialing is tried again after this time, doubled up to the second time. */
  redialMs: 100,
  redialMaxMs: 500,
  /** Rounds of dialing that fail before "seen but unreachable" is told. */
  unreachableRounds: 3,
  /** Connections at once that have not said who they are, and all together. */
  strangers: 64,
  connections: 1_024,
  /** The starter gives the ring up when visits are out and none came back for this long. */
  visitMs: 300_000,
  /** A node is told lost to waiting requests within this time. */
  lossMs: 5_000,

  /** Downloads: redirects in a row, silence, pauses between tries without progress, and their number. */
  redirects: 10,
  downloadSilenceMs: 30_000,
  downloadRetryMs: 1_000,
  downloadRetryAfterMs: 300_000,
  downloadTries: 6,
  /** Files of one model on a hub; its answers, and the bytes of one. */
  hubFiles: 10_000,
  hubAnswers: 1_000,
  hubAnswerBytes: 32 * MiB,
  /** Requests that wait at a gateway, in all and of one client. */
  queuedRequests: 256,
  queuedOfClient: 32,
  /** Requests that a coordinator keeps for the one after it, and how old they may be then. */
  keptRequestBytes: 1 * MiB,
  keptRequestMs: 3_600_000,
  /** After a restart the queue waits so long for the ring to show itself. */
  resumeMs: 10_000,
  /** Conversations that are remembered, their turns and bytes, and for how long unused. */
  conversations: 256,
  conversationTurns: 32,
  conversationBytes: 64 * KiB,
  conversationMs: 600_000,

  /** Wyoming: an event's header line (as its reference reader has it), data and payload. */
  wyomingHeaderBytes: 64 * KiB,
  wyomingDataBytes: 256 * KiB,
  wyomingPayloadBytes: 4 * MiB,
  /** An event that has begun must be whole within this time; a caller may be silent so long. */
  wyomingEventMs: 10_000,
  wyomingIdleMs: 60_000,
  /** Callers at once; bytes that wait for one that does not read. */
  voiceCallers: 256,
  /** A caller that says nothing may be hung up on for a newcomer after this time. */
  voiceGraceMs: 1_000,
  voiceSendBytes: 1 * MiB,
  /** What a person says at once, and tokens of a spoken answer. */
  utteranceBytes: 4 * KiB,
  spokenTokens: 256,

  /** A configuration file. */
  configBytes: 1 * MiB,
} as const

const assertRelation = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(`limits: ${what}`)
}

assertRelation(
  limits.framesInFlight < limits.queueFrames,
  'framesInFlight must stay below queueFrames',
)
assertRelation(
  limits.stages < limits.framesInFlight,
  'every node of a ring has a sequence in flight, and a prompt goes beside them',
)
assertRelation(limits.sources > limits.stages, 'every node of a ring can be a source')
assertRelation(limits.epochs < 0xffff_ffff, 'an epoch, and the next, fit into a frame')
assertRelation(
  limits.epochSteps * 4 < limits.epochs,
  'a plan that is older than another is not newer than it as well',
)
assertRelation(limits.chunkRows <= limits.visitRows, 'a chunk must fit into a visit')
assertRelation(limits.segments <= limits.visitRows, 'a visit has a row for each segment')
assertRelation(
  limits.visitRows * 4 * limits.modelHidden >= limits.frameBodyBytes,
  'frameBodyBytes bounds a visit of the widest model',
)
assertRelation(
  limits.probeEveryMs * 3 <= limits.linkSilenceMs,
  'a link is lost after three probes, not one',
)
assertRelation(limits.linkSilenceMs * 2 < limits.lossMs, 'a loss is told in time')
assertRelation(
  limits.redialMaxMs + limits.connectMs + limits.probeEveryMs < limits.lossMs,
  'a node that is back is found in time',
)
assertRelation(
  limits.controlBytes < limits.packetBytes && limits.packetBytes < 2_000_000,
  'a control message fits into a packet, and a packet through mosquitto',
)
assertRelation(
  limits.busQueue >= 2 * (limits.sequences + limits.queuedRequests),
  'every request may be answered, at two topics, while the broker is away',
)
assertRelation(
  limits.fetchRecords * limits.fetchChunks <= limits.fetchesAhead,
  'a node of ours never asks for more chunks than a peer serves',
)
assertRelation(limits.chunkBytes < limits.frameBodyBytes, 'a chunk fits into a frame')
