/**
 * Cores of their own for processes that stand for boards. Where as many threads compute as
 * there are cores, the system wakes a node's thread behind another node's computing one, for
 * up to its time slice, though its own core is idle: two boards would never meet so.
 */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

/**
 * Gives each process as many cores as it has computing threads, in order, `first` on.
 * @returns false where there are not enough, or where `taskset` (util-linux) is missing
 */
export const giveCores = (pids: readonly number[], threads: number, first = 0): boolean => {
  if (first + pids.length * threads > availableParallelism()) return false
  return pids.every((pid, i) => {
    const from = first + i * threads
    const cores = `${from}-${from + threads - 1}`
    return spawnSync('taskset', ['-a', '-p', '-c', cores, String(pid)]).status === 0
  })
}
