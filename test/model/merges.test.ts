import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compactMerges, MergeRanks } from '../../services/model/merges.ts'

const part = fc.string({ minLength: 1, maxLength: 3 }).filter((text) => !text.includes(' '))

test('ranks are those of a plain table, for merges in either form', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(part, part)), fc.array(part), (pairs, tokens) => {
      const ids = new Map(tokens.map((token, id) => [token, id]))
      const table = new Map(pairs.map((pair, rank) => [JSON.stringify(pair), rank]))
      const merges = pairs.map((pair, i) => (i % 2 === 0 ? pair : pair.join(' ')))
      const ranks = new MergeRanks(ids, merges)
      const asked = [...pairs, ...pairs.map(([a, b]) => [b, a] as [string, string])]
      for (const [a, b] of [...asked, ['none', 'such'] as [string, string]])
        assert.equal(ranks.rank(a, b), table.get(JSON.stringify([a, b])), `${a} ${b}`)
    }),
  )
})

test('merges become texts, except where a part has a space', () => {
  const merges = [['a', 'b'], 'c d', [' ', 'e'], ['f', 1]]
  assert.deepEqual(compactMerges(merges), ['a b', 'c d', [' ', 'e'], ['f', 1]])
})
