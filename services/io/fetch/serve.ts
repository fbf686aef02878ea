/** Weight transfer, the serving side: chunks of records and manifests from the store. */
import { errorFrom, MdiError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { manifestBytes, sha256Of } from '../../model/manifest.ts'
import type { Store } from '../../ports.ts'
import { chunkCount, chunkStart } from '../../wire/chunks.ts'
import type { Fetch } from '../../wire/fetch.ts'
import { chunkBody, fetchSchema } from '../../wire/fetch.ts'
import type { PlainFrame } from '../../wire/frame.ts'
import { readJson, writeJson } from '../../wire/json.ts'
import type { PeerConnection } from '../links/connection.ts'

type Source = Pick<Store, 'getChunk' | 'listModels' | 'getModel'>

/** Serves what a store holds. */
export class WeightServer {
  readonly #store: Source
  /** Names of manifests by their address, and the bytes of the one served last. */
  readonly #names = new Map<string, string>()
  #last: { sha256: string; bytes: Uint8Array } | undefined

  constructor(store: Source) {
    this.#store = store
  }

  /** Answers a peer's fetches one after the other until it leaves. */
  serve(connection: PeerConnection): void {
    let waiting = 0
    let work = Promise.resolve()
    connection.onFrame((frame) => {
      if (frame.kind !== 'fetch') return
      waiting += 1
      if (waiting > limits.fetchesAhead) {
        connection.close(`it asks for more than ${limits.fetchesAhead} chunks ahead`)
        return
      }
      work = work.then(async () => {
        await this.#answer(connection, frame)
        waiting -= 1
      })
    })
  }

  async #answer(connection: PeerConnection, frame: PlainFrame): Promise<void> {
    // The next chunk is read when the one before has left: one is in memory, and one on its way.
    await connection.drained(1)
    if (connection.ended) return
    const { number } = frame
    try {
      const asked = readJson(frame.body, fetchSchema, 'a fetch')
      const { data, sha256 } = await this.#chunk(asked)
      connection.send({ kind: 'chunk', epoch: 0, number, body: chunkBody(sha256, data) })
    } catch (error) {
      const told =
        error instanceof MdiError ? error : errorFrom({ code: 'store', message: String(error) })
      connection.send({ kind: 'fetch-error', epoch: 0, number, body: writeJson(told.toJSON()) })
      if (!(error instanceof MdiError)) throw error
    }
  }

  async #chunk({ what, sha256, index }: Fetch): Promise<{ data: Uint8Array; sha256: string }> {
    if (what === 'record') return this.#store.getChunk(sha256, index)
    const bytes = await this.#manifest(sha256)
    if (index >= chunkCount(bytes.length))
      throw new MdiError('not-found', `The manifest has no chunk ${index}.`)
    const data = bytes.subarray(chunkStart(index), chunkStart(index + 1))
    return { data, sha256: sha256Of(data) }
  }

  async #manifest(sha256: string): Promise<Uint8Array> {
    if (this.#last?.sha256 === sha256) return this.#last.bytes
    const known = this.#names.get(sha256)
    const one = known === undefined ? undefined : await this.#store.getModel(known)
    for (const model of one ? [one] : await this.#store.listModels()) {
      const bytes = manifestBytes(model)
      const address = sha256Of(bytes)
      this.#names.set(address, model.name)
      if (address !== sha256) continue
      this.#last = { sha256, bytes }
      return bytes
    }
    this.#names.delete(sha256)
    throw new MdiError('not-found', 'This node does not have the manifest.')
  }
}
