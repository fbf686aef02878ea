/**
 * A broker's address as people write it: `mqtt://user:password@host:1883`. Parsed here alone, so that
 * no secret of it gets into a log or a sentence.
 */
import { MdiError } from '../errors.ts'

/** Ports by protocol. */
const ports = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 } as const
export type BrokerProtocol = keyof typeof ports

/** Other names that people know from other programs. */
const aliases: Readonly<Record<string, BrokerProtocol>> = {
  tcp: 'mqtt',
  ssl: 'mqtts',
  tls: 'mqtts',
}

export type BrokerAddress = {
  protocol: BrokerProtocol
  host: string
  port: number
  /** Of a web socket. */
  path: string
  user?: string
  password?: string
}

/** A part of a login. What is no percent-encoding is meant as it stands. */
const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** A text with addresses in it, without their logins. */
export const withoutLogins = (text: string): string =>
  text.replace(/(\b[a-z][a-z0-9+.-]*:\/\/)\S*@/gi, '$1')

/**
 * Reads a broker's address. A password may have `/`, `@`, `:` and `%` in it as they are: the host
 * begins after the last `@`.
 * @throws MdiError `bad-value`, without the login
 */
export const readBrokerUrl = (url: string): BrokerAddress => {
  const wrong = new MdiError(
    'bad-value',
    `"${url.replace(/^(.*?:\/\/)?.*@/s, '$1').slice(0, 100)}" is no broker's address; it looks like mqtt://192.168.1.10:1883.`,
  )
  const match =
    /^([a-z]+):\/\/(?:(.*)@)?(\[[0-9a-f:.%]+\]|[^\s:/@[\]]+)(?::(\d{1,5}))?(\/\S*)?$/i.exec(
      url.trim(),
    )
  if (!match) throw wrong
  const [, scheme = '', login, host = '', port, path = '/'] = match
  const name = scheme.toLowerCase()
  const protocol = Object.hasOwn(ports, name) ? (name as BrokerProtocol) : aliases[name]
  if (!protocol || Number(port ?? 1) < 1 || Number(port ?? 1) > 65_535) throw wrong
  const colon = login?.indexOf(':') ?? -1
  const user = login !== undefined && colon >= 0 ? login.slice(0, colon) : login
  const password = login !== undefined && colon >= 0 ? login.slice(colon + 1) : undefined
  return {
    protocol,
    host: host.replace(/^\[|\]$/g, ''),
    port: Number(port ?? ports[protocol]),
    path,
    ...(user ? { user: decoded(user) } : {}),
    ...(password !== undefined && { password: decoded(password) }),
  }
}
