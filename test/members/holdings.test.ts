import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Holdings } from '../../services/members/holdings.ts'
import { manifestReference } from '../../services/model/manifest.ts'
import type { Manifest } from '../../services/model/spec.ts'
import type { Assignment } from '../../services/wire/control.ts'
import { MemoryStore } from '../fakes/store.ts'

const manifestOf = (name: string): Manifest =>
  ({ name, spec: {}, text: {}, records: [], parameters: 1, types: {} }) as unknown as Manifest
const assignmentOf = (manifest: Manifest): Assignment => ({
  ...{ model: manifestReference(manifest), first: 0, end: 1, stage: 0, stages: 1, starter: true },
  ...{ next: null, previous: null, sources: [], arithmetic: 'fast', wire: 'fp16', context: 16 },
})

test('a fetch that was given up does not leave its manifest under the next assignment', async () => {
  const [a, b] = [manifestOf('a'), manifestOf('b')]
  const store = new MemoryStore()
  await store.putModel(a)
  await store.putModel(b)
  const slow = Promise.withResolvers<void>()
  const { getModel } = store
  store.getModel = async (name) => {
    if (name === 'a') await slow.promise
    return getModel.call(store, name)
  }
  const holdings = new Holdings(store, 'me', {
    manifest: () => Promise.reject(new Error('nobody is asked')),
    records: async () => {},
  })
  const first = holdings.fetch(assignmentOf(a), () => {})
  await holdings.fetch(assignmentOf(b), () => {})
  slow.resolve()
  await assert.rejects(first, { code: 'cancelled' })
  assert.equal(holdings.manifest?.name, 'b')
})
