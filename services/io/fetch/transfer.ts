/**
 * Weight transfer, the fetching side. The records that a node lacks come chunk by chunk from the
 * sources that it was told, straight into its store. Only the chunks on their way take memory. What
 * has arrived stays when the transfer breaks off.
 */
import { MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { readManifest } from '../../model/manifest.ts'
import type { Manifest } from '../../model/spec.ts'
import type { OnProgress, Store } from '../../ports.ts'
import { chunkCount, chunkLength, chunkStart } from '../../wire/chunks.ts'
import type { ModelReference } from '../../wire/control.ts'
import type { Fetch } from '../../wire/fetch.ts'
import type { Peer } from '../../wire/values.ts'
import type { PeerConnection } from '../links/connection.ts'
import type { FetchedChunk } from './peer.ts'
import { PeerSource } from './peer.ts'

/** Dials a peer for weights: `TcpLinks.dial`. */
export type DialWeights = (peer: Peer, signal: AbortSignal) => Promise<PeerConnection>

export type TransferOptions = {
  /** Best first. */
  sources: readonly Peer[]
  dial: DialWeights
  /** Ends the transfer with `cancelled`. */
  signal?: AbortSignal | undefined
  /** For tests: shorter waits. */
  fetchMs?: number
  redialMs?: number
}

/** A record that is wanted. */
export type Wanted = { sha256: string; bytes: number }

type Target = Pick<Store, 'openRecord' | 'putChunk' | 'sealRecord' | 'hasRecords'>

/** Does `work` for each item, at most `width` at once; the first error ends it. */
const pool = async <T>(
  width: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> => {
  let next = 0
  let failed = false
  const one = async () => {
    while (next < items.length && !failed) {
      const item = items[next++] as T
      await work(item).catch((error) => {
        failed = true
        throw error
      })
    }
  }
  const results = await Promise.allSettled(
    Array.from({ length: Math.min(width, items.length) }, one),
  )
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

/** Whether a source may be back soon, so that it is worth waiting for it. */
const away = ({ row }: MdiError): boolean => row.again !== 'never' && !row.person

const roundsOf = (error: MdiError | undefined): number =>
  error && away(error) ? limits.fetchRoundsAway : limits.fetchRounds

/** Whether a source has nothing of what was asked; another one may. */
const lacks = ({ row }: MdiError): boolean => row.elsewhere && row.again === 'never' && !row.content

/** The answer of several sources that helps a person most. That one lacks it helps least. */
const moreTelling = (a: MdiError | undefined, b: MdiError): MdiError => {
  const rank = (error: MdiError) => (lacks(error) ? 0 : away(error) ? 2 : 1)
  return a && rank(a) >= rank(b) ? a : b
}

/** A source's own words do not say whose they are. */
const named = (error: MdiError, { peer }: PeerSource): MdiError =>
  lacks(error) ? new MdiError(error.code, `Node ${peer.id} lacks it: ${error.message}`) : error

/** The sources of one transfer. */
class Sources {
  readonly #sources: PeerSource[]
  readonly #signal: AbortSignal
  readonly #redialMs: number
  /** The one that answered last is asked first. */
  #best = 0

  constructor({ sources, dial, fetchMs, redialMs }: TransferOptions, signal: AbortSignal) {
    this.#signal = signal
    this.#redialMs = redialMs ?? limits.redialMs
    this.#sources = sources.map((peer) => new PeerSource(peer, () => dial(peer, signal), fetchMs))
  }

  /**
   * One chunk from whichever source has it, and which that was.
   * @param without sources that sent wrong bytes of this
   */
  async fetch(
    what: Fetch,
    without: ReadonlySet<PeerSource>,
  ): Promise<FetchedChunk & { source: PeerSource }> {
    let telling: MdiError | undefined
    for (let round = 0; round < roundsOf(telling); round++) {
      const pause = Math.min(this.#redialMs * 2 ** round, limits.fetchPauseMs)
      if (round > 0) await this.#wait(pause)
      telling = undefined
      for (let i = 0; i < this.#sources.length; i++) {
        const at = (this.#best + i) % this.#sources.length
        const source = this.#sources[at] as PeerSource
        if (without.has(source)) continue
        this.check()
        try {
          const chunk = await source.fetch(what)
          this.#best = at
          return { ...chunk, source }
        } catch (error) {
          this.check()
          if (!(error instanceof MdiError)) throw error
          telling = moreTelling(telling, named(error, source))
        }
      }
    }
    throw telling ?? new MdiError('not-found', 'No node is known that has these weights.')
  }

  /** @throws MdiError `cancelled` */
  check(): void {
    if (this.#signal.aborted) throw new MdiError('cancelled', 'Fetching the weights was given up.')
  }

  close(): void {
    for (const source of this.#sources) source.close()
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        this.#signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#signal.addEventListener('abort', done)
    })
  }
}

const withSources = async <T>(
  options: TransferOptions,
  work: (sources: Sources) => Promise<T>,
): Promise<T> => {
  const ending = new AbortController()
  const signal = AbortSignal.any([ending.signal, ...(options.signal ? [options.signal] : [])])
  const sources = new Sources(options, signal)
  const abort = () => sources.close()
  signal.addEventListener('abort', abort)
  try {
    return await work(sources)
  } finally {
    signal.removeEventListener('abort', abort)
    ending.abort()
    sources.close()
  }
}

/**
 * Fetches a manifest.
 * @throws MdiError `node-lost`, `not-found`, `bad-file`, `cancelled`
 */
export const fetchManifest = (
  { manifest: sha256, bytes }: ModelReference,
  options: TransferOptions,
): Promise<Manifest> =>
  withSources(options, async (sources) => {
    if (bytes > limits.manifestBytes)
      throw new MdiError('bad-value', `A manifest of ${bytes} bytes is too long.`)
    const whole = new Uint8Array(bytes)
    for (let index = 0; index < chunkCount(bytes); index++) {
      const { data } = await sources.fetch({ what: 'manifest', sha256, index }, new Set())
      if (data.length !== chunkLength(bytes, index))
        throw new MdiError('bad-file', 'The manifest that a peer sent has another length.')
      whole.set(data, chunkStart(index))
    }
    return readManifest(whole, sha256)
  })

/**
 * Fetches the records that the store lacks. What arrived before a break is not fetched again.
 * @throws MdiError `node-lost`, `not-found`, `bad-file`, `disk-full`, `store`, `cancelled`
 */
export const fetchRecords = (
  store: Target,
  wanted: readonly Wanted[],
  options: TransferOptions & { onProgress?: OnProgress | undefined },
): Promise<void> =>
  withSources(options, async (sources) => {
    const unique = [...new Map(wanted.map((w) => [w.sha256, w])).values()]
    const have = await store.hasRecords(unique.map((w) => w.sha256))
    const lacking = unique.filter((w) => !have.has(w.sha256))
    const total = lacking.reduce((sum, w) => sum + w.bytes, 0)
    let done = 0
    const add = (bytes: number) => {
      done += bytes
      options.onProgress?.({ step: 'fetching', done, total, unit: 'bytes' })
    }
    add(0)
    await pool(limits.fetchRecords, lacking, (w) => fetchRecord(store, w, sources, add))
  })

/** Whether a source sent bytes that are not what they should be. */
const isWrong = (error: unknown): boolean => error instanceof MdiError && error.row.content

/** One record. A source whose bytes prove wrong is not asked for it again. */
const fetchRecord = async (
  store: Target,
  wanted: Wanted,
  sources: Sources,
  add: (bytes: number) => void,
): Promise<void> => {
  const { sha256, bytes } = wanted
  const wrong = new Set<PeerSource>()
  for (let leftovers = true; ; leftovers = false) {
    const { have } = await store.openRecord(sha256, bytes)
    const held = new Set(have)
    let counted = 0
    const count = (n: number) => {
      counted += n
      add(n)
    }
    for (const index of held) count(chunkLength(bytes, index))
    const missing = Array.from({ length: chunkCount(bytes) }, (_, i) => i).filter(
      (i) => !held.has(i),
    )
    const used = new Set<PeerSource>()
    await pool(limits.fetchChunks, missing, async (index) => {
      await fetchChunk(store, wanted, index, sources, wrong, used)
      count(chunkLength(bytes, index))
    })
    sources.check()
    try {
      await store.sealRecord(sha256)
      return
    } catch (error) {
      // Each chunk was as its sender stated, but the whole is not what was asked for: a
      // sender lied, or chunks of an earlier transfer were wrong. The store dropped them.
      if (!isWrong(error) || (used.size === 0 && !leftovers)) throw error
      for (const source of used) wrong.add(source)
      add(-counted)
    }
  }
}

const fetchChunk = async (
  store: Target,
  { sha256, bytes }: Wanted,
  index: number,
  sources: Sources,
  wrong: Set<PeerSource>,
  used: Set<PeerSource>,
): Promise<void> => {
  for (;;) {
    const chunk = await sources.fetch({ what: 'record', sha256, index }, wrong)
    if (chunk.data.length === chunkLength(bytes, index)) {
      try {
        await store.putChunk(sha256, index, chunk.data, chunk.sha256)
        used.add(chunk.source)
        return
      } catch (error) {
        if (!isWrong(error)) throw error
      }
    }
    wrong.add(chunk.source)
  }
}
