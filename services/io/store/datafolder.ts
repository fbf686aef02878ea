/**
 * The data folder: its databases and its lock.
 *
 * It holds two databases, and one for each weight record (`recordfile.ts`). `models.sqlite`
 * has the models' manifests, `config.sqlite` identity, epochs and settings. Both are written
 * with synchronous FULL: what was confirmed survives a power cut. So a record's file may be removed
 * as soon as its model is. There are two because a damaged manifest can be fetched again, and the
 * identity must not be lost with it.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOf, MdiError } from '../../errors.ts'
import {
  configFile,
  connect,
  type DatabaseHandle,
  guarded,
  modelsFile,
  openLogged,
  type Schema,
  type StoreFolder,
  storeError,
} from './database.ts'
import { ownerName, ownerPath } from './folderowner.ts'

/** 3: records stand in files of their own. */
const modelsSchema: Schema = {
  version: 3,
  sql: `
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

const lockFile = 'lock.sqlite'

const missing = (folder: string): MdiError =>
  new MdiError('not-found', `There is no store in ${folder} yet: import a model first.`)

/** Path of the database of models, for sentences about it. */
export const modelsPath = (folder: string): string => join(folder, modelsFile)
/** Path of the database of settings. */
export const configPath = (folder: string): string => join(folder, configFile)

type FolderOptions = StoreFolder & { readOnly?: boolean }

const open = (path: string, schema: Schema, options: FolderOptions): DatabaseHandle => {
  const db = openLogged(path, schema, options)
  if (!db) throw missing(options.folder)
  return db
}

/** The models' manifests. @throws MdiError `not-found` where there is nothing to read */
export const openModels = (options: FolderOptions): DatabaseHandle =>
  durable(open(modelsPath(options.folder), modelsSchema, options), options)

/** What was confirmed survives a power cut. */
const durable = (db: DatabaseHandle, options: FolderOptions): DatabaseHandle => {
  if (!options.readOnly) db.pragma('synchronous = FULL')
  return db
}

/** Identity and settings. @throws as `openModels` */
export const openConfig = (options: FolderOptions): DatabaseHandle =>
  durable(open(configPath(options.folder), configSchema, options), options)

/**
 * Takes the data folder for this process. The lock is the kernel's, by an exclusive transaction of
 * SQLite on a file of its own. So it is gone when the process is, however that ended. The process
 * number beside it is for the sentence only.
 * @returns what gives the folder back
 * @throws MdiError `store` when another process, or this one, has it already
 */
export const lockFolder = (options: StoreFolder): (() => void) => {
  const { folder } = options
  const owner = ownerPath(folder)
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
      `The store in ${folder} is in use by ${ownerName(folder)}: stop it, or use another data folder.`,
      { cause: error },
    )
  }
  return () => {
    rmSync(owner, { force: true })
    db.close()
  }
}
