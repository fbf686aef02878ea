/** What the command line shows: tables, progress bars, and errors as one sentence. */
import { SingleBar } from 'cli-progress'
import Table from 'cli-table3'
import { ExitStatus, MdiError } from '../errors.ts'
import type { OnProgress, Progress } from '../ports.ts'
import { type Answer, DEFAULT_TOKENS } from '../requests/generation.ts'

/** Bytes for a person. */
export const bytes = (n: number): string => {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = n
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${units[unit]}`
}

/** Parameters for a person: 135M, 1.1B. */
export const count = (n: number): string =>
  n >= 999.5e6
    ? `${(n / 1e9).toFixed(1)}B`
    : n >= 1e6
      ? `${Math.round(n / 1e6)}M`
      : `${Math.round(n / 1e3)}K`

/** Text without control codes: names and messages come from strangers' files, and terminals obey. */
export const plain = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is meant
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd')

/** A table on standard output, without a frame. */
export const table = (head: string[], rows: (string | number)[][]): void => {
  const outer = { top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '' }
  const none = { 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '', left: '', right: '' }
  const inner = { 'left-mid': '', mid: '', 'mid-mid': '', 'right-mid': '', middle: '  ' }
  const out = new Table({
    head,
    chars: { ...outer, ...none, ...inner },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  })
  out.push(...rows.map((row) => row.map((cell) => (typeof cell === 'string' ? plain(cell) : cell))))
  process.stdout.write(`${out.toString().replace(/ +$/gm, '')}\n`)
}

/** One stable document, for programs. */
export const json = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`)
}

const amount = ({ unit }: Progress, n: number): string =>
  unit === 'bytes' ? bytes(n) : `${Math.round(n)}`

/** How often progress is told where no bar can be drawn. */
const LINE_EVERY_MS = 5_000

/**
 * Shows how far long steps are, on standard error: a bar with rate and time left on a
 * terminal, a line now and then elsewhere. Steps that end within a moment show nothing.
 */
export class ProgressBar {
  readonly #quiet: boolean
  #step: string | undefined
  #startedAt = 0
  /** What was done before, in an earlier run: it counts for no rate. */
  #before = 0
  #lineAt = 0
  #bar: SingleBar | undefined

  constructor(quiet = false) {
    this.#quiet = quiet
  }

  readonly show: OnProgress = (progress) => {
    if (this.#quiet) return
    const now = performance.now()
    if (progress.step !== this.#step) {
      this.stop()
      this.#step = progress.step
      this.#startedAt = now
      this.#before = progress.done
      this.#lineAt = now
    }
    const seconds = (now - this.#startedAt) / 1000
    if (seconds < 1) return
    const rate = (progress.done - this.#before) / seconds
    const left = rate > 0 ? (progress.total - progress.done) / rate : 0
    const unit = progress.unit === 'bytes' ? '' : ` ${progress.unit}`
    const text = {
      done: amount(progress, progress.done),
      all: `${amount(progress, progress.total)}${unit}`,
      rate: `${progress.unit === 'bytes' ? bytes(rate) : rate.toFixed(1)}/s`,
      left: `${Math.ceil(left)} s left`,
    }
    if (process.stderr.isTTY) this.#draw(progress, text)
    else if (now - this.#lineAt >= LINE_EVERY_MS) {
      this.#lineAt = now
      process.stderr.write(
        `${progress.step}: ${text.done} of ${text.all}, ${text.rate}, ${text.left}\n`,
      )
    }
  }

  #draw(progress: Progress, text: Record<string, string>): void {
    if (!this.#bar) {
      this.#bar = new SingleBar({
        format: `${progress.step.padEnd(10)} {bar} {percentage}%  {done} of {all}  {rate}  {left}`,
        stream: process.stderr,
        hideCursor: true,
        clearOnComplete: true,
        barsize: 24,
        stopOnComplete: false,
      })
      this.#bar.start(progress.total, progress.done, text)
    }
    this.#bar.update(progress.done, text)
  }

  /** Takes the bar away. */
  stop(): void {
    this.#bar?.stop()
    this.#bar = undefined
    this.#step = undefined
  }
}

/** Tells an error and gives the exit status. What is no operating error is a bug: its stack. */
export const tellError = (error: unknown): number => {
  if (error instanceof MdiError) {
    if (error.code !== 'cancelled') process.stderr.write(`mdi: ${plain(error.message)}\n`)
    return error.row.exit
  }
  process.stderr.write(
    `mdi: this is a bug, please report it with these lines:\n${(error as Error)?.stack ?? String(error)}\n`,
  )
  return ExitStatus.failure
}

/** What a person is told of a prompt of which something was lost; undefined where all was read. */
export const lostNote = ({ unspelled = 0 }: Answer): string | undefined =>
  unspelled === 0
    ? undefined
    : `${unspelled} ${unspelled === 1 ? 'piece' : 'pieces'} of the prompt cannot be spelled by this model's vocabulary and did not reach it`

/** What a person is told of an answer that a limit has cut; undefined where none has. */
export const cutNote = (
  { reason, tokens }: Answer,
  maxTokens: number = DEFAULT_TOKENS,
): string | undefined => {
  if (reason !== 'length') return undefined
  return tokens < maxTokens
    ? 'cut where the context was full; --context N for more'
    : `cut at ${tokens} tokens; --max-tokens N for more`
}
