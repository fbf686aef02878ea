/** Ctrl-C and a service manager's stop: the first is heeded politely, a second ends at once. */
import { ExitStatus } from '../errors.ts'

/**
 * Calls back at the first SIGINT or SIGTERM; a second one ends the process.
 * @returns stops listening
 */
export const onInterrupt = (callback: () => void): (() => void) => {
  let heard = false
  const handler = () => {
    if (heard) process.exit(ExitStatus.interrupted)
    heard = true
    callback()
  }
  process.on('SIGINT', handler)
  process.on('SIGTERM', handler)
  return () => {
    process.off('SIGINT', handler)
    process.off('SIGTERM', handler)
  }
}
