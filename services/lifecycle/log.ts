import { type LogLevel, logLevels } from '../wire/control.ts'

let most = logLevels.indexOf('info')

/** From now on only messages of this level and graver ones are told. */
export const setLogLevel = (level: LogLevel): void => {
  most = logLevels.indexOf(level)
}

/** What a service tells: one line a message, on standard error; the journal adds the time. */
export const log = (message: string, level: LogLevel = 'info'): void => {
  if (logLevels.indexOf(level) <= most) process.stderr.write(`${message}\n`)
}

/** What must be there to be read later, whatever the level: intents that went to the house. */
export const audit = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

/** Tells a sentence only when it has changed: a trouble that lasts is told once. */
export const changes = (tell: (message: string) => void): ((message: string) => void) => {
  let last = ''
  return (message) => {
    if (message !== last) tell(message)
    last = message
  }
}
