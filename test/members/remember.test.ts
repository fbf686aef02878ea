import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MdiError } from '../../services/errors.ts'
import { rememberIn } from '../../services/members/remember.ts'
import { MemoryStore } from '../fakes/store.ts'

test('what cannot be kept is told once, and again only after it could be', async () => {
  const store = new MemoryStore()
  const told: string[] = []
  const remember = rememberIn(store, (sentence) => told.push(sentence))
  const { setConfig } = store
  const fail = async () => {
    throw new MdiError('disk-full', 'There is no room left.')
  }
  store.setConfig = fail
  await remember('plan', '1')
  await remember('plan', '2')
  assert.deepEqual(told, [
    'What is to be kept over a restart (plan) is not: There is no room left.',
  ])
  store.setConfig = setConfig
  await remember('plan', '3')
  assert.equal(store.config.get('plan'), '3')
  store.setConfig = fail
  await remember('plan', '4')
  assert.equal(told.length, 2)
})

test('a broken invariant is not taken for a full disk', async () => {
  const store = new MemoryStore()
  store.setConfig = async () => {
    throw new Error('a bug')
  }
  await assert.rejects(rememberIn(store, () => {})('plan', '1'), /a bug/)
})
