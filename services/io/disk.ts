/** Room on a disk, asked before it is used. */
import { statfs } from 'node:fs/promises'
import { MdiError } from '../errors.ts'

/** Left free for everything else. */
const RESERVE_BYTES = 64 << 20

const mb = (n: number): string => `${Math.ceil(n / 1e6).toLocaleString('en')} MB`

/** Bytes that can be written in a folder. */
export const freeBytes = async (folder: string): Promise<number> => {
  const { bavail, bsize } = await statfs(folder)
  return Math.max(0, bavail * bsize - RESERVE_BYTES)
}

/** @throws MdiError `disk-full` with the figures */
export const requireRoom = async (folder: string, bytes: number, what: string): Promise<void> => {
  const free = await freeBytes(folder)
  if (free >= bytes) return
  throw new MdiError(
    'disk-full',
    `${what} needs ${mb(bytes)} on the disk of ${folder}; ${mb(free)} are free.`,
  )
}
