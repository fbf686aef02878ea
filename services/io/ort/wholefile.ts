/** Files that appear only when they are whole. */
import {
  closeSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statfsSync,
  truncateSync,
} from 'node:fs'
import { join } from 'node:path'
import { isDiskFull, MdiError } from '../../errors.ts'
import { mb } from '../../units.ts'

/**
 * Writes a file, which gets its name only when it is whole and on the disk.
 * @throws MdiError `disk-full`
 */
export const writeWhole = (
  folder: string,
  file: string,
  bytes: number,
  fill: (fd: number) => void,
): void => {
  const disk = statfsSync(folder)
  const free = disk.bavail * disk.bsize
  if (free < bytes)
    throw new MdiError(
      'disk-full',
      `The weights need ${mb(bytes)} on the disk of ${folder}; ${mb(free)} are free.`,
    )
  const partial = join(folder, `${file}.${process.pid}.part`)
  try {
    const fd = openSync(partial, 'w')
    try {
      truncateSync(partial, bytes)
      fill(fd)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(partial, join(folder, file))
  } catch (error) {
    rmSync(partial, { force: true })
    if (isDiskFull(error))
      throw new MdiError('disk-full', `The disk of ${folder} is full.`, { cause: error })
    throw error
  }
}
