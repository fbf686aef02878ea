/** What a service tells: one line a message, on standard error; the journal adds the time. */
export const log = (message: string): void => {
  process.stderr.write(`${message}\n`)
}

/** Tells a sentence only when it has changed: a trouble that lasts is told once. */
export const changes = (tell: (message: string) => void): ((message: string) => void) => {
  let last = ''
  return (message) => {
    if (message !== last) tell(message)
    last = message
  }
}
