/** Files as byte sources for the model readers. */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { MdiError } from '../errors.ts'
import type { Folder } from '../model/folder.ts'
import type { ByteSource } from '../model/source.ts'

/** A `ByteSource` over a file; `close` gives its handle back. */
export type FileSource = ByteSource & { close(): Promise<void> }

const reasons: Record<string, string> = {
  ENOENT: 'there is no such file',
  EACCES: 'it may not be read by this user',
  EISDIR: 'it is a folder',
}

/**
 * Opens a file for reading.
 * Errors: `not-found` (no such file, or not readable), `bad-file` (shorter than it was when
 * it was opened).
 */
export const openFile = async (path: string): Promise<FileSource> => {
  const name = basename(path)
  const refuse = (error: unknown): never => {
    const code = String((error as { code?: unknown }).code)
    throw new MdiError('not-found', `Cannot read ${path}: ${reasons[code] ?? code}.`, {
      cause: error,
    })
  }
  // Without waiting: a pipe under a model's name would be waited for until somebody writes.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(refuse)
  const stat = await handle.stat()
  if (!stat.isFile()) {
    await handle.close()
    throw new MdiError('not-found', `Cannot read ${path}: it is not a file.`)
  }
  return {
    name,
    size: stat.size,
    version: `${stat.ino}-${stat.mtimeMs}`,
    close: () => handle.close(),
    read: async (offset, length, into) => {
      const bytes = into?.subarray(0, length) ?? new Uint8Array(length)
      let have = 0
      while (have < length) {
        const { bytesRead } = await handle.read(bytes, have, length - have, offset + have)
        if (bytesRead === 0)
          throw new MdiError('bad-file', `${name} became shorter while it was read.`)
        have += bytesRead
      }
      return bytes
    },
  }
}

const HASH_STEP = 1 << 20

/** SHA-256 of a file in hex, a piece at a time. */
export const fileSha256 = async (
  path: string,
  onProgress?: (done: number, total: number) => void,
  signal?: AbortSignal,
): Promise<string> => {
  const source = await openFile(path)
  try {
    const hash = createHash('sha256')
    const room = new Uint8Array(HASH_STEP)
    for (let at = 0; at < source.size; at += HASH_STEP) {
      signal?.throwIfAborted()
      hash.update(await source.read(at, Math.min(HASH_STEP, source.size - at), room))
      onProgress?.(at, source.size)
    }
    return hash.digest('hex')
  } finally {
    await source.close()
  }
}

/** A `Folder` over a directory; `close` gives the handles of all opened files back. */
export type DiskFolder = Folder & { close(): Promise<void> }

/** Opens a folder of model files. Errors: those of `openFile` for a file that is there. */
export const openFolder = (path: string): DiskFolder => {
  const opened: FileSource[] = []
  return {
    name: basename(resolve(path)),
    open: async (file) => {
      // Names come from strangers' files too: only what lies in the folder itself.
      if (file !== basename(file)) return undefined
      const whole = join(path, file)
      const there = await stat(whole).then(
        () => true,
        () => false,
      )
      if (!there) return undefined
      const source = await openFile(whole)
      opened.push(source)
      return source
    },
    close: async () => {
      for (const source of opened.splice(0)) await source.close()
    },
  }
}
