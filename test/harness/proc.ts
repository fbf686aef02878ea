/** What Linux tells of a running process: memory, processor time, bytes written. */
import { readdirSync, readFileSync } from 'node:fs'

const TICKS_PER_SECOND = 100

const field = (text: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN)

/** Bytes: its share of memory (pages that are shared count in parts), resident, and its peak. */
export const memoryOf = (pid: number): { pss: number; rss: number; peak: number } => {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return {
    pss: field(rollup, 'Pss') * 1024,
    rss: field(rollup, 'Rss') * 1024,
    peak: field(status, 'VmHWM') * 1024,
  }
}

/** Bytes that it has written, to sockets nearly all while it computes. */
export const writtenBy = (pid: number): number =>
  field(readFileSync(`/proc/${pid}/io`, 'utf8'), 'wchar')

/** Seconds of processor time of each of its threads, by id. */
export const threadTimes = (pid: number): Map<string, number> =>
  new Map(
    readdirSync(`/proc/${pid}/task`).map((id) => {
      const stat = readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8')
      // Behind the name, which may hold anything: state is field 3, utime and stime 14 and 15.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return [id, (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND]
    }),
  )
