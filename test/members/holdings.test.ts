import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../../services/limits.ts'
import { Holdings } from '../../services/members/holdings.ts'
import { manifestReference } from '../../services/model/manifest.ts'
import type { Manifest } from '../../services/model/spec.ts'
import { type Assignment, assignmentSchema } from '../../services/wire/control.ts'
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

test('a part that the model does not have is refused before anything is fetched for it', async () => {
  const spec = { layers: 4, context: 2_048 }
  const model = { ...manifestOf('a'), spec } as Manifest
  const store = new MemoryStore()
  await store.putModel(model)
  let fetched = 0
  const holdings = new Holdings(store, 'me', {
    manifest: () => Promise.reject(new Error('nobody is asked')),
    records: async () => {
      fetched += 1
    },
  })
  const wanted = assignmentOf(model)
  for (const [change, message] of [
    [{ end: 5 }, /^Layers 0 to 4 of a are desired; it has 4\.$/],
    [{ first: 400, end: 512 }, /^Layers 400 to 511 of a are desired; it has 4\.$/],
    [{ context: 2_049 }, /made for 2048 positions; a context of 2049 is more/],
    [{ context: limits.modelContext }, /made for 2048 positions/],
  ] as const)
    await assert.rejects(
      holdings.fetch({ ...wanted, ...change }, () => {}),
      { code: 'bad-value', message },
    )
  assert.equal(fetched, 0)
  await holdings.fetch({ ...wanted, end: 4, context: 2_048 }, () => {})
  assert.equal(fetched, 1)
})

test('a ring of more nodes than there may be is no assignment', () => {
  const wanted = { ...assignmentOf(manifestOf('a')), stage: 1, starter: false, previous: 'b' }
  const next = { id: 'c', addresses: [], port: 1 }
  const of = (stages: number) => assignmentSchema.safeParse({ ...wanted, next, stages }).success
  assert.deepEqual([2, limits.stages, limits.stages + 1].map(of), [true, true, false])
})
