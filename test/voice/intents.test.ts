/** The table of intents against Home Assistant's own (test/golden/intents.json). */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { combinationOf, intents, slots, takesDomain } from '../../services/voice/intents.ts'

type Golden = {
  package: string
  intents: Record<
    string,
    {
      slots: Record<string, boolean>
      combinations: { slots: string[]; here: boolean; domains: string[] }[]
    }
  >
}
const golden = JSON.parse(
  readFileSync(new URL('../golden/intents.json', import.meta.url), 'utf8'),
) as Golden

/** Intents that have handlers and no sentences (INTENTS). */
const handlersOnly = [
  'HassToggle',
  'HassStopMoving',
  'HassHumidifierSetpoint',
  'HassHumidifierMode',
]
/** Those of Home Assistant's that we leave out: the older two are covered by the lists'. */
const leftOut = ['HassRespond', 'HassShoppingListAddItem', 'HassShoppingListCompleteItem']
const placeless = (combination: string) => !/\b(name|area|floor)\b/.test(combination)

test('every intent of ours is one of Home Assistant’s, and none is missing', () => {
  const ours = Object.keys(intents).sort()
  const theirs = [...Object.keys(golden.intents), ...handlersOnly].filter(
    (n) => !leftOut.includes(n),
  )
  assert.deepEqual(ours, theirs.sort())
})

test('slots are those of Home Assistant, and each has a type', () => {
  for (const [name, row] of Object.entries(intents)) {
    for (const slot of row.slots) assert.ok(Object.hasOwn(slots, slot), `${name} ${slot}`)
    if (handlersOnly.includes(name)) continue
    const theirs = Object.keys(golden.intents[name]?.slots ?? {})
    assert.deepEqual([...row.slots].sort(), theirs.sort(), name)
  }
})

test('slot combinations are those of Home Assistant, but for the speaker’s area and the whole house', () => {
  for (const [name, row] of Object.entries(intents)) {
    if (handlersOnly.includes(name)) {
      assert.deepEqual(row.combinations, [], name)
      continue
    }
    const required = Object.entries(golden.intents[name]?.slots ?? {})
      .filter(([, needed]) => needed)
      .map(([slot]) => slot)
    const theirs = (golden.intents[name]?.combinations ?? [])
      // Every slot that must be there is in it (the speaker's area would be filled in).
      .filter((c) => !c.here && required.every((slot) => c.slots.includes(slot)))
      .map((c) => combinationOf(c.slots))
      .filter((c) => !(row.place && placeless(c)))
    assert.deepEqual([...new Set(row.combinations)].sort(), [...new Set(theirs)].sort(), name)
    for (const beyond of row.beyond ?? []) assert.ok(!theirs.includes(beyond), `${name} ${beyond}`)
  }
})

test('domains are those of Home Assistant, by combination', () => {
  for (const [name, row] of Object.entries(intents)) {
    const theirs = new Map<string, Set<string>>()
    if (row.slots.includes('domain'))
      for (const c of golden.intents[name]?.combinations ?? []) {
        const combination = combinationOf(c.slots)
        if (!row.combinations.includes(combination)) continue
        const domains = theirs.get(combination) ?? new Set()
        theirs.set(combination, new Set([...domains, ...c.domains]))
      }
    const listed = [...theirs].map(([c, domains]) => [c, [...domains].sort()] as const)
    const ours = Object.entries(row.domains ?? {}).map(([c, d]) => [c, [...d].sort()])
    assert.deepEqual(Object.fromEntries(ours), Object.fromEntries(listed), name)
    for (const [combination, domains] of Object.entries(row.domainsBeyond ?? {}))
      for (const domain of domains) {
        assert.ok(takesDomain(row, combination, domain))
        assert.equal(theirs.get(combination)?.has(domain) ?? false, false, `${name} ${domain}`)
        assert.ok([...row.combinations, ...(row.beyond ?? [])].includes(combination), combination)
      }
  }
})

test('what acts on devices has a place in every combination', () => {
  const timers = /Timer|GetWeather|GetState|GetCurrent|Nevermind|Broadcast|ClimateGetTemperature/
  for (const [name, row] of Object.entries(intents)) {
    if (timers.test(name)) continue
    for (const combination of [...row.combinations, ...(row.beyond ?? [])])
      assert.equal(placeless(combination), false, `${name}: ${combination}`)
  }
})

test('every slot of a combination is one of its intent’s', () => {
  for (const [name, row] of Object.entries(intents))
    for (const combination of [...row.combinations, ...(row.beyond ?? [])])
      for (const slot of combination.split(' ').filter((s) => s !== '')) {
        const real = slot === 'duration' ? 'minutes' : slot === 'started' ? 'start_minutes' : slot
        assert.ok(row.slots.includes(real), `${name}: ${combination}`)
        assert.equal(combinationOf([real]), slot)
      }
})
