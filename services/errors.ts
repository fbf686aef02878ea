/**
 * Operating errors: what can go wrong in use, as one table. Each has a code and a row that
 * decides what is done about it, so that nobody keeps lists of codes; the sentence for the
 * person is made where it happens. Anything else that is thrown is a broken invariant: the
 * process ends and the service manager starts it again.
 */

/** Exit statuses of the command line, after BSD's sysexits.h where one fits. */
export const ExitStatus = { ok: 0, failure: 1, usage: 2, interrupted: 130 } as const

/** What a voice says: the error's own sentence, or one of the fixed sentences of `voice/speech`. */
type Spoken =
  | 'message'
  | 'broken'
  | 'noModel'
  | 'notReady'
  | 'notUnderstood'
  | 'tooLate'
  | 'tooLong'

export type ErrorRow = {
  /** With which the command line ends. */
  exit: number
  /** Status of an answer by HTTP. */
  http: number
  /** When the very same may be asked again of the very same, with hope. */
  again: 'at-once' | 'later' | 'never'
  /** Another source or node may do what this one cannot. */
  elsewhere: boolean
  /** It does not pass by itself: somebody has to do something, so whoever waits is told. */
  person: boolean
  /** What was read is at fault, so it is of no use to keep it. */
  content: boolean
  spoken: Spoken
}

const row = (
  http: number,
  again: ErrorRow['again'],
  spoken: Spoken,
  more: Partial<Omit<ErrorRow, 'http' | 'again' | 'spoken'>> = {},
): ErrorRow => ({
  ...{ exit: ExitStatus.failure, http, again, elsewhere: false, person: false, content: false },
  ...{ spoken, ...more },
})

const person = true
const elsewhere = true
const content = true

/** Every operating error's code. `test/errors.test.ts` says of each why it has its values. */
export const errorTable = {
  /** A word or option of the command line is wrong. */
  usage: row(400, 'never', 'notUnderstood', { exit: ExitStatus.usage, person }),
  /** A file, model, node or sequence that was named is not there. */
  'not-found': row(404, 'never', 'notReady', { elsewhere }),
  /** A file is damaged, cut short or hostile. */
  'bad-file': row(500, 'never', 'broken', { elsewhere, person, content }),
  /** A file is sound but asks for something that is not built. */
  unsupported: row(501, 'never', 'broken', { person, content }),
  /** A file cannot be fetched: its server is away, or refuses it. */
  download: row(502, 'later', 'notReady', { elsewhere }),
  /** The disk is full. */
  'disk-full': row(507, 'later', 'broken', { person }),
  /** The store cannot be opened, is in use or is damaged. */
  store: row(500, 'later', 'broken', { person }),
  /** Memory does not suffice; refused beforehand with the figures. */
  'out-of-memory': row(507, 'never', 'broken', { person }),
  /** The prompt does not fit into the context. */
  'too-long': row(400, 'never', 'tooLong', { person }),
  /** A value given by a person or a message has the wrong form. */
  'bad-value': row(400, 'never', 'notUnderstood', { person }),
  /** A node of the ring was lost or cannot be reached. */
  'node-lost': row(503, 'later', 'notReady', { elsewhere }),
  /** No ring is ready for the request. */
  'not-ready': row(503, 'later', 'notReady'),
  /** No model is loaded, and nobody has asked for one. */
  'no-model': row(503, 'later', 'noModel', { person }),
  /** All places are taken. */
  busy: row(429, 'later', 'message', { elsewhere }),
  /** The person or the client cancelled. */
  cancelled: row(499, 'at-once', 'notReady', { exit: ExitStatus.interrupted }),
  /** The broker cannot be reached or refuses us. */
  broker: row(503, 'later', 'notReady'),
  /** A peer speaks another version, epoch or cluster. */
  'peer-refused': row(502, 'later', 'notReady', { elsewhere }),
  /** Something took longer than its bound. */
  timeout: row(504, 'later', 'tooLate'),
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

  /** What is to be done about it. */
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
