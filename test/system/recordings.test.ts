/**
 * What three releases of Home Assistant sent, replayed byte for byte against a running ring of
 * three processes with the model in the box. What the model says is its own; that every
 * connection gets what its release can read is ours.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type WyomingEvent, WyomingReader } from '../../services/api/wyoming/codec.ts'
import { Cluster } from '../harness/cluster.ts'
import { freePort, Place } from '../harness/processes.ts'
import { importInto } from '../harness/rings.ts'
import { sharedFile } from '../harness/shared.ts'

const model = fileURLToPath(new URL('../../firmware/model/house.gguf', import.meta.url))
const releases = ['2025.7.4', '2026.2.3', '2026.11.0'].map((release) => ({
  release,
  file: sharedFile(`recordings/home-assistant-${release}.json`),
}))
const here = existsSync(model) && releases.every(({ file }) => file)
const ends = ['info', 'handled', 'not-handled', 'intent', 'error']

/** Sends the segments of one connection. @returns the event that says what is done with it */
const replay = (port: number, chunks: readonly string[]): Promise<WyomingEvent> =>
  new Promise((resolve, reject) => {
    const reader = new WyomingReader()
    const events: WyomingEvent[] = []
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.once('connect', () => {
      for (const chunk of chunks) socket.write(chunk)
    })
    socket.on('data', (bytes) => {
      events.push(...reader.push(bytes))
      const end = events.find(({ type }) => ends.includes(type))
      if (!end) return
      socket.destroy()
      resolve(end)
    })
    socket.on('error', reject)
  })

describe('recordings against a ring of three', {
  skip: here ? false : 'the recordings or the model in the box are not at hand',
}, () => {
  const place = new Place()
  let cluster: Cluster
  let port: number

  before(async () => {
    const models = join(place.folder, 'models')
    const { name } = await importInto(models, model)
    cluster = await Cluster.start(place, { nodes: 3, models })
    await cluster.load(name)
    port = await freePort()
    const words = ['gateway', '--broker', cluster.url, '--cluster', cluster.name, '--name', 'g']
    const voice = ['--voice-host', '127.0.0.1', '--voice-port', String(port), '--no-zeroconf']
    const gateway = place.mdi('gateway', [...words, ...voice, '--intents']).start()
    await gateway.line(/^Connected to the broker/)
  })
  after(async () => {
    await cluster?.close()
    await place.close()
  })

  for (const { release, file } of releases)
    test(`Home Assistant ${release}`, async () => {
      const { wyoming } = JSON.parse(readFileSync(file as string, 'utf8')) as {
        wyoming: string[][]
      }
      assert.ok(wyoming.length > 0)
      for (const chunks of wyoming) {
        const sent = chunks.join('')
        const last = await replay(port, chunks)
        if (sent.includes('"transcript"')) {
          assert.ok(
            ['handled', 'not-handled', 'intent'].includes(last.type),
            `${sent}: ${last.type}`,
          )
          assert.ok(typeof last.data.text === 'string' && last.data.text !== '', sent)
          // No template of the model's, and none at all for a release that speaks it as it is.
          if (!sent.includes('"language"')) assert.doesNotMatch(last.data.text, /\{[{%#]/)
        } else assert.equal(last.type, 'info')
      }
    })
})
