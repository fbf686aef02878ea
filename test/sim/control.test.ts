import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runControl } from './control.ts'

const SEEDS = 50

test(`${SEEDS} seeds of a cluster whose parts come and go hold every invariant`, async () => {
  let twins = 0
  let rivals = 0
  let pairs = 0
  let falsePlans = 0
  let requests = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      const result = await runControl(seed)
      twins += result.twins
      rivals += result.rivals
      pairs += result.pairs
      falsePlans += result.falsePlans
      requests += result.requests
    } catch (error) {
      throw new Error(`scripts/sim --control --seed ${seed} replays it`, { cause: error })
    }
  }
  // The seeds must have met what they are for.
  const met = `${twins} twins, ${rivals} rivals, ${pairs} pairs, ${falsePlans} false plans, ${requests} requests`
  assert.ok(twins > 2 && rivals > 2 && pairs > 5 && falsePlans > 5, met)
  assert.ok(requests > 20 * SEEDS, met)
})
