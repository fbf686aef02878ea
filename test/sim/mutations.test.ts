import assert from 'node:assert/strict'
import { test } from 'node:test'
import { harmless, mutations } from './mutations.ts'
import { runSeed } from './run.ts'

/** Seeds that are tried before a planted bug counts as not found. */
const SEEDS = 250

for (const make of mutations)
  test(`finds a planted bug: ${make().name}`, () => {
    const clean: number[] = []
    for (let seed = 1; seed <= SEEDS; seed++) {
      try {
        runSeed(seed, { mutation: make() })
        clean.push(seed)
      } catch {
        // It must be the bug that is found: without it the seed is good.
        runSeed(seed)
        return
      }
    }
    assert.fail(`${clean.length} seeds find nothing`)
  })

for (const make of harmless)
  test(`bears ${make().name}`, () => {
    for (let seed = 1; seed <= 15; seed++) runSeed(seed, { mutation: make() })
  })
