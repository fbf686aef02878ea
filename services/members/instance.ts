/** Names that are made anew at each start. */
import type { Random } from '../ports.ts'

/** 128 random bits in hex. */
export const newInstance = (random: Random): string =>
  Array.from({ length: 4 }, () => random.uint32().toString(16).padStart(8, '0')).join('')
