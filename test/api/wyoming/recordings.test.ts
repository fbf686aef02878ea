/** What three releases of Home Assistant sent, replayed byte for byte. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import type { WyomingEvent } from '../../../services/api/wyoming/codec.ts'
import { MdiError } from '../../../services/errors.ts'
import { voiceService } from '../../fakes/voice.ts'
import { sharedFile } from '../../harness/shared.ts'

type Recording = { wyoming: string[][] }

const releases = ['2025.7.4', '2026.2.3', '2026.11.0'].map((release) => ({
  release,
  file: sharedFile(`recordings/home-assistant-${release}.json`),
}))

/** A model that answers as the recorder's did, and fails as it did. */
const script = (said: string): string | Error | undefined => {
  if (said === 'fail') return new MdiError('node-lost', 'Node pi3 was lost.')
  if (said === 'boom') return new MdiError('too-long', 'It does not fit.')
  if (said === 'drop') return undefined
  if (said === 'empty') return ''
  if (said === 'intent') return '{"intent":"HassNevermind","slots":{}}\nNever mind.'
  return `You said: ${said}`
}

/** What each release needs: an outcome that it reads. */
const expected: Record<string, (event: WyomingEvent) => void> = {
  fail: ({ type }) => assert.equal(type, 'not-handled'),
  boom: ({ type }) => assert.equal(type, 'not-handled'),
  drop: ({ type }) => assert.equal(type, 'not-handled'),
  empty: ({ type }) => assert.equal(type, 'not-handled'),
  intent: ({ type, data }) =>
    assert.deepEqual(
      { type, ...data },
      { type: 'intent', name: 'HassNevermind', entities: [], text: 'Never mind.' },
    ),
}

for (const { release, file } of releases)
  describe(`Home Assistant ${release}`, {
    skip: file ? false : 'the recordings are not at hand',
  }, () => {
    const { wyoming } = file
      ? (JSON.parse(readFileSync(file, 'utf8')) as Recording)
      : { wyoming: [] }

    for (const [i, chunks] of wyoming.entries()) {
      const sent = chunks.join('')
      const said = /"text": "([^"]*)"/.exec(sent)?.[1]
      test(`connection ${i}: ${said ?? 'describe'}`, async (t) => {
        const { call, core, clock } = await voiceService(t, script)
        const client = await call()
        // As it came, segment by segment.
        for (const chunk of chunks) client.write(chunk)
        if (said === undefined) {
          const { data } = await client.events.next(({ type }) => type === 'info')
          assert.ok(Array.isArray(data.handle))
          return
        }
        const request = await core.requests.next(() => true)
        if (said === 'drop') clock.advance(60_000)
        const outcome = await client.outcome()
        const check = expected[said]
        if (check) check(outcome)
        else assert.deepEqual([outcome.type, outcome.data.text], ['handled', `You said: ${said}`])
        assert.ok(typeof outcome.data.text === 'string' && outcome.data.text !== '')
        assert.equal(
          client.events.all.some(({ type }) => type === 'error'),
          false,
        )
        assert.match(request.client, said === 'grüße' ? /dev1$/ : /01M82V\w+$/)
      })
    }
  })
