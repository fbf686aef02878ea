/**
 * Operating errors: what can go wrong in use, as one table. A row says everything that is decided
 * by an error's code; nowhere else is a list of codes. Anything else that is thrown is a broken
 * invariant: the process ends, and the service manager starts it again.
 */

/** Exit statuses of the command line, after BSD's sysexits.h where one fits. */
export const ExitStatus = { ok: 0, failure: 1, usage: 2, interrupted: 130 } as const

export type ErrorRow = {
  /** Exit status of the command line. */
  exit: number
  /** Status of an HTTP answer (RFC 9110; 499 is nginx's for a client that went away). */
  http: number
  /**
   * Whether the very same may be tried again without a person. `now`: it may work the next
   * moment. `later`: something must change first, which may happen by itself. `never`: a person
   * must change something.
   */
  again: 'now' | 'later' | 'never'
  /**
   * Whether another source (a node, a server) may give what this one did not, and why: this one
   * is away, lacks it, or gave something wrong.
   */
  elsewhere: false | 'away' | 'lacking' | 'wrong'
  /** The bytes of a file are to blame: they are of no use however often they are fetched. */
  content: boolean
  /** What a voice says: a key of its sentences; `own`: the error's own sentence. */
  spoken: 'notReady' | 'noModel' | 'tooLong' | 'own'
}

/** What most errors are; a row says what is different. */
const usual: ErrorRow = {
  exit: ExitStatus.failure,
  http: 500,
  again: 'never',
  elsewhere: false,
  content: false,
  spoken: 'notReady',
}

/** Every operating error's code. */
export const errorTable = {
  /** A word or option of the command line is wrong. */
  usage: { ...usual, exit: ExitStatus.usage, http: 400 },
  /** A file, model, node or sequence that was named is not there. A node may bring it. */
  'not-found': { ...usual, http: 404, again: 'now', elsewhere: 'lacking' },
  /** A file is damaged, cut short or hostile. It is fetched or made again meanwhile. */
  'bad-file': { ...usual, again: 'later', elsewhere: 'wrong', content: true },
  /** A file is sound but asks for something that is not built. */
  unsupported: { ...usual, http: 501, content: true },
  /** A file cannot be fetched: its server is away, or refuses it. */
  download: { ...usual, http: 502, again: 'now', elsewhere: 'away' },
  /** The disk is full. Somebody may remove something. */
  'disk-full': { ...usual, http: 507, again: 'later' },
  /** The store cannot be opened, is in use or is damaged. */
  store: { ...usual, again: 'later' },
  /** Memory does not suffice; refused beforehand with the figures. */
  'out-of-memory': { ...usual, http: 507 },
  /** The prompt does not fit into the context. */
  'too-long': { ...usual, http: 400, spoken: 'tooLong' },
  /** A value given by a person or a message has the wrong form. */
  'bad-value': { ...usual, http: 400 },
  /** A node of the ring was lost or cannot be reached. */
  'node-lost': { ...usual, http: 503, again: 'now', elsewhere: 'away' },
  /** The ring is not ready for the request. */
  'not-ready': { ...usual, http: 503, again: 'now' },
  /** No model is loaded: somebody must load one. */
  'no-model': { ...usual, http: 503, again: 'later', spoken: 'noModel' },
  /** All places are taken; the sentence says for how long. */
  busy: { ...usual, http: 429, again: 'later', spoken: 'own' },
  /** The person or the client cancelled. */
  cancelled: { ...usual, exit: ExitStatus.interrupted, http: 499, again: 'now' },
  /** The broker cannot be reached or refuses us. */
  broker: { ...usual, http: 503, again: 'now' },
  /** A peer speaks another version, epoch or cluster. */
  'peer-refused': { ...usual, http: 502, again: 'now', elsewhere: 'away' },
  /** Something took longer than its bound. */
  timeout: { ...usual, http: 504, again: 'now', elsewhere: 'away' },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof errorTable

/** An operating error: `message` is one sentence that a person can act on. */
export class MdiError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'MdiError'
    this.code = code
  }

  /** What is decided by its code. */
  get row(): ErrorRow {
    return errorTable[this.code]
  }

  /** A form that survives `postMessage` and JSON. */
  toJSON(): { code: ErrorCode; message: string } {
    return { code: this.code, message: this.message }
  }
}

const isCode = (value: unknown): value is ErrorCode =>
  typeof value === 'string' && Object.hasOwn(errorTable, value)

/** The inverse of `MdiError.toJSON`; an unknown code becomes `bad-value`. */
export const errorFrom = (plain: { code?: unknown; message?: unknown }): MdiError =>
  new MdiError(isCode(plain.code) ? plain.code : 'bad-value', String(plain.message))

/** The code of an error of the system or of SQLite; empty where it has none. */
export const codeOf = (error: unknown): string =>
  String((error as { code?: unknown } | null)?.code ?? '')

/** Whether an error of the operating system says that the disk is full. */
export const isDiskFull = (error: unknown): boolean => {
  const code = codeOf(error)
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'SQLITE_FULL'
}
