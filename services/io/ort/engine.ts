/** The engine itself, as it runs inside its worker thread. See `Engine` in `ports`. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { MdiError } from '../../errors.ts'
import type { FormChoice } from '../../graph/forms.ts'
import type { Manifest, RecordRef } from '../../model/spec.ts'
import type {
  Arithmetic,
  Engine,
  EngineAssignment,
  EngineReport,
  HeadResult,
  Job,
  JobOutput,
  OnProgress,
} from '../../ports.ts'
import { Embedding, Head } from './ends.ts'
import { readForms, writeForms } from './keptforms.ts'
import { Layers, type OpenLayer, openLayer } from './layers.ts'
import { materialize, type RecordSource } from './materialize.ts'
import { type FormTimes, measureForms, speedsOf } from './measure.ts'

export type OrtEngineOptions = {
  source: RecordSource
  /** Folder of the runtime files; made if missing. */
  folder: string
  /** Threads of each session. */
  threads: number
}

type Loaded = { layers: Layers; embedding?: Embedding; head?: Head }

/** Computes layers with ONNX Runtime. Calls must not overlap; the worker sees to it. */
export class OrtEngine implements Engine {
  readonly #options: OrtEngineOptions
  #open: OpenLayer[] = []
  #loaded: Loaded | undefined
  /** Files that the load in progress has made anew. */
  #mended = 0

  constructor(options: OrtEngineOptions) {
    this.#options = options
    mkdirSync(options.folder, { recursive: true })
    for (const name of readdirSync(options.folder)) {
      // Left over from a process that was killed while it wrote.
      if (name.endsWith('.part')) rmSync(join(options.folder, name), { force: true })
    }
  }

  async measure(arithmetic: Arithmetic): Promise<Record<string, number>> {
    const { times } = await this.#forms(arithmetic)
    return speedsOf(times)
  }

  async load(assignment: EngineAssignment, onProgress?: OnProgress): Promise<EngineReport> {
    try {
      return await this.#load(assignment, onProgress)
    } finally {
      this.#options.source.release()
    }
  }

  async #load(assignment: EngineAssignment, onProgress?: OnProgress): Promise<EngineReport> {
    const { manifest, first, end, arithmetic, context } = assignment
    await this.#dropEnds()
    this.#mended = 0
    const { choice, times } = await this.#forms(arithmetic)
    const refs = Array.from({ length: end - first }, (_, i) =>
      recordOf(manifest, 'layer', first + i),
    )
    const keyOf = (ref: RecordRef) => `${ref.sha256}/${choice.q8}/${arithmetic}`
    await this.#keepOnly(new Set(refs.map(keyOf)))
    const total = refs.length + (assignment.ends ? 2 : 0)
    let done = 0
    let weightBytes = 0
    const step = (bytes: number) => {
      weightBytes += bytes
      onProgress?.({ step: 'loading', done: ++done, total, unit: 'layers' })
    }
    const layers: OpenLayer[] = []
    for (const ref of refs) {
      layers.push(await this.#layer(manifest, ref, keyOf(ref), choice))
      step(ref.runtimeBytes)
    }
    const loaded: Loaded = { layers: new Layers(manifest.spec, first, layers, context) }
    this.#loaded = loaded
    if (assignment.ends)
      weightBytes += await this.#loadEnds(loaded, manifest, choice, () => step(0))
    const report = { layers: refs.length, forms: formReport(choice, times), weightBytes }
    return this.#mended > 0 ? { ...report, mended: this.#mended } : report
  }

  /** An open layer, or a newly opened one. */
  async #layer(
    manifest: Manifest,
    ref: RecordRef,
    key: string,
    choice: FormChoice,
  ): Promise<OpenLayer> {
    const known = this.#open.find((o) => o.key === key)
    if (known) return known
    const { source, folder, threads } = this.#options
    const m = materialize(source, ref.sha256, choice, folder)
    if (m.mended) this.#mended += 1
    const layer = await openLayer(
      manifest.spec,
      ref.layer ?? 0,
      m,
      choice.arithmetic,
      folder,
      threads,
      key,
    )
    this.#open.push(layer)
    return layer
  }

  async #loadEnds(
    loaded: Loaded,
    manifest: Manifest,
    choice: FormChoice,
    step: () => void,
  ): Promise<number> {
    const { source, folder, threads } = this.#options
    const { spec } = manifest
    const embedding = recordOf(manifest, 'embedding')
    const head = recordOf(manifest, 'head')
    loaded.embedding = new Embedding(source, embedding.sha256, spec, folder)
    if (loaded.embedding.mended) this.#mended += 1
    step()
    const records = { head: head.sha256, tied: spec.tiedHead ? embedding.sha256 : undefined }
    loaded.head = await Head.open(source, records, spec, choice, folder, threads)
    this.#mended += loaded.head.mended
    step()
    return head.runtimeBytes + (spec.tiedHead ? embedding.runtimeBytes : 0)
  }

  async run(job: Job, onResults?: (results: HeadResult[]) => void): Promise<JobOutput> {
    const layers = this.#need('layers')
    layers.kv(job.operations)
    let x = job.input instanceof Int32Array ? this.#need('embedding').rows(job.input) : job.input
    if (job.segments.length > 0) x = await layers.run(job.segments, x, job.output === 'wanted')
    if (!job.head) return { x }
    const results = await this.#need('head').run(x, job.head)
    if (!job.next) return { results }
    onResults?.(results)
    const tokens = job.next.map(({ token }, i) => token ?? (results[i] as HeadResult).token)
    const rows = this.#need('embedding').rows(Int32Array.from(tokens))
    return { x: await layers.run(job.next, rows, false) }
  }

  async unload(): Promise<void> {
    await this.#dropEnds()
    await this.#keepOnly(new Set())
  }

  close(): Promise<void> {
    return this.unload()
  }

  #need<K extends 'layers' | 'embedding' | 'head'>(part: K): NonNullable<Loaded[K]> {
    const found = this.#loaded?.[part]
    if (!found) throw new MdiError('not-ready', `This node has no ${part} loaded.`)
    return found as NonNullable<Loaded[K]>
  }

  /** Lets go of everything but the layers' sessions. */
  async #dropEnds(): Promise<void> {
    const loaded = this.#loaded
    this.#loaded = undefined
    await loaded?.head?.release()
    loaded?.embedding?.close()
  }

  /** Releases the layers that are no longer wanted: their memory goes back to the system. */
  async #keepOnly(keys: ReadonlySet<string>): Promise<void> {
    const dropped = this.#open.filter((o) => !keys.has(o.key))
    this.#open = this.#open.filter((o) => keys.has(o.key))
    for (const layer of dropped) await layer.session.release()
  }

  /** The measured choice of forms, kept in the folder for this CPU. */
  async #forms(arithmetic: Arithmetic): Promise<{ choice: FormChoice; times: FormTimes }> {
    const cpu = `${process.arch} ${cpus()[0]?.model ?? ''}`
    const file = join(this.#options.folder, `forms-${arithmetic}.json`)
    if (existsSync(file)) {
      try {
        const kept = readForms(readFileSync(file, 'utf8'))
        if (kept?.cpu === cpu && kept.choice.arithmetic === arithmetic) return kept
      } catch {
        // The disk does not give it back: measured again.
      }
    }
    const measured = await measureForms(arithmetic)
    writeFileSync(file, writeForms({ cpu, ...measured }))
    return measured
  }
}

const formReport = (choice: FormChoice, times: FormTimes): Record<string, string> => ({
  '4-bit': `q4 ${times.q4.toFixed(3)} ms`,
  '8-bit': `${choice.q8} ${times[choice.q8].toFixed(3)} ms`,
})

const recordOf = (manifest: Manifest, kind: RecordRef['kind'], layer?: number): RecordRef => {
  const ref = manifest.records.find((r) => r.kind === kind && r.layer === layer)
  if (!ref)
    throw new MdiError('bad-file', `${manifest.name} lacks a ${kind} record; import it again.`)
  return ref
}
