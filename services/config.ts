/**
 * The settings of a node: one table of names, with what each may be. A setting comes, the
 * first of these that has it:
 *
 *   1. from the command line (`overrides`)
 *   2. from the environment: `MDI_` and the name in capitals, `broker.url` → `MDI_BROKER_URL`
 *   3. from the configuration file (TOML)
 *   4. from the default given here
 *
 * `io/config` finds and reads the file; this is pure.
 */
import { parse, TomlError } from 'smol-toml'
import { z } from 'zod'
import { MdiError } from './errors.ts'

const units: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 1024,
  mi: 1024 ** 2,
  gi: 1024 ** 3,
}

/** Bytes from "800MB", "1.5 GiB" or a number; undefined where it is no size. */
export const parseSize = (text: string): number | undefined => {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]i?)?b?$/i.exec(text.trim())
  const unit = units[(match?.[2] ?? '').toLowerCase()]
  if (!match || unit === undefined) return undefined
  const bytes = Math.round(Number(match[1]) * unit)
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined
}

const aName = 'a name of 1 to 63 letters, digits, dots, dashes or underscores'
const name = z.string(aName).regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/, aName)
const aPort = 'a port number from 0 to 65535 (0: any that is free)'
const port = z.int(aPort).min(0, aPort).max(65_535, aPort)
const aUrl = 'an address such as mqtt://192.168.1.10:1883'
const aSize = 'a size such as 800MB or 1.5GiB'
const size = z
  .union([z.int(aSize).positive(aSize), z.string(aSize)], aSize)
  .transform((value, context) => {
    const bytes = typeof value === 'number' ? value : parseSize(value)
    if (bytes !== undefined) return bytes
    context.addIssue({ code: 'custom', message: aSize })
    return z.NEVER
  })
const whole = (low: number, high: number) => {
  const what = `a whole number from ${low} to ${high}`
  return z.int(what).min(low, what).max(high, what)
}
const text = (what: string) => z.string(what).min(1, what)

const broker = z.strictObject({
  url: z
    .string(aUrl)
    .regex(/^(mqtts?|wss?):\/\/[^/\s]+/, aUrl)
    .optional()
    .describe('The MQTT broker. Absent: found on the network, or the one built in.'),
  user: text('a text').optional().describe('User name at the broker.'),
  password: text('a text').optional().describe('Password at the broker.'),
  ca: text('a file').optional().describe("File (PEM) of the authority that signed the broker's."),
})

const ports = z.strictObject({
  data: port.default(0).describe('Where other nodes send activations and fetch weights (TCP).'),
  host: text('an address or host name')
    .default('::')
    .describe('Address to listen at. Absent: every one, IPv4 and IPv6.'),
})

/** What a board may do in its cluster. */
export const roleNames = ['stage', 'coordinator', 'gateway'] as const
export type RoleName = (typeof roleNames)[number]

const someRoles = `some of ${roleNames.join(', ')}`
const board = z.strictObject({
  roles: z
    .union([z.array(z.string()), z.string().transform((text) => text.split(/[\s,]+/))], someRoles)
    .pipe(z.array(z.enum(roleNames, someRoles)).min(1, someRoles))
    .default(['stage', 'gateway'])
    .describe('What `mdi board` does: stage (hold layers), coordinator (plan), gateway (answer).'),
})

const engine = z.strictObject({
  memory: size.optional().describe('Memory that the model may take here. Absent: measured.'),
  arithmetic: z
    .enum(['fast', 'exact'], 'fast or exact')
    .default('fast')
    .describe('fast: 8-bit activations; exact: 32-bit floating point.'),
  threads: whole(1, 256)
    .optional()
    .describe('Threads that compute, no more than there are cores. Absent: one for each core.'),
  context: whole(16, 16_777_216)
    .optional()
    .describe("Positions a conversation may reach. Absent: the model's, within memory."),
})

const aFlag = 'true or false'
const flag = z.boolean(aFlag)

const voice = z.strictObject({
  enabled: flag.default(true).describe('Whether a gateway answers a voice assistant (Wyoming).'),
  port: port.default(10_600).describe('Where Home Assistant calls (Wyoming, TCP).'),
  host: text('an address or host name').default('::').describe('Address to listen at.'),
  zeroconf: flag.default(true).describe('Whether it is announced on the network by mDNS.'),
  intents: flag
    .default(false)
    .describe('Whether intents of the model go out to Home Assistant, which carries them out.'),
  allow_unlock: flag
    .default(false)
    .describe('Whether locks, doors, gates and garages may be opened (Home Assistant 2026.11).'),
  prompt: text('a text').optional().describe('What the system says first in each conversation.'),
  seconds: whole(1, 600).default(30).describe('An answer comes within so many seconds.'),
  hermes: flag
    .default(false)
    .describe('Whether what Rhasspy did not recognize is answered (Hermes, house_mqtt).'),
})

const aTopic = 'a topic without spaces and wildcards (+, #, $), such as mdi or home/mdi'
/** A slash at either end is no part of a topic's name: people write it as in a path. */
const topic = z
  .string(aTopic)
  .transform((text) => text.replace(/^\/+|\/+$/g, ''))
  .pipe(
    z
      .string(aTopic)
      .regex(/^[^\s/+#$\p{Cc}]+(\/[^\s/+#$\p{Cc}]+)*$/u, aTopic)
      .max(100, aTopic),
  )

const houseMqtt = z.strictObject({
  host: text('an address or host name')
    .optional()
    .describe("The home's MQTT broker, which Home Assistant knows. Absent: none."),
  port: whole(1, 65_535).optional().describe('Its port. Absent: 1883, with TLS 8883.'),
  user: text('a text').optional().describe('User name there.'),
  password: text('a text').optional().describe('Password there.'),
  tls: flag.default(false).describe('Whether the connection is encrypted.'),
  ca: text('a file').optional().describe("File (PEM) of the authority that signed the broker's."),
  base: topic.default('mdi').describe('Root of our topics there.'),
  discovery: topic.default('homeassistant').describe("Root of Home Assistant's discovery topics."),
})

/** Everything that can be set. */
export const configSchema = z.strictObject({
  data: text('a folder').optional().describe('Folder of models, weights and identity.'),
  cluster: name.default('mdi').describe('Nodes of one cluster work together.'),
  node: name.optional().describe("This node's name. Absent: the host's."),
  broker: broker.prefault({}),
  ports: ports.prefault({}),
  board: board.prefault({}),
  engine: engine.prefault({}),
  voice: voice.prefault({}),
  house_mqtt: houseMqtt.prefault({}),
})
export type Config = z.output<typeof configSchema>

/** A config whose folder and name are known, and the file that it came from. */
export type LoadedConfig = Config & { data: string; node: string; file: string | undefined }

const sections: Readonly<Record<string, z.ZodObject>> = {
  broker,
  ports,
  board,
  engine,
  voice,
  house_mqtt: houseMqtt,
}

type Setting = { path: string[]; schema: z.ZodType }

/** Every setting's place and schema. */
const settings: readonly Setting[] = Object.entries(configSchema.shape).flatMap(
  ([key, schema]): Setting[] => {
    const section = sections[key]
    if (!section) return [{ path: [key], schema }]
    return Object.entries(section.shape).map(([inner, s]) => ({
      path: [key, inner],
      schema: s as z.ZodType,
    }))
  },
)

const variableOf = (path: readonly string[]): string =>
  `MDI_${path.join('_').replaceAll('-', '_').toUpperCase()}`

/** The names of all settings, with dots. */
export const settingNames: readonly string[] = settings.map(({ path }) => path.join('.'))
/** The environment variables that are read. */
export const settingVariables: readonly string[] = settings.map(({ path }) => variableOf(path))

/** The JSON schema of the configuration file. */
export const configJsonSchema = (): Record<string, unknown> =>
  z.toJSONSchema(configSchema, { io: 'input' }) as Record<string, unknown>

type Tree = { [key: string]: unknown }

const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** How many letters must be changed to make one word of another (Levenshtein). */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(
        (row[j] as number) + 1,
        (next[j - 1] as number) + 1,
        (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1),
      )
    row = next
  }
  return row[b.length] as number
}

/** The known name that a person probably meant: alike as a whole, or in its last part. */
const nearest = (unknown: string): string | undefined => {
  const last = (path: string) => path.slice(path.lastIndexOf('.') + 1)
  const known = [...settingNames, ...Object.keys(sections)]
  const ranked = known
    .map((candidate) => {
      const whole = distance(unknown, candidate)
      const part = distance(last(unknown), last(candidate)) + 0.5
      return { candidate, off: Math.min(whole, part) }
    })
    .sort((x, y) => x.off - y.off)
  const best = ranked[0]
  return best && best.off <= Math.max(2, unknown.length / 3) ? best.candidate : undefined
}

const unknownSetting = (source: string, path: string): MdiError => {
  const meant = nearest(path.slice(0, 100))
  const hint = meant
    ? `did you mean "${meant}"?`
    : `known are ${[...settingNames].sort().join(', ')}.`
  return new MdiError(
    'bad-value',
    `${source}: there is no setting "${path.slice(0, 100)}"; ${hint}`,
  )
}

/** Refuses names that are not known, before their values are looked at. */
const checkNames = (tree: Tree, source: string): void => {
  for (const [key, value] of Object.entries(tree)) {
    const section = Object.hasOwn(sections, key) ? sections[key] : undefined
    if (!section) {
      if (Object.hasOwn(configSchema.shape, key)) continue
      const inner = isTree(value) ? Object.keys(value)[0] : undefined
      throw unknownSetting(source, inner === undefined ? key : `${key}.${inner}`)
    }
    if (!isTree(value))
      throw new MdiError('bad-value', `${source}: "${key}" is a section: write [${key}].`)
    for (const inner of Object.keys(value))
      if (!Object.hasOwn(section.shape, inner)) throw unknownSetting(source, `${key}.${inner}`)
  }
}

/** Reads a configuration file's text. @throws MdiError `bad-value` with file and line */
export const parseConfigFile = (toml: string, file: string): Tree => {
  let tree: Tree
  try {
    tree = parse(toml.replace(/^\ufeff/, ''))
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const reason = error.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '')
    throw new MdiError('bad-value', `${file}, line ${error.line}: ${reason}.`, { cause: error })
  }
  checkNames(tree, file)
  return tree
}

/** A text from outside as the setting's schema takes it: as it stands, as a flag or a number. */
const fromText = (schema: z.ZodType, value: string): unknown => {
  if (schema.safeParse(value).success) return value
  if (['true', 'false'].includes(value) && schema.safeParse(value === 'true').success)
    return value === 'true'
  const number = value.trim() === '' ? Number.NaN : Number(value)
  return schema.safeParse(number).success ? number : value
}

type Layer = { source: (path: string) => string; tree: Tree }

const valueAt = (tree: Tree, path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (value, key) => (isTree(value) && Object.hasOwn(value, key) ? value[key] : undefined),
    tree,
  )

/** The settings that the environment has; an empty variable counts as none. */
const fromEnvironment = (environment: Readonly<Record<string, string | undefined>>): Tree => {
  const tree: Tree = {}
  for (const { path, schema } of settings) {
    const value = environment[variableOf(path)]
    if (value !== undefined && value !== '') put(tree, path, fromText(schema, value))
  }
  return tree
}

const put = (tree: Tree, path: readonly string[], value: unknown): void => {
  const [key = '', ...rest] = path
  if (rest.length === 0) tree[key] = value
  else {
    const inner = isTree(tree[key]) ? tree[key] : {}
    tree[key] = inner
    put(inner, rest, value)
  }
}

export type ConfigSources = {
  /** The file as `parseConfigFile` gives it, and its name. */
  file?: { name: string; tree: Tree }
  environment?: Readonly<Record<string, string | undefined>>
  /** From the command line, by dotted name; undefined counts as not given. */
  overrides?: Readonly<Record<string, unknown>>
}

/**
 * Brings the sources together. @throws MdiError `bad-value` that names the setting, where it
 * was set and what it may be
 */
export const resolveConfig = (sources: ConfigSources): Config => {
  const { file } = sources
  const overrides: Tree = {}
  for (const [dotted, value] of Object.entries(sources.overrides ?? {})) {
    const setting = settings.find(({ path }) => path.join('.') === dotted)
    if (!setting) throw unknownSetting('command line', dotted)
    if (value === undefined) continue
    const given = typeof value === 'string' ? fromText(setting.schema, value) : value
    put(overrides, setting.path, given)
  }
  const layers: Layer[] = [
    { source: (path) => `--${path}`, tree: overrides },
    {
      source: (path) => variableOf(path.split('.')),
      tree: fromEnvironment(sources.environment ?? {}),
    },
    { source: (path) => `${file?.name}: ${path}`, tree: file?.tree ?? {} },
  ]
  const merged: Tree = {}
  for (const { path } of settings)
    for (const { tree } of layers) {
      const value = valueAt(tree, path)
      if (value === undefined) continue
      put(merged, path, value)
      break
    }
  const result = configSchema.safeParse(merged)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const path = (issue?.path ?? []).map(String)
  const layer = layers.find(({ tree }) => valueAt(tree, path) !== undefined)
  const where = layer?.source(path.join('.')) ?? path.join('.')
  throw new MdiError('bad-value', `${where} must be ${issue?.message}.`)
}
