/** Stores in folders of their own. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SqliteStore } from '../../../services/io/store/client.ts'
import type { StoreOptions } from '../../../services/io/store/operations.ts'
import { addressOfBytes } from '../bytes.ts'

export const entry = new URL('../entry.ts', import.meta.url)
export const MiB = 1024 * 1024

/** A store in a folder of its own, removed at the end. */
export const withFolder = async (work: (folder: string) => Promise<void> | void): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'mdi-store-'))
  try {
    await work(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
export const withStore = (
  work: (store: SqliteStore, folder: string) => Promise<void>,
  options: Partial<StoreOptions> = {},
): Promise<void> =>
  withFolder(async (folder) => {
    const store = new SqliteStore(entry, { folder, ...options })
    await store.start()
    try {
      await work(store, folder)
    } finally {
      await store.close()
    }
  })

export const put = async (
  store: SqliteStore,
  data: Uint8Array,
  piece = 1_000_003,
): Promise<string> => {
  const writer = await store.createRecord()
  for (let at = 0; at < data.length; at += piece) await writer.write(data.subarray(at, at + piece))
  const { sha256, bytes } = await writer.finish()
  assert.equal(sha256, addressOfBytes(data))
  assert.equal(bytes, data.length)
  return sha256
}
export const refused = (code: string, sentence: RegExp) => (error: unknown) => {
  assert.equal((error as { code?: unknown }).code, code)
  assert.match((error as Error).message, sentence)
  return true
}

/** What a data folder takes on the disk, without the reserve. */
export const sizeOf = (folder: string): number =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'reserve')
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
