/** Options that several commands share, and their values' checks. */
import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { type Command, InvalidArgumentError } from 'commander'
import { MdiError } from '../errors.ts'
import { checkSampling, defaultSampling, type SamplingParameters } from '../model/sampler.ts'
import { checkStops } from '../model/stream.ts'
import { CHUNK_ROWS, DEFAULT_CONTEXT } from '../plan/room.ts'
import type { Arithmetic } from '../ports.ts'
import { DEFAULT_TOKENS } from '../requests/generation.ts'
import { settingsOf } from './settings.ts'

/** A whole number of at least `least`. */
export const whole =
  (least: number) =>
  (text: string): number => {
    const n = Number(text)
    if (!Number.isSafeInteger(n) || n < least || text.trim() === '')
      throw new InvalidArgumentError(`It must be a whole number of at least ${least}.`)
    return n
  }

/** Threads that compute: no more than there are cores. */
export const threads = (text: string): number => {
  const cores = availableParallelism()
  const n = Number(text)
  if (!Number.isSafeInteger(n) || n < 1 || n > cores)
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${cores}, the cores here.`)
  return n
}

export const number = (text: string): number => {
  const n = Number(text)
  if (!Number.isFinite(n) || text.trim() === '')
    throw new InvalidArgumentError('It must be a number.')
  return n
}

const size = (text: string): number => {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]?)b?$/i.exec(text.trim())
  if (!match) throw new InvalidArgumentError('It must be a size such as 600M or 1.5G.')
  const scale = { '': 1, k: 1e3, m: 1e6, g: 1e9 }[(match[2] as string).toLowerCase()] as number
  return Math.round(Number(match[1]) * scale)
}

export const arithmetic = (text: string): Arithmetic => {
  if (text === 'exact' || text === 'fast') return text
  throw new InvalidArgumentError('It is exact or fast.')
}

/** Collects an option that can be given several times. */
export const several = (text: string, before: string[] = []): string[] => [...before, text]

/** Where models and settings are kept. */
export const dataFolder = (command: Command): string => settingsOf(command).data

export type EngineOptions = {
  arithmetic: Arithmetic
  threads: number
  context?: number
  chunkRows: number
  memory?: number
}

export const addEngineOptions = (command: Command): Command =>
  command
    .option('--arithmetic <kind>', 'fast (8-bit activations) or exact (fp32)', arithmetic, 'fast')
    .option('--threads <n>', 'threads that compute', threads, Math.min(4, availableParallelism()))
    .option(
      '--context <n>',
      `positions that a conversation may reach; otherwise the model's own, ${DEFAULT_CONTEXT} at most`,
      whole(16),
    )
    .option('--chunk-rows <n>', 'tokens of a prompt computed at a time', whole(1), CHUNK_ROWS)
    .option('--memory <size>', 'memory to use at most, such as 600M', size)

export type SamplingOptions = {
  temperature: number
  topK: number
  topP: number
  minP: number
  repetitionPenalty: number
  presencePenalty: number
  frequencyPenalty: number
  seed?: number
  greedy?: boolean
  stop?: string[]
  maxTokens?: number
}

export const addSamplingOptions = (command: Command): Command => {
  const d = defaultSampling
  return command
    .option(
      '--max-tokens <n>',
      `tokens of the answer at most; otherwise ${DEFAULT_TOKENS}`,
      whole(1),
    )
    .option('--greedy', 'always the likeliest token')
    .option('--temperature <t>', '0 is greedy', number, d.temperature)
    .option('--top-k <n>', 'sample among the n likeliest; 0 is off', whole(0), d.topK)
    .option('--top-p <p>', 'sample among the likeliest that sum to p', number, d.topP)
    .option('--min-p <p>', 'at least p times as likely as the likeliest', number, d.minP)
    .option('--repetition-penalty <x>', '1 is off', number, d.repetitionPenalty)
    .option('--presence-penalty <x>', '0 is off', number, d.presencePenalty)
    .option('--frequency-penalty <x>', '0 is off', number, d.frequencyPenalty)
    .option('--seed <n>', 'the same seed gives the same text', whole(0))
    .option('--stop <text>', 'end before this text; can be given again', several)
}

/** @throws MdiError `bad-value` */
export const samplingOf = (options: SamplingOptions): SamplingParameters => {
  const seed = options.seed ?? randomBytes(4).readUInt32LE()
  if (seed > 0xffff_ffff) throw new MdiError('bad-value', 'A seed is below 4294967296.')
  return named(() =>
    checkSampling({
      temperature: options.greedy ? 0 : options.temperature,
      topK: options.topK,
      topP: options.topP,
      minP: options.minP,
      repetitionPenalty: options.repetitionPenalty,
      presencePenalty: options.presencePenalty,
      frequencyPenalty: options.frequencyPenalty,
      seed,
    }),
  )
}

/** The parameters' names as a person writes them on the command line. */
const named = <T>(check: () => T): T => {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof MdiError)) throw error
    const option = (name: string) => `--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`
    throw new MdiError(error.code, error.message.replace(/^\w+/, option), { cause: error })
  }
}

export const stopsOf = (options: SamplingOptions): string[] => checkStops(options.stop ?? [])
