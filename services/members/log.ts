/** Helpers for what members tell people. */
import { changes } from '../changes.ts'
import type { Log } from '../ports.ts'
import type { LogLevel } from '../wire/control.ts'

/** As `changes`, to a log. */
export const changesTo = (log: Log, level: LogLevel = 'info'): ((sentence: string) => void) =>
  changes((sentence) => log.tell(level, sentence))
