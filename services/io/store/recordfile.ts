/**
 * The file of one weight record: a database of its own, in the folder `records`.
 *
 * So a record's bytes are written once, into a new file that no one reads yet and that needs
 * no log; it is synchronized as a whole while the next one is written, and only then gets its
 * name. Removing a record is removing its file: within one large database every page behind
 * it would move up, by way of the log. And what is damaged is one record.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MdiError } from '../../errors.ts'
import {
  connect,
  type DatabaseHandle,
  damagedRecord,
  fill,
  guarded,
  isEmpty,
  type OpenOptions,
  openLogged,
  PAGE_BYTES,
  type Schema,
} from './database.ts'

const schema: Schema = {
  version: 1,
  sql: `
CREATE TABLE record (
  sha256 TEXT PRIMARY KEY,          -- one row, once the address is known
  bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE chunk (
  number INTEGER PRIMARY KEY,
  sha256 TEXT NOT NULL,
  crc32 INTEGER NOT NULL,           -- checked at each read; SHA-256 would cost a start its time
  data BLOB NOT NULL
) STRICT;
`,
}

/** A record's chunk with its sums: on its way by SHA-256 (hex), at each read by CRC-32. */
export type ChunkSums = { sha256: string; crc: number }

const SEALED = '.sqlite'
const PART = '.part'
const DAMAGED = '.damaged'
const NEW = '.new'

/** The folder of a data folder's records. */
export const recordsPath = (folder: string): string => join(folder, 'records')
const ADDRESS = /^[0-9a-f]{64}$/

/** @throws MdiError `bad-value` for what is no address: names come from strangers, and become paths */
const fileOf = (folder: string, sha256: string, ending: string): string => {
  if (!ADDRESS.test(sha256))
    throw new MdiError('bad-value', 'A record is named by a SHA-256 in 64 hexadecimal digits.')
  return join(recordsPath(folder), sha256 + ending)
}

/** The file of a sealed record. */
export const sealedPath = (folder: string, sha256: string): string => fileOf(folder, sha256, SEALED)
/** The file of a record that is being fetched. */
export const partPath = (folder: string, sha256: string): string => fileOf(folder, sha256, PART)
/** What proved damaged: it is no record any more, so that it is fetched or imported again. */
export const damagedPath = (folder: string, sha256: string): string =>
  fileOf(folder, sha256, DAMAGED)
/** The file of a record that is being imported. */
export const newPath = (folder: string, number: number): string =>
  join(recordsPath(folder), number + NEW)

/** Makes the folder of records, and clears what imports left that were killed. */
export const prepareRecords = (folder: string): void => {
  const path = recordsPath(folder)
  guarded(path, () => {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    for (const name of readdirSync(path))
      if (name.includes(NEW)) rmSync(join(path, name), { recursive: true })
  })
}

/** Addresses of the records here: whole, being fetched, or damaged. */
export const listRecords = (folder: string): Set<string> =>
  guarded(recordsPath(folder), () => {
    const path = recordsPath(folder)
    const names = existsSync(path) ? readdirSync(path) : []
    return new Set(
      names.flatMap((name) => /^([0-9a-f]{64})\.(sqlite|part|damaged)$/.exec(name)?.[1] ?? []),
    )
  })

/** Whether a record is here, sealed. */
export const isSealed = (folder: string, sha256: string): boolean =>
  ADDRESS.test(sha256) && existsSync(sealedPath(folder, sha256))

/** The error for a record that is not here. */
export const unknownRecord = (sha256: string): MdiError =>
  new MdiError('not-found', `The store has no record ${sha256}: import its model again.`)

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0

/** A database's file, and those that SQLite keeps beside it. */
const filesOf = (path: string): string[] =>
  ['', '-wal', '-shm', '-journal'].map((ending) => path + ending)

/** Bytes that a record takes on the disk. */
export const recordBytes = (folder: string, sha256: string): number =>
  [sealedPath, partPath, damagedPath]
    .map((path) => path(folder, sha256))
    .flatMap(filesOf)
    .reduce((sum, file) => sum + sizeOf(file), 0)

/** Removes a database with its log. @returns bytes freed */
export const removeFile = (path: string): number =>
  filesOf(path).reduce((freed, file) => {
    const bytes = sizeOf(file)
    guarded(file, () => rmSync(file, { force: true }))
    return freed + bytes
  }, 0)

/** Bytes that all records take on the disk. */
export const recordsBytes = (folder: string): number => {
  const path = recordsPath(folder)
  return guarded(path, () =>
    readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0),
  )
}

/** A new file for an import. Nothing is synchronized before `place`. */
export const createNew = (path: string, options: OpenOptions): DatabaseHandle =>
  guarded(path, () => {
    const db = connect(path, options)
    try {
      db.pragma(`page_size = ${PAGE_BYTES}`)
      db.pragma('journal_mode = MEMORY')
      db.pragma('synchronous = OFF')
      db.pragma('locking_mode = EXCLUSIVE')
      fill(db, schema)
      return db
    } catch (error) {
      db.close()
      throw error
    }
  })

/** Opens or makes the file of a record that is being fetched: what is stored stays, by a log. */
export const openPart = (path: string, options: OpenOptions): DatabaseHandle =>
  openLogged(path, schema, { ...options, readOnly: false }) as DatabaseHandle

/** Ends a fetched record's log, so that the file alone is the record, and closes it. */
export const closePart = (path: string, db: DatabaseHandle): void =>
  guarded(path, () => {
    db.pragma('journal_mode = DELETE')
    db.close()
  })

/** Takes a record away that proved damaged. Who may only read leaves it: the error is told anyway. */
export const setAside = (folder: string, sha256: string): void => {
  try {
    renameSync(sealedPath(folder, sha256), damagedPath(folder, sha256))
  } catch {
    // Another reader was first, or this one may not write.
  }
}

/** Opens a sealed record for reading. @throws MdiError `not-found`, `bad-file` (damaged) */
export const openSealed = (
  folder: string,
  sha256: string,
  options: OpenOptions,
): { db: DatabaseHandle; bytes: number } => {
  if (!isSealed(folder, sha256)) throw unknownRecord(sha256)
  const path = sealedPath(folder, sha256)
  return guarded(path, () => {
    const db = connect(path, { ...options, readOnly: true })
    try {
      if (isEmpty(db, path, schema)) throw damagedRecord(path)
      const bytes = db
        .prepare<[string], number>('SELECT bytes FROM record WHERE sha256 = ?')
        .pluck()
        .get(sha256)
      if (bytes === undefined) throw damagedRecord(path)
      return { db, bytes: Number(bytes) }
    } catch (error) {
      db.close()
      throw error
    }
  })
}

/** Writes a chunk's row. */
export const insertChunk = (
  db: DatabaseHandle,
  number: number,
  data: Uint8Array,
  { sha256, crc }: ChunkSums,
): void => {
  db.prepare('INSERT INTO chunk (number, sha256, crc32, data) VALUES (?, ?, ?, ?)').run(
    number,
    sha256,
    crc,
    data,
  )
}

/** Writes the record's own row. */
export const insertRecord = (db: DatabaseHandle, sha256: string, bytes: number): void => {
  db.prepare('INSERT INTO record (sha256, bytes) VALUES (?, ?)').run(sha256, bytes)
}

const synchronize = async (path: string, flags: string): Promise<void> => {
  const handle = await open(path, flags)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Gives a file its name once all of it is on the disk, in place of one that has it. */
export const place = async (from: string, to: string): Promise<void> => {
  await synchronize(from, 'r+')
  renameSync(from, to)
  await synchronize(dirname(to), 'r')
}
