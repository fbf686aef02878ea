/** The real clock and randomness. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Clock, Random, WallClock } from '../ports.ts'

/** Monotonic milliseconds; timers do not keep the process alive by themselves. */
export const realClock: Clock = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}

export const realRandom: Random = {
  uint32: () => randomBytes(4).readUInt32LE(),
}

/** Where services say that they have set the clock. */
const SYNCHRONIZED = ['/run/systemd/timesync/synchronized', '/run/chrony/synchronized']

/** How often it is asked whether the clock is synchronized. */
const ASK_MS = 60_000

/** The time of day. It is asked in the background whether it is synchronized. */
export const realWallClock = (): WallClock => {
  let known = false
  let asked = Number.NEGATIVE_INFINITY
  const ask = (): void => {
    asked = performance.now()
    known = SYNCHRONIZED.some((file) => existsSync(file))
    if (known) return
    const args = ['show', '--property', 'NTPSynchronized', '--value']
    execFile('timedatectl', args, { timeout: 5_000 }, (error, stdout) => {
      known = !error && stdout.trim() === 'yes'
    })
  }
  ask()
  return {
    now: () => {
      if (performance.now() - asked > ASK_MS) ask()
      return known ? new Date() : undefined
    },
  }
}
