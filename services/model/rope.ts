/** Divisors of the rotary frequencies, for models whose context was stretched. */

/** Llama 3's scaling, as `rope_scaling` of a config.json has it. */
export type Llama3Scaling = {
  factor: number
  lowFrequency: number
  highFrequency: number
  /** Positions that the model was first made for. */
  context: number
}

/**
 * Llama 3's divisors, one a pair of dimensions: waves shorter than
 * `context / highFrequency` stay, waves longer than `context / lowFrequency` are divided by
 * `factor`, and between them it goes smoothly.
 */
export const llama3Factors = (theta: number, dim: number, scaling: Llama3Scaling): number[] => {
  const { factor, lowFrequency, highFrequency, context } = scaling
  return Array.from({ length: dim / 2 }, (_, i) => {
    const wave = 2 * Math.PI * theta ** ((2 * i) / dim)
    if (wave < context / highFrequency) return 1
    if (wave > context / lowFrequency) return factor
    const smooth = (context / wave - lowFrequency) / (highFrequency - lowFrequency)
    return 1 / ((1 - smooth) / factor + smooth)
  })
}

/** Linear scaling: every frequency is divided by the same. */
export const linearFactors = (dim: number, factor: number): number[] | undefined =>
  factor === 1 ? undefined : new Array<number>(dim / 2).fill(factor)
