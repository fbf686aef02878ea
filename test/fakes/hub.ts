/** A model hub on loopback, with the faults that a test wants. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a request for a file's content is answered with; `pass` goes on as usual. */
export type Fault = (asked: Asked) => 'pass' | 'done'
export type Asked = {
  path: string
  from: number
  request: IncomingMessage
  response: ServerResponse
  /** The file's content. */
  data: Buffer
}

export const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')

const gitName = (data: Uint8Array): string =>
  createHash('sha1').update(`blob ${data.length}\0`).update(data).digest('hex')

export const COMMIT = 'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00'

export class FakeHub {
  /** Files of the repository `some/model`, by path. */
  readonly files = new Map<string, Buffer>()
  /** Every request: method and path. */
  readonly asked: string[] = []
  /** Bytes of content sent, by path. */
  readonly sent = new Map<string, number>()
  /** Asked for each content request, in order; the last one stays. */
  faults: Fault[] = []
  /** When set, everything wants this token. */
  token: string | undefined
  /** Whether content is given in ranges. */
  ranges = true
  /** The listing says these things about a file instead of the truth. */
  lies = new Map<string, { size?: number; sha256?: string }>()
  /** Contents are redirected to here; absent: served at once. */
  redirect: string | undefined
  /** Entity tags that differ from the content's hash. */
  tag: string | undefined
  readonly #server: Server

  constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response))
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return this.url
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', this.url)
    this.asked.push(`${request.method} ${url.pathname}`)
    if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`) {
      response.writeHead(401, { 'content-type': 'application/json' }).end('{"error":"no"}')
      return
    }
    const json = (value: unknown) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    const api = '/api/models/some/model'
    if (url.pathname.startsWith(`${api}/revision/`)) {
      json({ _id: 'x', id: 'some/model', sha: COMMIT })
    } else if (url.pathname.startsWith(`${api}/tree/${COMMIT}`)) {
      json(this.#tree(url.pathname.slice(`${api}/tree/${COMMIT}`.length + 1)))
    } else {
      const inner = new RegExp(`^/(?:some/model/resolve/${COMMIT}|files)/(.+)$`).exec(url.pathname)
      this.#content(readable(inner?.[1] ?? ''), request, response)
    }
  }

  #tree(folder: string): unknown[] {
    return [...this.files].flatMap(([path, data]) => {
      if (folder === '' ? path.includes('/') : !path.startsWith(`${folder}/`)) return []
      const lie = this.lies.get(path)
      const size = lie?.size ?? data.length
      const large = !/\.(json|jinja)$/.test(path)
      const lfs = { oid: lie?.sha256 ?? sha256(data), size, pointerSize: 130 }
      return [{ type: 'file', path, size, oid: gitName(data), ...(large && { lfs }) }]
    })
  }

  #content(path: string, request: IncomingMessage, response: ServerResponse): void {
    const data = this.files.get(path)
    if (!data) {
      response.writeHead(404).end()
      return
    }
    if (this.redirect !== undefined && request.url?.includes('/resolve/')) {
      response.writeHead(302, { location: `${this.redirect}/files/${path}` }).end()
      return
    }
    const tag = `"${this.tag ?? sha256(data)}"`
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')
    const fresh = (request.headers['if-range'] ?? tag) === tag
    const from = this.ranges && fresh ? Number(range?.[1] ?? 0) : 0
    const fault = this.faults.length > 1 ? this.faults.shift() : this.faults[0]
    if (fault?.({ path, from, request, response, data }) === 'done') return
    if (from >= data.length && from > 0) {
      response.writeHead(416, { 'content-range': `bytes */${data.length}` }).end()
      return
    }
    const body = data.subarray(from)
    response.writeHead(range && this.ranges && fresh ? 206 : 200, {
      etag: tag,
      'content-length': body.length,
      ...(range &&
        this.ranges &&
        fresh && { 'content-range': `bytes ${from}-${data.length - 1}/${data.length}` }),
    })
    this.sent.set(path, (this.sent.get(path) ?? 0) + body.length)
    response.end(body)
  }

  /** A fault that sends `bytes` of the content and cuts the line. */
  cutAfter(bytes: number): Fault {
    return (asked) => this.#part(asked, bytes, () => asked.response.destroy())
  }

  /** Cuts every line. */
  cut(): void {
    this.#server.closeAllConnections()
  }

  /** A fault that sends `bytes` of the content and no more. */
  holdAfter(bytes: number): Fault {
    return (asked) => this.#part(asked, bytes, () => {})
  }

  #part({ path, from, request, response, data }: Asked, bytes: number, then: () => void): 'done' {
    const part = data.subarray(from, from + bytes)
    const range = request.headers.range !== undefined
    response.writeHead(range ? 206 : 200, {
      etag: `"${this.tag ?? sha256(data)}"`,
      'content-length': data.length - from,
      ...(range && { 'content-range': `bytes ${from}-${data.length - 1}/${data.length}` }),
    })
    this.sent.set(path, (this.sent.get(path) ?? 0) + part.length)
    response.write(part, then)
    return 'done'
  }
}

/** A path's part as it is meant, or as it stands where it is no proper one. */
const readable = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** A fault that answers with a status. */
export const status =
  (code: number, headers: Record<string, string> = {}): Fault =>
  ({ response }) => {
    response.writeHead(code, headers).end()
    return 'done'
  }

export const pass: Fault = () => 'pass'
