/** The board's own light, by the kernel's LED class: blinks so that a person finds the board. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../ports.ts'

const BLINK_MS = 10_000
/** Names of activity lights, the best first; boards differ. */
const wanted = [/^ACT$/i, /^led0$/, /act|status|user/i, /./]

const lights = (root: string): string[] => {
  try {
    return readdirSync(root)
  } catch {
    return []
  }
}

/**
 * Blinks for some seconds, then leaves the light to what it showed before.
 * @returns whether there is a light that we may write to
 */
export const blink = (clock: Clock, root = '/sys/class/leds'): boolean => {
  const all = lights(root)
  const light = wanted.map((w) => all.find((name) => w.test(name))).find((name) => name)
  if (light === undefined) return false
  const trigger = join(root, light, 'trigger')
  try {
    // The trigger that is set stands in brackets: "none [mmc0] timer".
    const before = /\[([^\]]+)\]/.exec(readFileSync(trigger, 'utf8'))?.[1] ?? 'none'
    writeFileSync(trigger, 'timer')
    clock.after(BLINK_MS, () => {
      try {
        writeFileSync(trigger, before)
      } catch {
        // The light has gone meanwhile.
      }
    })
    return true
  } catch {
    return false
  }
}
