/** The real world, as ports of the members: buses, doors, machine, mDNS. */
import { readFileSync } from 'node:fs'
import { changes } from '../changes.ts'
import type { LoadedConfig } from '../config.ts'
import { MdiError } from '../errors.ts'
import { addressBook } from '../io/board/addresses.ts'
import { blink } from '../io/board/leds.ts'
import {
  availableMemory,
  hostKey,
  processor,
  residentMemory,
  temperature,
} from '../io/board/system.ts'
import { advertise } from '../io/board/zeroconf.ts'
import { realClock } from '../io/clock.ts'
import { TcpDoorway } from '../io/links/doorway.ts'
import { MqttBus } from '../io/mqtt/client.ts'
import type { Announce } from '../members/gateway.ts'
import type { Log, Machine, OpenBus, OpenDoorway, OpenHomeBus } from '../ports.ts'

/** Absent properties instead of undefined ones. */
const given = <T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>
  }

/** An authority's certificate. @throws MdiError `bad-value` where the file cannot be read */
export const readCa = (setting: string, file: string | undefined): string | undefined => {
  if (file === undefined) return undefined
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new MdiError('bad-value', `${setting}: ${file} cannot be read.`, { cause: error })
  }
}

/**
 * Connections to the cluster's broker.
 * @param heard see `MqttOptions`
 */
export const clusterBus =
  (
    url: string,
    { user, password, ca }: LoadedConfig['broker'],
    log: Log,
    heard?: (topic: string) => boolean,
  ): OpenBus =>
  (clientId, will) =>
    new MqttBus({
      url,
      clientId,
      ...given({ username: user, password, will, heard, ca: readCa('broker.ca', ca) }),
      onTrouble: changes((sentence) => log.tell('info', sentence)),
    })

const homeUrl = ({ host, port, tls }: LoadedConfig['house_mqtt']): string => {
  const place = host?.includes(':') ? `[${host}]` : host
  return `${tls ? 'mqtts' : 'mqtt'}://${place}:${port ?? (tls ? 8883 : 1883)}`
}

/** Connections to the home's broker. It throws `bad-value` where the CA's file cannot be read. */
export const homeBus =
  (settings: LoadedConfig['house_mqtt'], log: Log): OpenHomeBus =>
  (clientId, will) => {
    const { user, password, ca } = settings
    return new MqttBus({
      url: homeUrl(settings),
      clientId,
      ...given({ username: user, password, will, ca: readCa('house_mqtt.ca', ca) }),
      onTrouble: changes((sentence) => log.tell('info', `The home's broker: ${sentence}`)),
    })
  }

export const openDoorway: OpenDoorway = (options) => new TcpDoorway(options)

export const machine: Machine = {
  addresses: addressBook(),
  availableMemory,
  residentMemory,
  temperature: () => temperature(),
  processor,
  host: hostKey,
  identify: () => {
    blink(realClock)
  },
}

const isLoopback = (host: string): boolean => /^(127\.|::1$|localhost$)/.test(host)

/** Announcements by mDNS; of what listens on loopback only there. */
export const announceBy =
  (log: Log): Announce =>
  ({ name, type, port, host }) => {
    const address = isLoopback(host) ? { address: '127.0.0.1' } : {}
    const told = advertise(
      { name, type, port, ...address },
      changes((sentence) => log.tell('info', sentence)),
    )
    return () => told.close()
  }
