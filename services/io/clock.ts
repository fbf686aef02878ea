/** The real clock and randomness. */
import { randomBytes } from 'node:crypto'
import type { Clock, Random } from '../ports.ts'

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
