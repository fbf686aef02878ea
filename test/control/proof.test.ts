import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PROOF_MS, Proofs } from '../../services/control/proof.ts'

test('what the broker only remembers needs a word of the node within a while', () => {
  const proofs = new Proofs()
  proofs.remembered('a', 0)
  proofs.remembered('b', 1_000)
  proofs.remembered('a', 30_000)
  assert.deepEqual(proofs.expired(PROOF_MS - 1), [])
  assert.deepEqual(proofs.expired(PROOF_MS), ['a'])
  assert.deepEqual(proofs.expired(PROOF_MS), [], 'each is named once')
  proofs.settled('b')
  assert.deepEqual(proofs.expired(10 * PROOF_MS), [])
})
