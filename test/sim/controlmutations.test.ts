import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runControl } from './control.ts'
import { controlMutations } from './controlmutations.ts'

/** Seeds that are tried before a planted bug counts as not found. */
const SEEDS = 150

for (const mutation of controlMutations)
  test(`finds a planted bug: ${mutation.name}`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      try {
        await runControl(seed, { mutation })
      } catch {
        // It must be the bug that is found: without it the seed is good.
        await runControl(seed)
        return
      }
    }
    assert.fail(`${SEEDS} seeds find nothing`)
  })
