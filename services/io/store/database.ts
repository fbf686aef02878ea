/** The store's SQLite files: how they are opened, and their errors as sentences. */
import { existsSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import Database from 'better-sqlite3'
import { codeOf, isDiskFull, MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'

export type DatabaseHandle = Database.Database

/** Where the store is, and how SQLite's addon is found. */
export type StoreFolder = {
  folder: string
  /** Path of better-sqlite3's addon, where the bundle put it; absent: from its package. */
  addon?: string
}

/** "MDIS": how a file of ours is told from any other SQLite database. */
const APPLICATION_ID = 0x4d444953
/** Large pages: a manifest, and a record's chunk, is one long chain of them. */
export const PAGE_BYTES = 32_768

/** What a kind of file has in it, and how often that has changed. */
export type Schema = { sql: string; version: number }

export const modelsFile = 'models.sqlite'
export const configFile = 'config.sqlite'

/** What to do about a damaged file. */
const damaged = (path: string): MdiError => {
  switch (basename(path)) {
    case configFile:
      return new MdiError(
        'store',
        `The settings in ${path} are damaged: move the file away and set this node up again.`,
      )
    case modelsFile:
      return new MdiError(
        'store',
        `The models in ${path} are damaged: move the file away and import them again.`,
      )
    default:
      return damagedRecord(path)
  }
}

/** The error for a file that is not ours. A file with a record's name can only be damaged. */
const foreign = (path: string): MdiError =>
  [configFile, modelsFile].includes(basename(path))
    ? new MdiError('store', `${path} is not a store of mdi: use another data folder.`)
    : damagedRecord(path)

/** The error for a weight record whose file is not what was written. */
export const damagedRecord = (path: string): MdiError =>
  new MdiError('bad-file', `A weight record is damaged on disk (${path}): import its model again.`)

/**
 * An error of SQLite or the file system as an operating error, naming the file; anything
 * else is returned as it is.
 */
export const storeError = (error: unknown, path: string): unknown => {
  if (error instanceof MdiError) return error
  const code = codeOf(error)
  const made = (kind: 'store' | 'disk-full', sentence: string) =>
    new MdiError(kind, sentence, { cause: error })
  if (isDiskFull(error) || code === 'SQLITE_IOERR_SHMSIZE')
    return made('disk-full', `There is no room left for ${path}: free some space and try again.`)
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') return damaged(path)
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'))
    return made('store', `${path} is in use by another process: stop that and try again.`)
  if (code.startsWith('SQLITE_IOERR'))
    return made('store', `The disk fails at ${path} (${code}): it may be worn out.`)
  if (code === 'ENOENT') return made('store', `${path} is not there any more.`)
  if (/^SQLITE_(READONLY|CANTOPEN|PERM)|^E(ACCES|PERM|ROFS|NOTDIR|ISDIR|EXIST)$/.test(code))
    return made('store', `${path} cannot be opened for writing (${code}): check its permissions.`)
  return error
}

/** Runs `work`, turning errors about the file into operating errors. */
export const guarded = <T>(path: string, work: () => T): T => {
  try {
    return work()
  } catch (error) {
    throw storeError(error, path)
  }
}

/** How a file is opened. */
export type OpenOptions = Pick<StoreFolder, 'addon'> & { readOnly?: boolean }

/** A connection to a file, which is made where there is none, unless it is only read. */
export const connect = (path: string, options: OpenOptions): DatabaseHandle =>
  new Database(path, {
    readonly: options.readOnly ?? false,
    fileMustExist: options.readOnly ?? false,
    ...(options.addon === undefined ? {} : { nativeBinding: options.addon }),
  })

/**
 * A database for looking only. Even that needs files of SQLite's beside it: where none can be
 * made, as in another person's folder or on a read-only disk, a copy in memory is looked at.
 */
const look = (path: string, options: OpenOptions): DatabaseHandle => {
  const db = connect(path, options)
  try {
    db.pragma('schema_version')
    return db
  } catch (error) {
    db.close()
    if (!/^SQLITE_(READONLY|CANTOPEN)/.test(codeOf(error))) throw error
  }
  const copy = readFileSync(path)
  // Bytes 18 and 19 of the header ask for a write-ahead log, which memory has not.
  copy.fill(1, 18, 20)
  const { addon } = options
  return new Database(copy, addon === undefined ? {} : { nativeBinding: addon })
}

/** Refuses a database that is not ours, too new or too old. @returns whether it is still empty */
export const isEmpty = (db: DatabaseHandle, path: string, schema: Schema): boolean => {
  const application = db.pragma('application_id', { simple: true })
  const version = Number(db.pragma('user_version', { simple: true }))
  const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get()
  if (application === 0 && version === 0 && tables === 0) return true
  if (application !== APPLICATION_ID) throw foreign(path)
  if (version > schema.version)
    throw new MdiError(
      'store',
      `${path} was written by a newer version of mdi: update this one, or use another data folder.`,
    )
  if (version < schema.version)
    throw new MdiError(
      'store',
      `${path} was written by an earlier version of mdi, whose models cannot be read any more: remove this file and import them again.`,
    )
  return false
}

/** Makes the tables of a new file. */
export const fill = (db: DatabaseHandle, schema: Schema): void =>
  db.transaction(() => {
    db.exec(schema.sql)
    db.pragma(`application_id = ${APPLICATION_ID}`)
    db.pragma(`user_version = ${schema.version}`)
  })()

/**
 * Opens a database with a write-ahead log, and makes it where there is none.
 * @returns undefined where it is only read and not there yet
 */
export const openLogged = (
  path: string,
  schema: Schema,
  options: OpenOptions,
): DatabaseHandle | undefined => {
  if (options.readOnly && !existsSync(path)) return undefined
  return guarded(path, () => {
    const db = options.readOnly ? look(path, options) : connect(path, options)
    try {
      db.pragma('cache_size = -4096')
      const empty = isEmpty(db, path, schema)
      if (options.readOnly) {
        if (!empty) return db
        db.close()
        return undefined
      }
      if (empty) {
        // Both must be set before the first table is made.
        db.pragma(`page_size = ${PAGE_BYTES}`)
        db.pragma('auto_vacuum = INCREMENTAL')
      }
      db.pragma('journal_mode = WAL')
      db.pragma('synchronous = NORMAL')
      db.pragma('foreign_keys = ON')
      db.pragma(`journal_size_limit = ${limits.storeLogBytes}`)
      db.pragma(`wal_autocheckpoint = ${limits.storeLogBytes / PAGE_BYTES}`)
      if (isEmpty(db, path, schema)) fill(db, schema)
      return db
    } catch (error) {
      db.close()
      throw error
    }
  })
}
