/**
 * The sampler: from one row of logits to one token. It is a pure function of (seed,
 * step, history, logits), so that a lost node's stream can be taken up by another.
 *
 * The order is llama.cpp's: penalties, top-k, top-p, min-p, temperature. The last
 * four only ever keep a prefix of the tokens sorted by logit, so nothing needs the
 * whole vocabulary sorted.
 */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'
import { uniform } from './philox.ts'

/** How a token is chosen. */
export type SamplingParameters = {
  /** 0: greedy. */
  temperature: number
  /** 0: off. */
  topK: number
  /** 1: off. */
  topP: number
  /** 0: off. */
  minP: number
  /** 1: off. */
  repetitionPenalty: number
  /** 0: off. */
  presencePenalty: number
  /** 0: off. */
  frequencyPenalty: number
  /** Tokens of history that the penalties look at. */
  penaltyWindow: number
  seed: number
}

/** What is used where a person says nothing. */
export const defaultSampling: Readonly<SamplingParameters> = {
  temperature: 0.8,
  topK: 40,
  topP: 0.95,
  minP: 0.05,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  penaltyWindow: 64,
  seed: 0,
}

type Range = { low: number; high: number; whole?: true; openLow?: true }

const ranges: Record<keyof SamplingParameters, Range> = {
  temperature: { low: 0, high: 100 },
  topK: { low: 0, high: limits.modelVocab, whole: true },
  topP: { low: 0, high: 1, openLow: true },
  minP: { low: 0, high: 1 },
  repetitionPenalty: { low: 0, high: 100, openLow: true },
  presencePenalty: { low: -100, high: 100 },
  frequencyPenalty: { low: -100, high: 100 },
  penaltyWindow: { low: 0, high: limits.modelContext, whole: true },
  seed: { low: 0, high: 0xffffffff, whole: true },
}

/**
 * Fills in the defaults and checks each value.
 * @throws MdiError `bad-value`, naming the parameter, what it may be and what it was
 */
export const checkSampling = (
  given: {
    readonly [K in keyof SamplingParameters]?: unknown
  },
): SamplingParameters => {
  const checked = { ...defaultSampling }
  for (const name of Object.keys(ranges) as (keyof SamplingParameters)[]) {
    const value = given[name]
    if (value === undefined) continue
    const { low, high, whole, openLow } = ranges[name]
    const fits =
      typeof value === 'number' &&
      (openLow ? value > low : value >= low) &&
      value <= high &&
      (!whole || Number.isSafeInteger(value))
    if (!fits) {
      const kind = whole ? 'a whole number' : 'a number'
      const from = openLow ? `above ${low} and at most ${high}` : `from ${low} to ${high}`
      throw new MdiError('bad-value', `${name} must be ${kind} ${from}, not ${shown(value)}.`)
    }
    checked[name] = value
  }
  return checked
}

const shown = (value: unknown): string => {
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? typeof value)
  return text.length > 40 ? `${text.slice(0, 40)}…` : text
}

/**
 * Chooses one token.
 * @param logits one row, `[vocab]`; not changed. NaN counts as impossible, +∞ as certain
 * @param step the number of the token in its answer; with the seed it gives the random number
 * @param history the tokens so far, prompt and answer, oldest first
 * @throws MdiError `bad-file` when no logit is a number
 */
export const sample = (
  logits: Float32Array,
  parameters: SamplingParameters,
  step: number,
  history: readonly number[],
): number => {
  const values = penalized(logits, parameters, history)
  const best = argmax(values)
  const max = values[best] as number
  if (parameters.temperature === 0 || max === Number.POSITIVE_INFINITY) return best
  const kept = candidates(values, max, parameters)
  return draw(values, kept, max, parameters.temperature, uniform(parameters.seed, step)) ?? best
}

/** The id of the highest logit, the lowest such id. */
const argmax = (values: Float32Array): number => {
  let best = -1
  let max = Number.NEGATIVE_INFINITY
  for (let id = 0; id < values.length; id++) {
    const value = values[id] as number
    if (value > max) {
      max = value
      best = id
    }
  }
  if (best < 0)
    throw new MdiError(
      'bad-file',
      'The model computed no usable value for the next token; its file may be damaged: import it again.',
    )
  return best
}

/** The logits with repetition, presence and frequency penalties; a copy only where needed. */
const penalized = (
  logits: Float32Array,
  parameters: SamplingParameters,
  history: readonly number[],
): Float32Array => {
  const { repetitionPenalty, presencePenalty, frequencyPenalty, penaltyWindow } = parameters
  const off = repetitionPenalty === 1 && presencePenalty === 0 && frequencyPenalty === 0
  if (off || penaltyWindow === 0 || history.length === 0) return logits
  const counts = new Map<number, number>()
  for (let i = Math.max(0, history.length - penaltyWindow); i < history.length; i++) {
    const id = history[i] as number
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  const values = logits.slice()
  for (const [id, count] of counts) {
    const value = values[id]
    if (value === undefined) continue
    // The sign decides: CTRL's penalty would reward tokens with negative logits.
    const repeated = value > 0 ? value / repetitionPenalty : value * repetitionPenalty
    values[id] = repeated - presencePenalty - count * frequencyPenalty
  }
  return values
}

/** The ids that top-k, top-p and min-p leave. */
const candidates = (
  values: Float32Array,
  max: number,
  { topK, topP, minP }: SamplingParameters,
): ArrayLike<number> => {
  // A probability of minP times the best one's is a logit of max + ln(minP).
  const floor = minP > 0 ? max + Math.log(minP) : Number.NEGATIVE_INFINITY
  const byK = topK > 0 && topK < values.length ? highest(values, topK) : undefined
  const byP = topP < 1 ? nucleus(values, byK, max, topP) : byK
  const kept: number[] = []
  if (byP) {
    for (let i = 0; i < byP.length; i++) {
      const id = byP[i] as number
      if ((values[id] as number) >= floor) kept.push(id)
    }
    return kept
  }
  // -∞ and NaN fall out here as well: they have no weight.
  for (let id = 0; id < values.length; id++) if ((values[id] as number) >= floor) kept.push(id)
  return kept
}

/** Whether `a` stands before `b` in the order: higher logit first, then lower id. */
const before = (values: Float32Array, a: number, b: number): boolean => {
  const x = values[a] as number
  const y = values[b] as number
  return x > y || (x === y && a < b)
}

/** The `k` first ids of the order, by a heap whose root is the last of them. */
const highest = (values: Float32Array, k: number): number[] => {
  const heap: number[] = []
  const sink = (): void => {
    let at = 0
    for (;;) {
      let last = at
      for (const child of [2 * at + 1, 2 * at + 2])
        if (child < heap.length && before(values, heap[last] as number, heap[child] as number))
          last = child
      if (last === at) return
      const id = heap[at] as number
      heap[at] = heap[last] as number
      heap[last] = id
      at = last
    }
  }
  const rise = (): void => {
    let at = heap.length - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(values, heap[parent] as number, heap[at] as number)) return
      const id = heap[at] as number
      heap[at] = heap[parent] as number
      heap[parent] = id
      at = parent
    }
  }
  for (let id = 0; id < values.length; id++) {
    const value = values[id] as number
    if (!(value > Number.NEGATIVE_INFINITY)) continue
    if (heap.length < k) {
      heap.push(id)
      rise()
    } else if (value > (values[heap[0] as number] as number)) {
      heap[0] = id
      sink()
    }
  }
  return heap
}

/** Buckets of the nucleus' histogram, and the span of logits below the best they cover. */
const BUCKETS = 2_048
const SPAN = 40

/**
 * The shortest prefix of the order whose probability reaches `topP`. A histogram over the
 * distance from the best logit finds where it ends, so that only one bucket is sorted.
 * @param among ids to look at; absent: all
 */
const nucleus = (
  values: Float32Array,
  among: readonly number[] | undefined,
  max: number,
  topP: number,
): number[] => {
  const mass = new Float64Array(BUCKETS)
  const length = among?.length ?? values.length
  const bucketOf = (value: number): number =>
    Math.min(BUCKETS - 1, Math.floor((max - value) * (BUCKETS / SPAN)))
  let total = 0
  for (let i = 0; i < length; i++) {
    const value = values[among ? (among[i] as number) : i] as number
    const weight = Math.exp(value - max)
    if (!(weight > 0)) continue
    const bucket = bucketOf(value)
    mass[bucket] = (mass[bucket] as number) + weight
    total += weight
  }
  let wanted = topP * total
  let last = 0
  while (last < BUCKETS - 1 && (mass[last] as number) < wanted) wanted -= mass[last++] as number
  const kept: number[] = []
  const edge: number[] = []
  for (let i = 0; i < length; i++) {
    const id = among ? (among[i] as number) : i
    const value = values[id] as number
    if (!(Math.exp(value - max) > 0)) continue
    const bucket = bucketOf(value)
    if (bucket < last) kept.push(id)
    else if (bucket === last) edge.push(id)
  }
  edge.sort((a, b) => (before(values, a, b) ? -1 : 1))
  for (const id of edge) {
    kept.push(id)
    wanted -= Math.exp((values[id] as number) - max)
    if (wanted <= 0) break
  }
  return kept
}

/** Draws by the inverse of the cumulative distribution; undefined when nothing has weight. */
const draw = (
  values: Float32Array,
  kept: ArrayLike<number>,
  max: number,
  temperature: number,
  at: number,
): number | undefined => {
  const weights = new Float64Array(kept.length)
  let total = 0
  for (let i = 0; i < kept.length; i++) {
    const weight = Math.exp(((values[kept[i] as number] as number) - max) / temperature)
    weights[i] = weight
    total += weight
  }
  let left = at * total
  let chosen: number | undefined
  for (let i = 0; i < kept.length; i++) {
    const weight = weights[i] as number
    if (!(weight > 0)) continue
    chosen = kept[i] as number
    left -= weight
    if (left < 0) break
  }
  return chosen
}

/**
 * Natural-log probabilities of the unchanged distribution at the ids asked for; log-sum-exp
 * in fp64. NaN counts as impossible (−∞).
 */
export const logprobs = (logits: Float32Array, ids: readonly number[]): number[] => {
  const max = logits[argmax(logits)] as number
  if (max === Number.POSITIVE_INFINITY)
    return ids.map((id) => (at(logits, id) === max ? 0 : Number.NEGATIVE_INFINITY))
  let sum = 0
  for (let id = 0; id < logits.length; id++) {
    const weight = Math.exp((logits[id] as number) - max)
    if (weight > 0) sum += weight
  }
  const whole = max + Math.log(sum)
  return ids.map((id) => {
    const value = at(logits, id)
    return Number.isNaN(value) ? Number.NEGATIVE_INFINITY : value - whole
  })
}

const at = (logits: Float32Array, id: number): number => {
  const value = logits[id]
  if (value === undefined)
    throw new MdiError('bad-value', `Token ${id} is outside of the vocabulary (${logits.length}).`)
  return value
}
