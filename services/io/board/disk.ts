/** How much room a disk has. */
import { statfs } from 'node:fs/promises'
import { codeOf, isDiskFull, MdiError } from '../../errors.ts'
import { mb } from '../../units.ts'

/** Left free for everything else. */
const RESERVE_BYTES = 64 << 20

/** Bytes that can be written in a folder. */
export const freeBytes = async (folder: string, spare: number = RESERVE_BYTES): Promise<number> => {
  const { bavail, bsize } = await statfs(folder)
  return Math.max(0, bavail * bsize - spare)
}

/** An error of the file system as a sentence about the folder. Any other error stays as it is. */
export const writeError = (error: unknown, folder: string): unknown => {
  if (error instanceof MdiError) return error
  if (isDiskFull(error))
    return new MdiError('disk-full', `The disk of ${folder} is full.`, { cause: error })
  const { syscall } = (error ?? {}) as { syscall?: unknown }
  if (typeof syscall !== 'string') return error
  const code = codeOf(error)
  const reason = reasons[code] ?? code
  return new MdiError('store', `Cannot write into ${folder}: ${reason}.`, { cause: error })
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'this user may not',
  EPERM: 'this user may not',
  EROFS: 'it is write-protected',
  ENOENT: 'it is not there; is the disk or stick?',
  ENOTDIR: 'a part of the path is no folder',
  EEXIST: 'a file of that name is in the way',
  EISDIR: 'a folder of a file’s name is in the way',
  ENAMETOOLONG: 'the name is too long',
  EIO: 'the disk fails',
}

/**
 * @param spare bytes that are to be left
 * @throws MdiError `disk-full` with the figures
 */
export const requireRoom = async (
  folder: string,
  bytes: number,
  what: string,
  spare: number = RESERVE_BYTES,
): Promise<void> => {
  const free = await freeBytes(folder, spare)
  if (free >= bytes) return
  throw new MdiError(
    'disk-full',
    `${what} needs ${mb(bytes)} on the disk of ${folder}; ${mb(free)} are free.`,
  )
}
