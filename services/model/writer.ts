/**
 * Writes a model's records into the store as streams: a few MB of a tensor at a time, so
 * that memory does not grow with the model. An import that was killed goes on: a journal in the
 * store's configuration lists the complete records. The model becomes visible when its
 * manifest is stored, which comes last.
 */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { runtimeBytes } from './blocks.ts'
import { allFinite } from './finite.ts'
import { type ExpectedRecord, modelRecords } from './layout.ts'
import { type Loss, type RoundedType, relativeError, roundToQ4_1, roundToQ8_0 } from './quantize.ts'
import { dequantize, type TensorType, typeByName, typeBytes } from './quants.ts'
import { layoutRecord } from './record.ts'
import type { ByteSource } from './source.ts'
import type { Manifest, ModelSpec, RecordRef, TextSpec } from './spec.ts'

/** The part of the store that an import uses; `Store` of the ports has it. */
export interface RecordStore {
  createRecord(): Promise<{
    write(bytes: Uint8Array): Promise<void>
    finish(): Promise<{ sha256: string; bytes: number }>
    abort(): Promise<void>
  }>
  hasRecords(sha256: readonly string[]): Promise<Set<string>>
  putModel(manifest: Manifest): Promise<void>
  getModel(name: string): Promise<Manifest | undefined>
  getConfig(key: string): Promise<string | undefined>
  setConfig(key: string, value: string): Promise<void>
}

/** Where a tensor's elements stand: `rows` × `columns` of `type`, from `offset`. */
export type FoundTensor = {
  source: ByteSource
  offset: number
  type: TensorType
  rows: number
  columns: number
  /** Added to every value of a vector. Some files store norms less 1. */
  plus?: number
}

/** A model that is ready to be written: everything about it has been checked. */
export type Work = {
  name: string
  spec: ModelSpec
  text: TextSpec
  source: Manifest['source']
  /** Identifies the content, from samples of it. */
  identity: string
  /** Of the files. A journal is resumed only if identity and version are the same. */
  version: string
  find(record: ExpectedRecord, tensor: string): FoundTensor
}

export type WriteOptions = {
  /** What becomes of matrices in F32, F16 or BF16: Q8_0 unless said otherwise. */
  rounding?: RoundedType | 'keep'
  onProgress?: (progress: { step: string; done: number; total: number; unit: 'bytes' }) => void
  /** Asked for room for so many bytes before anything is written; its error ends the import. */
  room?: (bytes: number) => Promise<void>
  /** Stops between two chunks; what is complete is kept for the next time. */
  signal?: AbortSignal
}

/** What an import came to. */
export type WriteReport = {
  manifest: Manifest
  /** Records found complete from an import that was interrupted. */
  resumed: number
  /** Relative rms error of the weights that were rounded; absent when none was. */
  loss?: number
}

/** The error for a name that another model has. A model is never replaced unasked. */
export const anotherModel = (name: string): MdiError =>
  new MdiError(
    'bad-value',
    `${name} is another model here; remove it (mdi remove ${name}), or give this one a name of its own with --name.`,
  )

type Journal = { version: string; records: RecordRef[]; loss: Loss }

/** A journal that cannot be read is no journal: the import starts again. */
const parseJournal = (text: string): Journal | undefined => {
  try {
    const { version, records, loss } = JSON.parse(text) as Partial<Journal>
    return version !== undefined && Array.isArray(records) && loss
      ? { version, records, loss }
      : undefined
  } catch {
    return undefined
  }
}

/** A tensor and the type in which it is stored. */
type Planned = FoundTensor & { name: string; layer: number | undefined; stored: TensorType }

const F32 = typeByName('F32')

/** The type in which a tensor is stored. */
const storedType = (found: FoundTensor, rounding: RoundedType | 'keep'): TensorType => {
  if (found.rows === 1) return F32
  // A matrix whose rows are no whole blocks stays in floats.
  if (found.type.form || rounding === 'keep' || found.columns % 32 !== 0) return found.type
  return typeByName(rounding)
}

const convert = (bytes: Uint8Array, count: number, plan: Planned, loss: Loss): Uint8Array => {
  if (!allFinite(plan.type, bytes)) {
    const where = plan.layer === undefined ? plan.name : `${plan.name} of layer ${plan.layer}`
    throw new MdiError(
      'bad-file',
      `${plan.source.name} is damaged: the weights of ${where} are not all finite numbers.`,
    )
  }
  if (plan.stored === plan.type && !plan.plus) return bytes
  const values = dequantize(plan.type, bytes, count)
  if (plan.plus) for (let i = 0; i < count; i++) values[i] = (values[i] as number) + plan.plus
  if (plan.stored === F32) return new Uint8Array(values.buffer)
  return (plan.stored.name === 'Q4_1' ? roundToQ4_1 : roundToQ8_0)(values, loss)
}

/** Source bytes a step: whole blocks of every type, and never more than a chunk. */
const step = (type: TensorType): number => {
  const elements = Math.floor(limits.chunkBytes / 4 / 256) * 256
  return (elements / type.elements) * type.bytes
}

class Writer {
  readonly #work: Work
  readonly #store: RecordStore
  readonly #options: WriteOptions
  readonly #key: string
  readonly #journal: Journal
  #done = 0
  #total = 0
  readonly #rooms = [new Uint8Array(limits.chunkBytes), new Uint8Array(limits.chunkBytes)]

  constructor(work: Work, store: RecordStore, options: WriteOptions) {
    this.#work = work
    this.#store = store
    this.#options = options
    this.#journal = { version: work.version, records: [], loss: { error: 0, power: 0 } }
    this.#key = `import/2/${work.identity}/${options.rounding ?? 'Q8_0'}`
  }

  async run(): Promise<WriteReport> {
    const { name, identity } = this.#work
    const there = await this.#store.getModel(name)
    if (there && there.source.identity !== identity) throw anotherModel(name)
    const records = modelRecords(this.#work.spec)
    // Look up every tensor first: a bad file is refused before anything is written.
    const plans = records.map((record) => this.#plan(record))
    const resumed = await this.#resume(records.length)
    const sizes = plans.map((plan) => plan.reduce((sum, t) => sum + this.#sourceBytes(t), 0))
    this.#total = sizes.reduce((sum, n) => sum + n, 0)
    this.#done = sizes.slice(0, resumed).reduce((sum, n) => sum + n, 0)
    const rest = plans.slice(resumed).flat()
    await this.#options.room?.(
      rest.reduce((sum, t) => sum + typeBytes(t.stored, t.rows, t.columns), 0),
    )
    this.#progress(0)
    try {
      await this.#write(records.slice(resumed), plans.slice(resumed))
    } catch (error) {
      // A damaged file is not trusted at all, not even what was read before the damage.
      if (error instanceof MdiError && error.code === 'bad-file')
        await this.#store.setConfig(this.#key, '')
      throw error
    }
    const manifest = this.#manifest(plans.flat())
    await this.#store.putModel(manifest)
    await this.#store.setConfig(this.#key, '')
    const { loss } = this.#journal
    return { manifest, resumed, ...(loss.power > 0 && { loss: relativeError(loss) }) }
  }

  /** Writes records; one is sealed and noted while the next is read. */
  async #write(records: readonly ExpectedRecord[], plans: readonly Planned[][]): Promise<void> {
    let before: Promise<void> = Promise.resolve()
    for (const [i, record] of records.entries()) {
      let sealed: Promise<RecordRef>
      try {
        sealed = (await this.#record(record, plans[i] as Planned[])).sealed
      } catch (error) {
        // Report the first error.
        await before
        throw error
      }
      await before
      // A copy: the next record adds to the sums while this one is sealed.
      const loss = { ...this.#journal.loss }
      before = sealed.then((ref) => {
        this.#journal.records.push(ref)
        return this.#store.setConfig(this.#key, JSON.stringify({ ...this.#journal, loss }))
      })
      // It is awaited with the next one.
      before.catch(() => undefined)
    }
    await before
  }

  #plan(record: ExpectedRecord): Planned[] {
    const rounding = this.#options.rounding ?? 'Q8_0'
    const { layer } = record
    return record.tensors.map(({ name }) => {
      const found = this.#work.find(record, name)
      return { ...found, name, layer, stored: storedType(found, rounding) }
    })
  }

  #sourceBytes(tensor: FoundTensor): number {
    return typeBytes(tensor.type, tensor.rows, tensor.columns)
  }

  /** Reads the journal. @returns how many records, from the first, are complete */
  async #resume(records: number): Promise<number> {
    const text = await this.#store.getConfig(this.#key)
    if (!text) return 0
    const journal = parseJournal(text)
    if (!journal) return 0
    const here = await this.#store.hasRecords(journal.records.map((r) => r.sha256))
    const complete = journal.records.every((r) => here.has(r.sha256))
    // The loss is a sum over all records, so a journal with gaps starts again.
    // A journal of another version is not used either: samples cannot tell a repaired file from the damaged one.
    const same = complete && journal.version === this.#work.version
    if (!same || journal.records.length > records) return 0
    this.#journal.records = journal.records
    this.#journal.loss = journal.loss
    return journal.records.length
  }

  /**
   * Reads and sends one record. It does not wait until that is stored.
   * @returns what it becomes; rejected where it could not be stored, and then dropped
   */
  async #record(record: ExpectedRecord, plans: Planned[]): Promise<{ sealed: Promise<RecordRef> }> {
    const layout = layoutRecord(
      plans.map(({ name, stored, rows, columns }) => ({
        name,
        type: stored.name,
        rows,
        columns,
        bytes: typeBytes(stored, rows, columns),
      })),
    )
    const writer = await this.#store.createRecord()
    const drop = async (error: unknown): Promise<never> => {
      await writer.abort().catch(() => undefined)
      throw error
    }
    try {
      await writer.write(layout.header)
      let at = layout.header.length
      for (const [i, plan] of plans.entries()) {
        const offset = layout.tensors[i]?.offset ?? at
        if (offset > at) await writer.write(new Uint8Array(offset - at))
        at = offset
        for await (const bytes of this.#tensor(plan)) {
          await writer.write(bytes)
          at += bytes.length
        }
      }
    } catch (error) {
      return drop(error)
    }
    const running = plans.reduce((sum, t) => sum + runtimeBytes(t.stored, t.rows, t.columns), 0)
    const layer = record.layer === undefined ? {} : { layer: record.layer }
    const sealed = writer.finish().then(
      ({ sha256, bytes }) => ({
        kind: record.kind,
        ...layer,
        sha256,
        bytes,
        runtimeBytes: running,
      }),
      drop,
    )
    sealed.catch(() => undefined)
    return { sealed }
  }

  /** A tensor's bytes as they are stored; the next ones are read while these are written. */
  async *#tensor(plan: Planned): AsyncGenerator<Uint8Array> {
    const total = this.#sourceBytes(plan)
    const size = step(plan.type)
    // Two buffers take turns: one is written while the next is read. Reusing them saves memory,
    // since garbage is collected late.
    const read = (at: number): Promise<Uint8Array> | undefined => {
      if (at >= total) return undefined
      const room = this.#rooms[(at / size) % 2]
      const bytes = plan.source.read(plan.offset + at, Math.min(size, total - at), room)
      // It is awaited below; until then a failure must not count as unhandled.
      bytes.catch(() => undefined)
      return bytes
    }
    let next = read(0)
    for (let at = size; next; at += size) {
      this.#options.signal?.throwIfAborted()
      const bytes = await next
      next = read(at)
      yield convert(
        bytes,
        (bytes.length / plan.type.bytes) * plan.type.elements,
        plan,
        this.#journal.loss,
      )
      this.#progress(bytes.length)
    }
  }

  #progress(bytes: number): void {
    this.#done += bytes
    this.#options.onProgress?.({
      step: 'importing',
      done: this.#done,
      total: this.#total,
      unit: 'bytes',
    })
  }

  #manifest(tensors: Planned[]): Manifest {
    const { name, spec, text, identity } = this.#work
    const source = { ...this.#work.source, identity }
    const types: Record<string, number> = {}
    for (const { type } of tensors) types[type.name] = (types[type.name] ?? 0) + 1
    const parameters = tensors.reduce((sum, t) => sum + t.rows * t.columns, 0)
    return { name, spec, text, source, records: this.#journal.records, parameters, types }
  }
}

/**
 * Writes a model's records and then its manifest; resumes what was interrupted.
 * Errors: those of the store (`disk-full`, `store`), `bad-file` where weights are no numbers,
 * `bad-value` where another model has the name.
 */
export const writeModel = (
  work: Work,
  store: RecordStore,
  options: WriteOptions = {},
): Promise<WriteReport> => new Writer(work, store, options).run()
