import { test } from 'node:test'
import { runSeed } from './run.ts'

/** Any number by `scripts/sim --seeds N`; one with a trace by `scripts/sim --seed S`. */
const SEEDS = 200

test(`${SEEDS} seeds of a ring under faults hold every invariant`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      runSeed(seed)
    } catch (error) {
      throw new Error(`scripts/sim --seed ${seed} replays it`, { cause: error })
    }
  }
})
