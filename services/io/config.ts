/** Finds and reads the configuration: file, environment, folders. */
import { existsSync, readFileSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { type Config, type LoadedConfig, parseConfigFile, resolveConfig } from '../config.ts'
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

/** The person's home folder; undefined where there is none, as for a container's user. */
const homeOf = (environment: Environment): string | undefined => {
  if (environment.HOME) return environment.HOME
  try {
    return homedir() || undefined
  } catch {
    // The user has no entry in the system's list.
    return undefined
  }
}

/** A folder of the person's own, by its variable or below the home folder. */
const personal = (
  environment: Environment,
  variable: string,
  ...below: string[]
): string | undefined => {
  const given = environment[variable]
  if (given) return given
  const home = homeOf(environment)
  return home === undefined ? undefined : join(home, ...below)
}

/** Where a file is looked for, the first that exists: the unit's, the person's, the system's. */
export const configPlaces = (environment: Environment): string[] => {
  const unit = first(environment.CONFIGURATION_DIRECTORY)
  const own = personal(environment, 'XDG_CONFIG_HOME', '.config')
  const places = [...(unit ? [unit] : []), ...(own ? [join(own, 'mdi')] : []), '/etc/mdi']
  return places.map((p) => join(p, 'mdi.toml'))
}

/** The data folder where none is set: the unit's, or the person's. @throws MdiError `usage` */
export const defaultDataFolder = (environment: Environment): string => {
  const unit = first(environment.STATE_DIRECTORY)
  if (unit) return unit
  const own = personal(environment, 'XDG_DATA_HOME', '.local', 'share')
  if (own !== undefined) return join(own, 'mdi')
  throw new MdiError(
    'usage',
    'There is no home folder here to keep models in: say where with --data FOLDER or MDI_DATA.',
  )
}

/** A path as a person writes it: `~/` is the home folder, also where no shell has seen it. */
const expanded = (path: string, environment: Environment): string => {
  if (path !== '~' && !path.startsWith('~/')) return path
  const home = homeOf(environment)
  if (home !== undefined) return join(home, path.slice(1))
  throw new MdiError('usage', `There is no home folder here for ${path}: write the whole path.`)
}

/** Settings whose values are paths, with their `~/` put in full. */
const withPaths = (config: Config, environment: Environment): Config => {
  const full = <T extends string | undefined>(path: T): T =>
    (path === undefined ? path : expanded(path, environment)) as T
  const { data, broker, house_mqtt: house } = config
  return {
    ...config,
    ...(data !== undefined && { data: full(data) }),
    broker: { ...broker, ...(broker.ca !== undefined && { ca: full(broker.ca) }) },
    house_mqtt: { ...house, ...(house.ca !== undefined && { ca: full(house.ca) }) },
  }
}

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
  const named = options.file ?? (environment.MDI_CONFIG || undefined)
  const asked = named === undefined ? undefined : expanded(named, environment)
  const file = asked ?? configPlaces(environment).find((place) => existsSync(place))
  const tree = file === undefined ? undefined : parseConfigFile(readConfigFile(file), file)
  const read = resolveConfig({
    ...(file === undefined || !tree ? {} : { file: { name: file, tree } }),
    environment,
    ...(options.overrides ? { overrides: options.overrides } : {}),
  })
  const config = withPaths(read, environment)
  return {
    ...config,
    data: resolve(config.data ?? defaultDataFolder(environment)),
    node: config.node ?? nodeName(hostname()),
    file,
  }
}
