/**
 * Operating errors: what can go wrong in use, as one table. Each has a code, a
 * sentence for the person (made from its details) and the exit status of the CLI.
 * Anything else that is thrown is a broken invariant: the process ends and the
 * service manager starts it again.
 */

/** Exit statuses of the command line, after BSD's sysexits.h where one fits. */
export const ExitStatus = { ok: 0, failure: 1, usage: 2, interrupted: 130 } as const

type Row = { exit: number }

/** Every operating error's code. */
export const errorTable = {
  /** A word or option of the command line is wrong. */
  usage: { exit: ExitStatus.usage },
  /** A file, model, node or sequence that was named is not there. */
  'not-found': { exit: 1 },
  /** A file is damaged, cut short or hostile. */
  'bad-file': { exit: 1 },
  /** A file is sound but asks for something that is not built. */
  unsupported: { exit: 1 },
  /** A file cannot be fetched: its server is away, or refuses it. */
  download: { exit: 1 },
  /** The disk is full. */
  'disk-full': { exit: 1 },
  /** The store cannot be opened, is in use or is damaged. */
  store: { exit: 1 },
  /** Memory does not suffice; refused beforehand with the figures. */
  'out-of-memory': { exit: 1 },
  /** The prompt does not fit into the context. */
  'too-long': { exit: 1 },
  /** A value given by a person or a message has the wrong form. */
  'bad-value': { exit: 1 },
  /** A node of the ring was lost or cannot be reached. */
  'node-lost': { exit: 1 },
  /** No ring is ready for the request. */
  'not-ready': { exit: 1 },
  /** All places are taken. */
  busy: { exit: 1 },
  /** The person or the client cancelled. */
  cancelled: { exit: ExitStatus.interrupted },
  /** The broker cannot be reached or refuses us. */
  broker: { exit: 1 },
  /** A peer speaks another version, epoch or cluster. */
  'peer-refused': { exit: 1 },
  /** Something took longer than its bound. */
  timeout: { exit: 1 },
} as const satisfies Record<string, Row>

export type ErrorCode = keyof typeof errorTable

/** An operating error: `message` is one sentence that a person can act on. */
export class MdiError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'MdiError'
    this.code = code
  }

  /** The exit status with which the CLI ends on this error. */
  get exitStatus(): number {
    return errorTable[this.code].exit
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
