/** The settings of a command: its options over environment, file and defaults. */
import type { Command } from 'commander'
import type { LoadedConfig } from '../config.ts'
import { MdiError } from '../errors.ts'
import { loadConfig } from '../io/config.ts'

/** @param overrides by dotted name; undefined counts as not given */
export const settingsOf = (
  command: Command,
  overrides: Readonly<Record<string, unknown>> = {},
): LoadedConfig => {
  const { data, config, broker, cluster } = command.optsWithGlobals<{
    data?: string
    config?: string
    broker?: string
    cluster?: string
  }>()
  return loadConfig({
    ...(config !== undefined && { file: config }),
    overrides: { data, 'broker.url': broker, cluster, ...overrides },
  })
}

/** The broker that the settings name. @throws MdiError `usage` */
export const brokerOf = (settings: LoadedConfig): string => {
  const { url } = settings.broker
  if (url !== undefined) return url
  throw new MdiError(
    'usage',
    'Say where the MQTT broker is: --broker mqtt://HOST:1883, or broker.url in the settings.',
  )
}
