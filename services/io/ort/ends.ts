/** The starter's own part: embedding rows from a file, final norm, head and sampler. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { InferenceSession } from 'onnxruntime-node'
import { MdiError } from '../../errors.ts'
import type { FormChoice } from '../../graph/forms.ts'
import { encodeHead } from '../../graph/head.ts'
import { matricesOf } from '../../graph/runtime.ts'
import { dequantize, typeByName } from '../../model/quants.ts'
import type { RecordTensor } from '../../model/record.ts'
import { logprobs, sample } from '../../model/sampler.ts'
import type { ModelSpec } from '../../model/spec.ts'
import type { HeadRequest, HeadResult } from '../../ports.ts'
import { materialize, type RecordSource } from './materialize.ts'
import { ensureSealed } from './seal.ts'
import { float, floats, openSession } from './session.ts'

const COPY_BYTES = 4 << 20
/** Rows that the head projects at a time: logits are wide. */
const HEAD_ROWS = 8

/** Reads rows of the embedding from its record's own blocks: they never fill memory. */
export class Embedding {
  /** Its file was damaged, and was made anew. */
  readonly mended: boolean
  readonly #fd: number
  readonly #tensor: RecordTensor
  readonly #spec: ModelSpec

  /** Copies the record out into a file of the folder unless it is there and sound. */
  constructor(source: RecordSource, sha256: string, spec: ModelSpec, folder: string) {
    const tensor = source.header(sha256).find((t) => t.name === 'token_embd')
    if (!tensor) throw new MdiError('bad-file', 'The model has no embedding; import it again.')
    const file = `${sha256}-rows.bin`
    const made = ensureSealed(folder, file, tensor.bytes, (fd) => {
      for (let at = 0; at < tensor.bytes; at += COPY_BYTES) {
        const length = Math.min(COPY_BYTES, tensor.bytes - at)
        writeSync(fd, source.read(sha256, tensor.offset + at, length), 0, length, at)
      }
    })
    this.mended = made === 'mended'
    this.#fd = openSync(join(folder, file), 'r')
    this.#tensor = tensor
    this.#spec = spec
  }

  /** @returns `[ids, hidden]` */
  rows(ids: Int32Array): Float32Array {
    const { hidden, vocab, embeddingScale } = this.#spec
    const type = typeByName(this.#tensor.type)
    const rowBytes = this.#tensor.bytes / this.#tensor.rows
    const bytes = new Uint8Array(rowBytes)
    const out = new Float32Array(ids.length * hidden)
    ids.forEach((id, i) => {
      if (id < 0 || id >= vocab)
        throw new MdiError('bad-value', `Token ${id} is not in the model's vocabulary of ${vocab}.`)
      readSync(this.#fd, bytes, 0, rowBytes, id * rowBytes)
      const row = dequantize(type, bytes, hidden)
      if (embeddingScale !== undefined)
        for (let c = 0; c < hidden; c++) row[c] = (row[c] as number) * embeddingScale
      out.set(row, i * hidden)
    })
    return out
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/** Final norm, projection, and what is wanted of the logits. */
export class Head {
  readonly #session: InferenceSession
  readonly #spec: ModelSpec

  /** Files that were damaged, and were made anew. */
  readonly mended: number

  private constructor(session: InferenceSession, spec: ModelSpec, mended: number) {
    this.mended = mended
    this.#session = session
    this.#spec = spec
  }

  /** @param tied the embedding's record, where the head shares its matrix */
  static async open(
    source: RecordSource,
    records: { head: string; tied: string | undefined },
    spec: ModelSpec,
    choice: FormChoice,
    folder: string,
    threads: number,
  ): Promise<Head> {
    const own = materialize(source, records.head, choice, folder)
    const norm = own.vectors.get('output_norm')
    if (!norm) throw new MdiError('bad-file', 'The model has no final norm; import it again.')
    const shared = records.tied ? materialize(source, records.tied, choice, folder) : own
    const [output] = matricesOf(shared.plan, [records.tied ? 'token_embd' : 'output'])
    if (!output) throw new MdiError('bad-file', 'The model has no head; import it again.')
    const model = encodeHead(spec, { norm, output }, choice.arithmetic, shared.file)
    const mended = new Set([own, shared].filter((m) => m.mended)).size
    return new Head(await openSession(model, folder, threads), spec, mended)
  }

  /** See `Engine.head`. */
  async run(x: Float32Array, requests: readonly HeadRequest[]): Promise<HeadResult[]> {
    const { hidden, vocab } = this.#spec
    if (x.length !== requests.length * hidden)
      throw new Error(`${x.length} activations for ${requests.length} rows wanted`)
    const results: HeadResult[] = []
    for (let from = 0; from < requests.length; from += HEAD_ROWS) {
      const part = requests.slice(from, from + HEAD_ROWS)
      const rows = x.subarray(from * hidden, (from + part.length) * hidden)
      const out = await this.#session.run({ x: float(rows, [part.length, hidden]) })
      const logits = floats(out.logits)
      part.forEach((request, i) => {
        results.push(answer(logits.subarray(i * vocab, (i + 1) * vocab), request))
      })
    }
    return results
  }

  release(): Promise<void> {
    return this.#session.release()
  }
}

const answer = (logits: Float32Array, request: HeadRequest): HeadResult => {
  if (request.kind === 'sample') {
    const token = sample(logits, request.parameters, request.step, request.history)
    return { token, ...(request.logprob && { logprobs: logprobs(logits, [token]) }) }
  }
  let token = 0
  for (let i = 1; i < logits.length; i++) {
    if ((logits[i] as number) > (logits[token] as number)) token = i
  }
  return { token, logprobs: logprobs(logits, request.ids) }
}
