/** How many sequences a ring runs at once. Pure. */
import { limits } from '../limits.ts'

/** Sequences that a ring decodes at once at most: what its lanes hold in one visit each. */
export const placesOf = (stages: number): number =>
  Math.min(limits.sequences, stages * limits.segments)

/**
 * Sequences that a starter runs at once: as many as its lanes can decode in one visit each,
 * but no more than whose caches fit into memory at full length, and one a stage at least.
 * @param sequenceBytes a sequence's cache on this node at full context
 * @param freeBytes memory that caches may take here
 */
export const sequencesFor = (stages: number, sequenceBytes: number, freeBytes: number): number => {
  const fit = Math.floor(freeBytes / Math.max(1, sequenceBytes))
  return Math.min(placesOf(stages), Math.max(stages, fit))
}
