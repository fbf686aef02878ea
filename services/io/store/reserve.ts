/**
 * Room set aside on the disk. Deleting from a database first writes to its log, so on a disk
 * that is full to the last byte nothing could be removed: then this file goes first.
 */
import { rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { limits } from '../../limits.ts'

export class Reserve {
  readonly #folder: string
  readonly #path: string

  constructor(folder: string) {
    this.#folder = folder
    this.#path = join(folder, 'reserve')
  }

  #bytes(): number {
    return statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0
  }

  /** Sets the room aside, if there is plenty. */
  ensure(): void {
    try {
      if (this.#bytes() === limits.storeReserveBytes) return
      const { bavail, bsize } = statfsSync(this.#folder)
      if (bavail * bsize < 2 * limits.storeReserveBytes) return
      // Written in full: a file with holes would reserve nothing.
      writeFileSync(this.#path, Buffer.alloc(limits.storeReserveBytes))
    } catch {
      // It is a comfort only; the store works without it.
      this.release()
    }
  }

  /** Gives the room up. @returns whether there was any */
  release(): boolean {
    if (this.#bytes() === 0) return false
    rmSync(this.#path, { recursive: true, force: true })
    return true
  }
}
