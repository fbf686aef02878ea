/** What the machine has: memory that can be given, processor, addresses. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, hostname, totalmem } from 'node:os'
import { MdiError } from '../../errors.ts'

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}

/** A cgroup file's number; undefined where there is none or no limit. */
const cgroupNumber = (path: string): number | undefined => {
  const text = read(path)
  const n = text === undefined || text === 'max' ? Number.NaN : Number(text)
  return Number.isFinite(n) && n < totalmem() ? n : undefined
}

/** What the cgroup still allows (v2, then v1), if it has a limit. */
const cgroupRoom = (): number | undefined => {
  const v2 = (/^0::(.*)$/m.exec(read('/proc/self/cgroup') ?? '')?.[1] ?? '/').replace(/^\/$/, '')
  const v1 = (/^\d+:memory:(.*)$/m.exec(read('/proc/self/cgroup') ?? '')?.[1] ?? '/').replace(
    /^\/$/,
    '',
  )
  const candidates: [string, string][] = [
    [`/sys/fs/cgroup${v2}/memory.max`, `/sys/fs/cgroup${v2}/memory.current`],
    [
      `/sys/fs/cgroup/memory${v1}/memory.limit_in_bytes`,
      `/sys/fs/cgroup/memory${v1}/memory.usage_in_bytes`,
    ],
  ]
  for (const [limitFile, usageFile] of candidates) {
    const limit = cgroupNumber(limitFile)
    if (limit !== undefined) return Math.max(0, limit - (cgroupNumber(usageFile) ?? 0))
  }
  return undefined
}

/** Kept free for everything else on the machine. */
const RESERVE_BYTES = 64 << 20

/**
 * Bytes that weights and caches may take now: what the system says is available, the
 * cgroup's room, and the configured limit, whichever is least.
 */
export const availableMemory = (configured?: number): number => {
  const meminfo = /^MemAvailable:\s+(\d+) kB$/m.exec(read('/proc/meminfo') ?? '')
  const system = meminfo ? Number(meminfo[1]) * 1024 : totalmem()
  const least = Math.min(system, cgroupRoom() ?? Number.POSITIVE_INFINITY)
  return Math.max(0, Math.floor(Math.min(least - RESERVE_BYTES, configured ?? least)))
}

/** Resident memory of this process in bytes. */
export const residentMemory = (): number => process.memoryUsage.rss()

/** The processor's temperature in °C, to a tenth; undefined where the machine tells none. */
export const temperature = (zone = '/sys/class/thermal/thermal_zone0/temp'): number | undefined => {
  const text = read(zone)
  const n = text === undefined || text === '' ? Number.NaN : Number(text)
  return Number.isFinite(n) ? Math.round(n / 100) / 10 : undefined
}

export const processor = (): { name: string; cores: number } => ({
  name: cpus()[0]?.model?.trim() || process.arch,
  cores: availableParallelism(),
})

/**
 * Threads to compute with: as many as the settings say, or one for each core. More than that
 * would only disturb each other, and thousands would end a machine.
 * @throws MdiError `bad-value` for more than there are cores
 */
export const threadsFor = (wanted: number | undefined): number => {
  const { cores } = processor()
  if (wanted !== undefined && wanted > cores)
    throw new MdiError(
      'bad-value',
      `engine.threads is ${wanted}, but this machine has ${cores} cores: set it to ${cores} at most, or leave it out.`,
    )
  return wanted ?? cores
}

/**
 * Tells machines apart: the nodes of one share its memory. Cards that were cloned have one
 * machine-id, so the host's name and the board's serial number count too.
 */
export const hostKey = (): string => {
  const serial = read('/proc/device-tree/serial-number')?.replace(/\0/g, '') ?? ''
  const parts = [read('/etc/machine-id') ?? '', hostname(), serial]
  return createHash('sha256').update(parts.join(' ')).digest('hex').slice(0, 32)
}
