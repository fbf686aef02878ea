/**
 * Requests to servers of files. Redirects are followed without giving secrets away, silence has a
 * bound, and trouble that may pass is told from trouble that will not.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'

/** Trouble that may be over in a moment. */
export class Transient extends Error {
  /** How long the server asks to be left alone. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, retryAfterMs?: number, options?: { cause?: unknown }) {
    super(message, options)
    this.retryAfterMs = retryAfterMs
  }
}

export type HttpRequest = {
  url: string
  method?: string
  headers?: Readonly<Record<string, string>>
  body?: string
  /** For the `Authorization` header; only the first server of a chain of redirects sees it. */
  secret?: string | undefined
  signal?: AbortSignal | undefined
}

const busy = new Set([408, 425, 429, 500, 502, 503, 504])

/** Milliseconds of a `Retry-After`: seconds, or a date. */
export const retryAfter = (value: string | null, now: number): number | undefined => {
  if (value === null) return undefined
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

const reasons: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'its name cannot be looked up now',
  ECONNREFUSED: 'it refuses connections',
  ECONNRESET: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  UND_ERR_CONNECT_TIMEOUT: 'no answer',
  ETIMEDOUT: 'no answer',
  ENETUNREACH: 'there is no network',
  EHOSTUNREACH: 'there is no way to it',
}

/** A person's words for what `fetch` or a body's stream threw. */
export const networkReason = (error: unknown): string => {
  const { cause, name } = error as { cause?: { code?: unknown; message?: unknown }; name?: string }
  if (name === 'TimeoutError') return 'no answer'
  const code = String(cause?.code ?? (error as { code?: unknown }).code ?? '')
  return reasons[code] ?? (String(cause?.message ?? (error as Error).message) || code)
}

/** The host, for sentences. */
export const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : url)

const nextUrl = (from: URL, location: string | null): URL => {
  if (location === null || !URL.canParse(location, from.href))
    throw new MdiError('download', `${from.host} redirects to nowhere.`)
  const next = new URL(location, from.href)
  const safe =
    next.protocol === 'https:' || (next.protocol === 'http:' && from.protocol === 'http:')
  if (!safe)
    throw new MdiError('download', `${from.host} redirects to ${next.protocol}, which is not safe.`)
  return next
}

/** One request, through its redirects. @throws Transient, MdiError `download`, `cancelled` */
export const request = async (wanted: HttpRequest): Promise<Response> => {
  let url = new URL(wanted.url)
  const { origin } = url
  for (let hops = 0; hops <= limits.redirects; hops++) {
    const headers = { ...wanted.headers }
    if (wanted.secret !== undefined && url.origin === origin)
      headers.authorization = `Bearer ${wanted.secret}`
    const response = await once(url, { ...wanted, headers })
    if (![301, 302, 303, 307, 308].includes(response.status)) return checked(url, response)
    await response.body?.cancel().catch(() => undefined)
    url = nextUrl(url, response.headers.get('location'))
  }
  throw new MdiError('download', `${hostOf(wanted.url)} redirects again and again.`)
}

const once = async (
  url: URL,
  { method = 'GET', headers, body, signal }: HttpRequest,
): Promise<Response> => {
  // The bound is on the answer's beginning; the body has a bound of its own.
  const silence = new AbortController()
  const timer = setTimeout(
    () => silence.abort(new DOMException('', 'TimeoutError')),
    limits.downloadSilenceMs,
  )
  try {
    return await fetch(url, {
      method,
      redirect: 'manual',
      ...(headers && { headers }),
      ...(body !== undefined && { body }),
      signal: signal ? AbortSignal.any([signal, silence.signal]) : silence.signal,
    })
  } catch (error) {
    if (signal?.aborted) throw cancelled()
    throw new Transient(`${url.host}: ${networkReason(error)}`, undefined, { cause: error })
  } finally {
    clearTimeout(timer)
  }
}

const checked = async (url: URL, response: Response): Promise<Response> => {
  if (!busy.has(response.status)) return response
  await response.body?.cancel().catch(() => undefined)
  const wait = retryAfter(response.headers.get('retry-after'), Date.now())
  const what =
    response.status === 429 ? 'it has too much to do (429)' : `it has trouble (${response.status})`
  throw new Transient(`${url.host}: ${what}`, wait)
}

export const cancelled = (): MdiError => new MdiError('cancelled', 'Cancelled.')

export type Patience = {
  /** The first pause, doubled each time. */
  retryMs?: number
  signal?: AbortSignal | undefined
  /** Told before each pause. */
  onTrouble?: ((sentence: string) => void) | undefined
}

/**
 * Does work again while its trouble is transient. `work` calls `progressed` when something
 * has come: tries are counted from there.
 * @throws MdiError `download` when it has had enough, and whatever else `work` throws
 */
export const patiently = async <T>(
  patience: Patience,
  work: (progressed: () => void) => Promise<T>,
): Promise<T> => {
  const { retryMs = limits.downloadRetryMs, signal, onTrouble } = patience
  let tries = 0
  for (;;) {
    try {
      return await work(() => {
        tries = 0
      })
    } catch (error) {
      if (!(error instanceof Transient)) throw error
      tries += 1
      const wait = Math.max(error.retryAfterMs ?? 0, retryMs * 2 ** (tries - 1))
      if (wait > limits.downloadRetryAfterMs)
        throw new MdiError(
          'download',
          `${error.message}, and asks to wait ${Math.ceil(wait / 60_000)} minutes: try again then.`,
        )
      if (tries >= limits.downloadTries)
        throw new MdiError(
          'download',
          `${error.message}; tried ${tries} times. Try again later: what has come is kept.`,
          { cause: error },
        )
      onTrouble?.(`${error.message}; trying again in ${Math.ceil(wait / 1000)} s.`)
      await delay(wait, undefined, { ...(signal && { signal }) }).catch(() => {
        throw cancelled()
      })
    }
  }
}

/** A body's chunks. @throws Transient when the server falls silent or the line is cut */
export async function* chunks(response: Response, host: string): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader()
  if (!reader) return
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined
      const silence = new Promise<never>((_, reject) => {
        timer = setTimeout(
          () => reject(new Transient(`${host}: it fell silent`)),
          limits.downloadSilenceMs,
        )
      })
      const { done, value } = await Promise.race([reader.read(), silence]).finally(() =>
        clearTimeout(timer),
      )
      if (done) return
      yield value as Uint8Array
    }
  } catch (error) {
    if (error instanceof Transient) throw error
    throw new Transient(`${host}: ${networkReason(error)}`, undefined, { cause: error })
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/**
 * A whole body.
 * @param most bytes that it may have
 * @throws Transient as `chunks`, MdiError `download` where it is longer
 */
export const wholeBody = async (
  response: Response,
  host: string,
  most: number,
): Promise<Uint8Array<ArrayBuffer>> => {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of chunks(response, host)) {
    bytes += chunk.length
    if (bytes > most) throw new MdiError('download', `${host} answers without an end.`)
    parts.push(chunk)
  }
  return new Uint8Array(Buffer.concat(parts))
}
