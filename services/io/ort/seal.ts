/**
 * Files that are computed with are sealed: beside each stands its length and a checksum of each of
 * its pieces, which are checked when it is loaded. A card that flips a bit would otherwise give wrong
 * text without a word. What is damaged is made anew from its record.
 */
import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { writeWhole } from './wholefile.ts'

/** Bytes of a file that one checksum covers. */
const PIECE_BYTES = 4 << 20

/** The name of a file's seal. */
export const sealOf = (file: string): string => `${file}.seal`

/** Length and checksums, one a line; the last line is the checksum of the lines before it. */
const sealText = (bytes: number, sums: readonly number[]): string => {
  const lines = [bytes, ...sums].join('\n')
  return `${lines}\n${crc32(lines)}\n`
}

/** A file's seal as it is now. */
const sealNow = (fd: number): string => {
  const { size } = fstatSync(fd)
  const piece = new Uint8Array(PIECE_BYTES)
  const sums: number[] = []
  for (let at = 0; at < size; ) {
    const read = readSync(fd, piece, 0, PIECE_BYTES, at)
    if (read === 0) break
    sums.push(crc32(piece.subarray(0, read)))
    at += read
  }
  return sealText(size, sums)
}

const readSeal = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** How a file is: `sound` fits its seal; `damaged` does not, or has none. */
export const sealState = (folder: string, file: string): 'sound' | 'damaged' | 'missing' => {
  let fd: number
  try {
    fd = openSync(join(folder, file), 'r')
  } catch {
    return 'missing'
  }
  try {
    return sealNow(fd) === readSeal(join(folder, sealOf(file))) ? 'sound' : 'damaged'
  } catch {
    // The disk does not give it back.
    return 'damaged'
  } finally {
    closeSync(fd)
  }
}

/**
 * Makes a sealed file unless it is there and sound.
 * @param fill writes its bytes
 * @returns `mended`: it was there and damaged
 * @throws MdiError `disk-full`
 */
export const ensureSealed = (
  folder: string,
  file: string,
  bytes: number,
  fill: (fd: number) => void,
): 'there' | 'made' | 'mended' => {
  const state = sealState(folder, file)
  if (state === 'sound') return 'there'
  const seal = join(folder, sealOf(file))
  rmSync(seal, { force: true })
  rmSync(join(folder, file), { force: true })
  writeWhole(folder, file, bytes, fill)
  const fd = openSync(join(folder, file), 'r')
  try {
    const text = Buffer.from(sealNow(fd))
    writeWhole(folder, sealOf(file), text.length, (to) => {
      writeFileSync(to, text)
    })
  } finally {
    closeSync(fd)
  }
  return state === 'missing' ? 'made' : 'mended'
}
