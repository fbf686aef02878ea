/**
 * Settings that can be changed while the service runs (`config/set`), kept in the store over
 * the file's. What opens a home (`voice.allow_unlock`), logs in somewhere or needs a restart
 * stands in the file alone.
 */

import type { LoadedConfig } from '../config.ts'
import { configJsonSchema, configSchema } from '../config.ts'
import { MdiError } from '../errors.ts'
import type { Store } from '../ports.ts'
import { withoutLogins } from '../wire/brokerurl.ts'
import type { VerbData } from '../wire/verbs.ts'

const KEPT = 'settings'

/** What may be changed, by section and name. */
const changeable: Readonly<Record<string, readonly string[]>> = {
  voice: ['intents', 'prompt', 'seconds'],
}
const names = Object.entries(changeable).flatMap(([section, keys]) =>
  keys.map((key) => `${section}.${key}`),
)

type Tree = Record<string, unknown>

/** A setting without what nobody else may read. */
const open = (value: unknown): unknown => {
  if (typeof value === 'string') return withoutLogins(value)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !/password|secret|token/.test(key))
      .map(([key, inner]) => [key, open(inner)]),
  )
}

/**
 * Settings with changes over them; only what may be changed while the service runs.
 * @throws MdiError `bad-value`
 */
export const withChanges = (config: LoadedConfig, changes: Tree): LoadedConfig => {
  const next: Tree = { ...config }
  for (const [section, values] of Object.entries(changes)) {
    const keys = Object.hasOwn(changeable, section) ? changeable[section] : undefined
    if (!keys || typeof values !== 'object' || values === null) throw unchangeable(section)
    for (const key of Object.keys(values))
      if (!keys.includes(key)) throw unchangeable(`${section}.${key}`)
    next[section] = { ...(next[section] as Tree), ...values }
  }
  const { file: _, ...rest } = next
  const result = configSchema.safeParse(rest)
  if (result.success) return { ...config, ...result.data, data: config.data, node: config.node }
  const issue = result.error.issues[0]
  throw new MdiError('bad-value', `${issue?.path.join('.')} must be ${issue?.message}.`)
}

export class LiveSettings {
  readonly #store: Pick<Store, 'getConfig' | 'setConfig'>
  #config: LoadedConfig
  /** What was changed, by section and name. */
  #changed: Tree = {}

  constructor(config: LoadedConfig, store: Pick<Store, 'getConfig' | 'setConfig'>) {
    this.#config = config
    this.#store = store
  }

  /** The settings as they are now. */
  get now(): LoadedConfig {
    return this.#config
  }

  /** Takes up what was changed before this start. */
  async load(): Promise<void> {
    const text = await this.#store.getConfig(KEPT)
    if (text === undefined) return
    try {
      this.#take(JSON.parse(text) as Tree)
    } catch (error) {
      // Kept by another version: the file's settings hold.
      if (!(error instanceof MdiError)) throw error
    }
  }

  get(): VerbData<'config/get'> {
    const { file: _, data: __, ...config } = this.#config
    return {
      config: open(config) as Tree,
      configSchema: configJsonSchema(),
      changed: this.#changed,
    }
  }

  /** @throws MdiError `bad-value` */
  async set(changes: Tree): Promise<VerbData<'config/set'>> {
    this.#take(changes)
    await this.#store.setConfig(KEPT, JSON.stringify(this.#changed))
    return this.get()
  }

  #take(changes: Tree): void {
    this.#config = withChanges(this.#config, changes)
    for (const [section, values] of Object.entries(changes))
      this.#changed[section] = { ...(this.#changed[section] as Tree), ...(values as Tree) }
  }
}

const unchangeable = (name: string): MdiError =>
  new MdiError(
    'bad-value',
    `"${name.slice(0, 80)}" cannot be changed while the service runs; ${names.join(', ')} can. Others stand in mdi.toml.`,
  )
