/** The log on standard error: one line a sentence. The journal adds the time. */
import type { Log } from '../ports.ts'
import { type LogLevel, logLevels } from '../wire/control.ts'

/** Priorities of sd-daemon(3), which are those of syslog(3). */
const priorities: Readonly<Record<LogLevel, number>> = { error: 3, warning: 4, info: 6 }
/** NOTICE: normal, and worth reading later. */
const AUDIT = 5

/**
 * @param write takes a line with its end
 * @param journal systemd's journal reads the lines: each carries its priority, as `<4>…`
 */
export const streamLog = (write: (line: string) => void, journal: boolean): Log => {
  let most = logLevels.indexOf('info')
  const line = (priority: number, text: string): void => {
    const one = text.replace(/\s*\n\s*/g, ' ')
    write(`${journal ? `<${priority}>` : ''}${one}\n`)
  }
  return {
    tell: (level, sentence) => {
      if (logLevels.indexOf(level) <= most) line(priorities[level], sentence)
    },
    audit: (text) => line(AUDIT, text),
    setLevel: (level) => {
      most = logLevels.indexOf(level)
    },
  }
}

/** The log of this process. systemd says by `JOURNAL_STREAM` that the journal reads it. */
export const processLog = (): Log =>
  streamLog(
    (line) => process.stderr.write(line),
    process.env.JOURNAL_STREAM !== undefined && !process.stderr.isTTY,
  )
