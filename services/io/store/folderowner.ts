/** Which process has a data folder: its number stands beside the lock (`datafolder.ts`), for people. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf } from '../../errors.ts'

/** Where the process number stands. */
export const ownerPath = (folder: string): string => join(folder, 'owner.pid')

const ownerPid = (folder: string): number | undefined => {
  try {
    const pid = Number.parseInt(readFileSync(ownerPath(folder), 'utf8'), 10)
    return pid > 0 ? pid : undefined
  } catch {
    // Not written yet, or just removed.
    return undefined
  }
}

/** Who has a data folder, for sentences. */
export const ownerName = (folder: string): string => {
  const pid = ownerPid(folder)
  if (pid === undefined) return 'another process'
  return pid === process.pid ? `this process (${pid})` : `process ${pid}`
}

/** Whether a process has the data folder, as far as can be told without the lock. */
export const isOwned = (folder: string): boolean => {
  const pid = ownerPid(folder)
  if (pid === undefined) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Another user's process may not be signalled.
    return codeOf(error) === 'EPERM'
  }
}
