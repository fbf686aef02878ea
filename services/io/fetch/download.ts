/**
 * Downloads one file so that a break costs nothing. `FILE.part` has the bytes that came, and
 * `FILE.state` says of which content they are. The next try asks for the rest, as a range of the
 * same content only. The whole is checked against its hash before it gets its name. Memory does not
 * grow with the file.
 */
import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { isDiskFull, MdiError } from '../../errors.ts'
import { cancelled, chunks, hostOf, patiently, request, Transient } from './http.ts'

/** How a file's content is known beforehand. */
export type KnownHash =
  | { kind: 'sha256'; hex: string }
  /** A git object's name, as hubs list small files by. */
  | { kind: 'git'; hex: string }

export type Remote = {
  url: string
  /** For the server's `Authorization` header. */
  secret?: string | undefined
  /** Bytes, where they are known beforehand. */
  size?: number | undefined
  hash?: KnownHash | undefined
  /** A sentence for a status that ends the matter, where the caller knows a better one. */
  explain?: (status: number) => MdiError | undefined
}

export type DownloadOptions = {
  /** The file's own bytes that are here, and all of them; 0 while that is not known. */
  onProgress?: ((done: number, total: number) => void) | undefined
  onTrouble?: ((sentence: string) => void) | undefined
  /** Asked when the size is known, before anything is written: bytes still to come. */
  room?: ((bytes: number) => Promise<void>) | undefined
  signal?: AbortSignal | undefined
  retryMs?: number | undefined
}

/** Which content a part belongs to. */
type State = { url: string; size?: number; etag?: string; hash?: string }

const readState = async (path: string): Promise<State | undefined> => {
  try {
    const state = JSON.parse(await readFile(path, 'utf8')) as Partial<State>
    return typeof state.url === 'string' ? (state as State) : undefined
  } catch {
    return undefined
  }
}

const sizeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    (s) => s.size,
    () => undefined,
  )

/** An entity tag that names bytes; weak ones do not. */
const strongTag = (value: string | null): string | undefined =>
  value !== null && /^".*"$/.test(value) ? value : undefined

const READ_STEP = 1 << 20
/** So much room is asked for at a time where it is not known how much there is. */
const ROOM_STEP = 64 << 20

class Download {
  readonly #remote: Remote
  readonly #path: string
  readonly #options: DownloadOptions
  readonly #host: string
  #handle!: FileHandle
  #hash: Hash | undefined
  #have = 0
  #furthest = 0
  #size: number | undefined
  #etag: string | undefined
  /** Room has been asked for up to here. */
  #roomUntil = 0

  constructor(remote: Remote, path: string, options: DownloadOptions) {
    this.#remote = remote
    this.#path = path
    this.#options = options
    this.#host = hostOf(remote.url)
    this.#size = remote.size
  }

  get #part(): string {
    return `${this.#path}.part`
  }

  get #statePath(): string {
    return `${this.#path}.state`
  }

  #bad(what: string): MdiError {
    return new MdiError('bad-file', `${basename(this.#path)} from ${this.#host}: ${what}.`)
  }

  async run(): Promise<void> {
    // It gets its name only when it is whole and checked.
    if ((await sizeOf(this.#path)) !== undefined) return
    const resumed = await this.#open()
    try {
      await this.#fetch()
      if (!this.#matches()) {
        if (!resumed) throw await this.#wrong()
        // The disk, not the server, may be at fault: once more from the start.
        this.#options.onTrouble?.(`What was kept of ${basename(this.#path)} is damaged.`)
        await this.#restart()
        await this.#fetch()
        if (!this.#matches()) throw await this.#wrong()
      }
      await this.#handle.sync()
    } catch (error) {
      if (isDiskFull(error))
        throw new MdiError(
          'disk-full',
          `The disk is full after ${this.#have} bytes of ${basename(this.#path)}; they are kept for the next time.`,
          { cause: error },
        )
      throw error
    } finally {
      await this.#handle.close()
      // Nothing came, so no file is left that looks like a part.
      if (this.#have === 0) await this.#clear()
    }
    await rename(this.#part, this.#path)
    await rm(this.#statePath, { force: true })
  }

  /** Opens what there is of the file. @returns whether there is anything */
  async #open(): Promise<boolean> {
    const state = await readState(this.#statePath)
    const there = (await sizeOf(this.#part)) ?? 0
    const { hash, size } = this.#remote
    const same =
      state !== undefined &&
      state.hash === hash?.hex &&
      // Without a hash only the address and the server's tag tell that it is the same.
      (hash !== undefined || (state.url === this.#remote.url && state.etag !== undefined)) &&
      (size === undefined || state.size === undefined || state.size === size) &&
      there <= (size ?? state.size ?? there)
    this.#handle = await open(this.#part, there > 0 ? 'r+' : 'w+')
    this.#begin()
    if (!same) {
      await this.#handle.truncate(0)
      return false
    }
    // As good as a server's word.
    this.#size ??= state.size
    if (state.url === this.#remote.url) this.#etag = state.etag
    await this.#rehash(there)
    return there > 0
  }

  #begin(): void {
    const { hash } = this.#remote
    this.#hash = hash && createHash(hash.kind === 'git' ? 'sha1' : 'sha256')
    if (hash?.kind === 'git') this.#hash?.update(`blob ${this.#size ?? 0}\0`)
    this.#have = 0
  }

  async #rehash(bytes: number): Promise<void> {
    const buffer = Buffer.allocUnsafe(READ_STEP)
    while (this.#have < bytes) {
      if (this.#options.signal?.aborted) throw cancelled()
      const { bytesRead } = await this.#handle.read(buffer, 0, READ_STEP, this.#have)
      if (bytesRead === 0) break
      this.#hash?.update(buffer.subarray(0, bytesRead))
      this.#have += bytesRead
    }
  }

  async #restart(): Promise<void> {
    await this.#handle.truncate(0)
    this.#begin()
  }

  #matches(): boolean {
    const { hash } = this.#remote
    return !hash || this.#hash?.copy().digest('hex') === hash.hex
  }

  async #clear(): Promise<void> {
    await rm(this.#part, { force: true })
    await rm(this.#statePath, { force: true })
  }

  /** The content is another than was meant: nothing of it is kept. */
  async #wrong(): Promise<MdiError> {
    const found = this.#hash?.copy().digest('hex')
    await this.#clear()
    return this.#bad(
      `it is not the content that was meant (its hash is ${found}, not ${this.#remote.hash?.hex})`,
    )
  }

  async #fetch(): Promise<void> {
    const { retryMs, signal, onTrouble } = this.#options
    await patiently(
      { ...(retryMs !== undefined && { retryMs }), signal, onTrouble },
      (progressed) => this.#some(progressed),
    )
  }

  /** One connection: as much as it brings. */
  async #some(progressed: () => void): Promise<void> {
    if (this.#size !== undefined && this.#have === this.#size && this.#have > 0) return
    const from = this.#have
    const { url, secret } = this.#remote
    const { signal } = this.#options
    const tag = this.#etag
    const response = await request({
      url,
      secret,
      signal,
      headers: {
        'accept-encoding': 'identity',
        ...(from > 0 && { range: `bytes=${from}-`, ...(tag && { 'if-range': tag }) }),
      },
    })
    try {
      await this.#accept(response, from)
      for await (const chunk of chunks(response, this.#host)) {
        if (signal?.aborted) throw cancelled()
        await this.#take(chunk)
        // A server without ranges sends the same bytes again. They are no progress: it may always end there.
        if (this.#have <= this.#furthest) continue
        this.#furthest = this.#have
        progressed()
      }
    } finally {
      // Without effect on a body that was read to its end.
      await response.body?.cancel().catch(() => undefined)
    }
    this.#size ??= this.#have
    if (this.#have < this.#size)
      throw new Transient(`${this.#host}: it ended after ${this.#have} of ${this.#size} bytes`)
  }

  async #take(chunk: Uint8Array): Promise<void> {
    if (this.#size !== undefined && this.#have + chunk.length > this.#size)
      throw this.#bad(`it is longer than the ${this.#size} bytes that were announced`)
    // A server that does not say how much there is may never end.
    if (this.#size === undefined && this.#have + chunk.length > this.#roomUntil) {
      this.#roomUntil = this.#have + chunk.length + ROOM_STEP
      await this.#options.room?.(chunk.length + ROOM_STEP)
    }
    let at = 0
    while (at < chunk.length) {
      const { bytesWritten } = await this.#handle.write(
        chunk,
        at,
        chunk.length - at,
        this.#have + at,
      )
      at += bytesWritten
    }
    this.#hash?.update(chunk)
    this.#have += chunk.length
    this.#options.onProgress?.(this.#have, this.#size ?? 0)
  }

  /** Looks at an answer's head: where it starts, and how long the whole is. */
  async #accept(response: Response, from: number): Promise<void> {
    const { status, headers } = response
    if (status === 416) {
      // What is here is no part of what the server has.
      await this.#restart()
      this.#forget()
      throw new Transient(`${this.#host}: its file is shorter than what is here`)
    }
    if (status !== 200 && status !== 206) throw this.#refused(status)
    if ((headers.get('content-encoding') ?? 'identity') !== 'identity')
      throw this.#bad('the server packs it although it was asked not to')
    const tag = strongTag(headers.get('etag'))
    let total: number | undefined
    if (status === 206) {
      const match = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers.get('content-range') ?? '')
      if (!match || Number(match[1]) !== from)
        throw this.#bad('the server sent another part than it was asked for')
      total = Number(match[2])
      const known = this.#etag
      if (known !== undefined && tag !== undefined && known !== tag && !this.#remote.hash) {
        await this.#restart()
        this.#forget()
        throw new Transient(`${this.#host}: the file has changed`)
      }
    } else {
      // All of it again: the server gives no parts, or the file has changed there.
      if (from > 0) await this.#restart()
      if (!this.#remote.hash && this.#etag !== tag) this.#forget()
      const length = headers.get('content-length')
      if (length !== null) total = Number(length)
    }
    this.#etag = tag
    await this.#know(total)
  }

  #forget(): void {
    this.#size = this.#remote.size
    this.#etag = undefined
  }

  async #know(total: number | undefined): Promise<void> {
    if (total !== undefined) {
      if (this.#size !== undefined && total !== this.#size) {
        if (this.#remote.size !== undefined)
          throw this.#bad(`the server says it has ${total} bytes, but it is of ${this.#size}`)
        // The server's own word of before: whichever is right, the hash will tell.
        await this.#restart()
        this.#forget()
        await rm(this.#statePath, { force: true })
        throw new Transient(`${this.#host}: it says that its file has another length than before`)
      }
      this.#size = total
    }
    if (this.#size !== undefined && this.#roomUntil < this.#size) {
      this.#roomUntil = this.#size
      await this.#options.room?.(this.#size - this.#have)
    }
    const { url, hash } = this.#remote
    const state: State = {
      url,
      ...(this.#size !== undefined && { size: this.#size }),
      ...(this.#etag !== undefined && { etag: this.#etag }),
      ...(hash && { hash: hash.hex }),
    }
    await writeFile(this.#statePath, JSON.stringify(state))
  }

  #refused(status: number): MdiError {
    const own = this.#remote.explain?.(status)
    if (own) return own
    const name = basename(this.#path)
    if (status === 404 || status === 410)
      return new MdiError('not-found', `${this.#host} has no ${name}.`)
    if (status === 401 || status === 403)
      return new MdiError('download', `${this.#host} does not give ${name} to us (${status}).`)
    return new MdiError('download', `${this.#host} answers ${status} for ${name}.`)
  }
}

/**
 * Downloads a file to `path`; without effect when it is there.
 * Errors: `download`, `not-found`, `bad-file` (another content or length than was meant),
 * `disk-full`, `cancelled`. Except after `bad-file`, what has come is kept.
 */
export const download = (
  remote: Remote,
  path: string,
  options: DownloadOptions = {},
): Promise<void> => new Download(remote, path, options).run()
