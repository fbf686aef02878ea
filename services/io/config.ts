/** Finds and reads the configuration: file, environment, folders. */
import { existsSync, readFileSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { type LoadedConfig, parseConfigFile, resolveConfig } from '../config.ts'
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'

type Environment = Readonly<Record<string, string | undefined>>

export type LoadOptions = {
  /** The configuration file; it must be there. Absent: `MDI_CONFIG`, then the usual places. */
  file?: string
  /** From the command line, by dotted name. */
  overrides?: Readonly<Record<string, unknown>>
  environment?: Environment
}

/** A directory variable of systemd may hold several; the first is ours. */
const first = (value: string | undefined): string | undefined => value?.split(':')[0] || undefined

/** Where a file is looked for, the first that exists: the unit's, the person's, the system's. */
export const configPlaces = (environment: Environment): string[] => {
  const unit = first(environment.CONFIGURATION_DIRECTORY)
  const home = environment.XDG_CONFIG_HOME || join(environment.HOME || homedir(), '.config')
  return [...(unit ? [unit] : []), join(home, 'mdi'), '/etc/mdi'].map((p) => join(p, 'mdi.toml'))
}

/** The data folder where none is set: the unit's, or the person's. */
export const defaultDataFolder = (environment: Environment): string =>
  first(environment.STATE_DIRECTORY) ??
  join(environment.XDG_DATA_HOME || join(environment.HOME || homedir(), '.local', 'share'), 'mdi')

/** The host's name as a node's name. Characters that may not be in one are left out. */
export const nodeName = (host: string): string =>
  host
    .split('.', 1)
    .join('')
    .replace(/[^A-Za-z0-9_-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 63) || 'node'

const readConfigFile = (path: string): string => {
  try {
    const bytes = readFileSync(path)
    if (bytes.length > limits.configBytes)
      throw new MdiError('bad-value', `${path} is too long for a configuration file.`)
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    if (error instanceof MdiError) throw error
    const code = (error as { code?: unknown }).code
    if (code === 'ENOENT') throw new MdiError('not-found', `There is no file ${path}.`)
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA')
      throw new MdiError('bad-value', `${path} is not a text in UTF-8.`)
    throw new MdiError('bad-value', `${path} cannot be read (${code}): check its permissions.`, {
      cause: error,
    })
  }
}

/** Loads the configuration. @throws MdiError `not-found`, `bad-value` */
export const loadConfig = (options: LoadOptions = {}): LoadedConfig => {
  const environment = options.environment ?? process.env
  const asked = options.file ?? (environment.MDI_CONFIG || undefined)
  const file = asked ?? configPlaces(environment).find((place) => existsSync(place))
  const tree = file === undefined ? undefined : parseConfigFile(readConfigFile(file), file)
  const config = resolveConfig({
    ...(file === undefined || !tree ? {} : { file: { name: file, tree } }),
    environment,
    ...(options.overrides ? { overrides: options.overrides } : {}),
  })
  return {
    ...config,
    data: resolve(config.data ?? defaultDataFolder(environment)),
    node: config.node ?? nodeName(hostname()),
    file,
  }
}
