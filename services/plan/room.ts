/** What a part of a model takes on one board, and whether there is room for it. Pure. */
import { MdiError } from '../errors.ts'
import type { Manifest, ModelSpec } from '../model/spec.ts'
import { mb } from '../units.ts'
import { kvPosition, modelCost } from './cost.ts'

/** Rows of a prompt in one visit unless said otherwise (measured; see the engine's README). */
export const CHUNK_ROWS = 64

/** Positions unless a person says otherwise: most chats fit, and a small board too. */
export const DEFAULT_CONTEXT = 4_096

/** The context to run a model with. @throws MdiError `bad-value` beyond the model's own */
export const contextFor = (manifest: Manifest, wanted: number | undefined): number => {
  const { context } = manifest.spec
  if (wanted !== undefined && wanted > context)
    throw new MdiError(
      'bad-value',
      `${manifest.name} was made for ${context} positions; a context of ${wanted} is more.`,
    )
  return wanted ?? Math.min(context, DEFAULT_CONTEXT)
}

/**
 * Refuses a part that the model does not have, before anything is allocated by its numbers: the
 * rotary tables alone have a row for each position.
 * @throws MdiError `bad-value`
 */
export const checkPart = (
  manifest: Manifest,
  { first, end, context }: { first: number; end: number; context: number },
): void => {
  const { layers } = manifest.spec
  if (end > layers) {
    const message = `Layers ${first} to ${end - 1} of ${manifest.name} are desired; it has ${layers}.`
    throw new MdiError('bad-value', message)
  }
  contextFor(manifest, context)
}

/** Bytes of a sequence's KV cache at full length, in some layers. */
export const sequenceBytes = (spec: ModelSpec, layers: number, context: number): number =>
  layers * context * kvPosition(spec)

/** The layers `first` to `end − 1` of a model. */
export type LayerRange = {
  first: number
  end: number
  /** With embedding and head. */
  ends: boolean
}

/**
 * Refuses a part that does not fit, with the figures.
 * @param positions of KV cache that must fit
 * @param available bytes
 * @param own memory of the program itself, where it is not running yet
 * @throws MdiError `out-of-memory`
 */
export const checkFits = (
  manifest: Manifest,
  { first, end, ends }: LayerRange,
  positions: number,
  available: number,
  own = 0,
): void => {
  const cost = modelCost(manifest)
  const weights = cost.layers.slice(first, end).reduce((a, b) => a + b, 0) + (ends ? cost.head : 0)
  const kv = (end - first) * cost.kvPosition * positions
  const work = (end - first) * cost.layerWork
  const needed = own + weights + work + kv
  if (needed <= available) return
  const program = own > 0 ? `program and tokenizer ${mb(own)}, ` : ''
  throw new MdiError(
    'out-of-memory',
    `${manifest.name} needs ${mb(needed)} here (${program}weights ${mb(weights)}, working memory ${mb(work)}, cache ${mb(kv)} for ${positions} positions); ${mb(available)} are available. Choose a smaller model or context, or add a board.`,
  )
}
