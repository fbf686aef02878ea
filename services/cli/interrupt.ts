/** Ctrl-C and a service manager's stop: the first is heeded politely, a second ends at once. */
import { ExitStatus } from '../errors.ts'
import { outputGone, quit } from './ending.ts'

/**
 * Calls back at the first SIGINT or SIGTERM, or when nobody can have the output any more; a
 * second signal ends the process.
 * @returns stops listening
 */
export const onInterrupt = (callback: () => void): (() => void) => {
  let heard = false
  const handler = () => {
    if (heard) quit(ExitStatus.interrupted)
    heard = true
    callback()
  }
  const lost = () => {
    if (!heard) callback()
  }
  process.on('SIGINT', handler)
  process.on('SIGTERM', handler)
  outputGone.addEventListener('abort', lost)
  return () => {
    // An interrupted process is about to end: a late second signal still means "at once".
    if (!heard) {
      process.off('SIGINT', handler)
      process.off('SIGTERM', handler)
    }
    outputGone.removeEventListener('abort', lost)
  }
}
