/**
 * Opening the store's files, and what goes wrong with them in a person's words.
 *
 * A data folder holds two databases. `models.sqlite` has manifests and weight records,
 * written with synchronous NORMAL: after a power cut the last transactions may be missing,
 * never half of one, and what is missing is fetched again. `config.sqlite` has identity,
 * epochs and settings, written with FULL: what was confirmed survives. They are apart
 * because a damaged gigabyte of weights can be thrown away and fetched again, and the
 * identity must not go with it; and because a full synchronization would otherwise have
 * to wait for megabytes of weights in the same log.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { isDiskFull, MdiError } from '../errors.ts'
import { limits } from '../limits.ts'

export type Connection = Database.Database

/** Where the store is, and how SQLite's addon is found. */
export type StoreFolder = {
  folder: string
  /** Path of better-sqlite3's addon, where the bundle put it; absent: from its package. */
  addon?: string
}

/** "MDIS": how a file of ours is told from any other SQLite database. */
const APPLICATION_ID = 0x4d444953
/** Large pages: a record's chunk is one long chain of them. */
const PAGE_BYTES = 32_768

type Schema = { sql: string; version: number }

/** 2: records are named by their chunks' hashes. */
const modelsSchema: Schema = {
  version: 2,
  sql: `
CREATE TABLE record (
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: readers remember it
  sha256 TEXT UNIQUE,               -- NULL while it is being imported
  bytes INTEGER NOT NULL,
  sealed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE chunk (
  record INTEGER NOT NULL REFERENCES record(id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  crc32 INTEGER NOT NULL,           -- checked at each read; SHA-256 would cost a start its time
  data BLOB NOT NULL,
  PRIMARY KEY (record, number)
) STRICT;
CREATE TABLE model (
  name TEXT PRIMARY KEY,
  manifest TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- By hash and not by record: a node holds only the layers that it computes.
CREATE TABLE model_record (
  model TEXT NOT NULL REFERENCES model(name) ON DELETE CASCADE,
  sha256 TEXT NOT NULL,
  PRIMARY KEY (model, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX model_record_sha256 ON model_record (sha256);
`,
}

const configSchema: Schema = {
  version: 1,
  sql: `
CREATE TABLE config (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`,
}

const modelsFile = 'models.sqlite'
const configFile = 'config.sqlite'
const lockFile = 'lock.sqlite'
const ownerFile = 'owner.pid'

const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? '')

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
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB')
    return made(
      'store',
      path.endsWith(configFile)
        ? `The settings in ${path} are damaged: move the file away and set this node up again.`
        : `The models in ${path} are damaged: move the file away and import them again.`,
    )
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'))
    return made('store', `${path} is in use by another process: stop that and try again.`)
  if (code.startsWith('SQLITE_IOERR'))
    return made('store', `The disk fails at ${path} (${code}): it may be worn out.`)
  if (/^SQLITE_(READONLY|CANTOPEN|PERM)|^E(ACCES|PERM|ROFS|NOTDIR|NOENT|EXIST)$/.test(code))
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

type OpenOptions = StoreFolder & { readOnly?: boolean; maxBytes?: number }

const connect = (path: string, options: OpenOptions): Connection =>
  new Database(path, {
    readonly: options.readOnly ?? false,
    fileMustExist: options.readOnly ?? false,
    ...(options.addon === undefined ? {} : { nativeBinding: options.addon }),
  })

/** Refuses a database that is not ours, too new or too old. @returns whether it is still empty */
const isEmpty = (db: Connection, path: string, schema: Schema): boolean => {
  const application = db.pragma('application_id', { simple: true })
  const version = Number(db.pragma('user_version', { simple: true }))
  const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get()
  if (application === 0 && version === 0 && tables === 0) return true
  if (application !== APPLICATION_ID)
    throw new MdiError('store', `${path} is not a store of mdi: use another data folder.`)
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

const open = (file: string, schema: Schema, options: OpenOptions): Connection => {
  const path = join(options.folder, file)
  if (options.readOnly && !existsSync(path)) throw missing(options.folder)
  return guarded(path, () => {
    const db = connect(path, options)
    try {
      db.pragma('cache_size = -4096')
      if (options.readOnly) {
        if (isEmpty(db, path, schema)) throw missing(options.folder)
        return db
      }
      if (isEmpty(db, path, schema)) {
        // Both must be set before the first table is made.
        db.pragma(`page_size = ${PAGE_BYTES}`)
        db.pragma('auto_vacuum = INCREMENTAL')
      }
      db.pragma('journal_mode = WAL')
      db.pragma('foreign_keys = ON')
      db.pragma(`journal_size_limit = ${limits.storeLogBytes}`)
      db.pragma(`wal_autocheckpoint = ${limits.storeLogBytes / PAGE_BYTES}`)
      if (isEmpty(db, path, schema))
        db.transaction(() => {
          db.exec(schema.sql)
          db.pragma(`application_id = ${APPLICATION_ID}`)
          db.pragma(`user_version = ${schema.version}`)
        })()
      return db
    } catch (error) {
      db.close()
      throw error
    }
  })
}

const missing = (folder: string): MdiError =>
  new MdiError('not-found', `There is no store in ${folder} yet: import a model first.`)

/** Path of the database of models, for sentences about it. */
export const modelsPath = (folder: string): string => join(folder, modelsFile)
/** Path of the database of settings. */
export const configPath = (folder: string): string => join(folder, configFile)

/** Manifests and weight records. */
export const openModels = (options: OpenOptions): Connection => {
  const db = open(modelsFile, modelsSchema, options)
  if (!options.readOnly) db.pragma('synchronous = NORMAL')
  if (options.maxBytes !== undefined)
    db.pragma(`max_page_count = ${Math.max(1, Math.floor(options.maxBytes / PAGE_BYTES))}`)
  return db
}

/** Identity and settings. */
export const openConfig = (options: StoreFolder & { readOnly?: boolean }): Connection => {
  const db = open(configFile, configSchema, options)
  if (!options.readOnly) db.pragma('synchronous = FULL')
  return db
}

/**
 * Takes the data folder for this process. The lock is the kernel's (through an exclusive
 * transaction of SQLite on a file of its own), so that it is gone when the process is, in
 * whatever way; the process number beside it only serves the sentence.
 * @returns what gives the folder back
 * @throws MdiError `store` when another process, or this one, has it already
 */
export const lockFolder = (options: StoreFolder): (() => void) => {
  const { folder } = options
  const owner = join(folder, ownerFile)
  guarded(folder, () => mkdirSync(folder, { recursive: true, mode: 0o700 }))
  const path = join(folder, lockFile)
  const db = guarded(path, () => connect(path, options))
  try {
    db.pragma('busy_timeout = 200')
    // Nothing is ever written: the lock needs no room on a full disk.
    db.pragma('journal_mode = MEMORY')
    db.exec('BEGIN EXCLUSIVE')
    writeFileSync(owner, `${process.pid}\n`)
  } catch (error) {
    db.close()
    if (codeOf(error) !== 'SQLITE_BUSY') throw storeError(error, path)
    throw new MdiError(
      'store',
      `The store in ${folder} is in use by ${ownerName(owner)}: stop it, or use another data folder.`,
      { cause: error },
    )
  }
  return () => {
    rmSync(owner, { force: true })
    db.close()
  }
}

const ownerName = (path: string): string => {
  try {
    const pid = Number.parseInt(readFileSync(path, 'utf8'), 10)
    if (pid === process.pid) return `this process (${pid})`
    if (pid > 0) return `process ${pid}`
  } catch {
    // Not written yet, or just removed.
  }
  return 'another process'
}
