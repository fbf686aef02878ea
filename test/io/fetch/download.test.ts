import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { MdiError } from '../../../services/errors.ts'
import { type DownloadOptions, download, type Remote } from '../../../services/io/fetch/download.ts'
import { retryAfter } from '../../../services/io/fetch/http.ts'
import { uniform } from '../../../services/model/philox.ts'
import { FakeHub, type Fault, pass, sha256, status } from '../../fakes/hub.ts'
import { bytesOf } from '../bytes.ts'

const folder = mkdtempSync(join(tmpdir(), 'mdi-download-'))
let hub = new FakeHub()
await hub.start()
after(async () => {
  await hub.close()
  rmSync(folder, { recursive: true })
})

const data = Buffer.from(bytesOf(5, 1_300_000))
const target = join(folder, 'file.gguf')

beforeEach(async () => {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true })
  await hub.close()
  hub = new FakeHub()
  await hub.start()
  hub.files.set('file.gguf', data)
})

const remote = (more: Partial<Remote> = {}): Remote => ({
  url: `${hub.url}/files/file.gguf`,
  hash: { kind: 'sha256', hex: sha256(data) },
  ...more,
})
const get = (more: Partial<Remote> = {}, options: DownloadOptions = {}): Promise<void> =>
  download(remote(more), target, { retryMs: 1, ...options })
const whole = () => assert.equal(sha256(readFileSync(target)), sha256(data))

test('a file comes whole, and only once', async () => {
  const steps: number[] = []
  await get({ size: data.length }, { onProgress: (done) => steps.push(done) })
  whole()
  assert.equal(steps.at(-1), data.length)
  assert.deepEqual(readdirSync(folder), ['file.gguf'])
  await get()
  assert.equal(hub.asked.length, 1)
})

test('cut in mid-file, it goes on where it was', async () => {
  hub.faults = [hub.cutAfter(400_000), hub.cutAfter(300_000), pass]
  const told: string[] = []
  await get({}, { onTrouble: (sentence) => told.push(sentence) })
  whole()
  assert.equal(hub.asked.length, 3)
  assert.equal(told.length, 2)
  const sent = hub.sent.get('file.gguf') as number
  assert.ok(sent < data.length + 2 * 65_536 && sent >= data.length, `${sent} bytes were sent`)
})

test('ended 20 times at random, by the line or by the process, nothing comes twice', async () => {
  let ends = 0
  for (; ends < 20; ends++) {
    const bytes = 10_000 + Math.floor(uniform(77, ends) * 80_000)
    hub.faults = [hub.cutAfter(bytes), status(503)]
    const stop = new AbortController()
    // Half of the time the person ends it, half of the time the line.
    const onTrouble = () => (ends % 2 === 0 ? stop.abort() : undefined)
    await assert.rejects(get({}, { signal: stop.signal, onTrouble }), {
      code: ends % 2 === 0 ? 'cancelled' : 'download',
    })
    assert.ok(!existsSync(target))
  }
  hub.faults = []
  await get()
  whole()
  const sent = hub.sent.get('file.gguf') as number
  assert.ok(sent < data.length + 20 * 65_536, `${sent} bytes were sent for ${data.length}`)
})

test('killed 20 times at random, what was written is never fetched again', async () => {
  const downloader = fileURLToPath(new URL('./downloader.ts', import.meta.url))
  let written = 0
  for (let round = 0; round <= 20; round++) {
    const more = 10_000 + Math.floor(uniform(78, round) * 45_000)
    let from = -1
    // Some more of it, and then silence: the process is killed while it waits.
    hub.faults = [
      (asked) => {
        from = asked.from
        return round === 20 ? 'pass' : hub.holdAfter(more)(asked)
      },
    ]
    const child = spawn(process.execPath, [downloader, remote().url, target, sha256(data)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === 'whole') break
      assert.equal(from, written, 'it goes on where it was')
      if (round === 20 || Number(line) < from + more) continue
      written = Number(line)
      child.kill('SIGKILL')
      break
    }
    if (child.signalCode === null && child.exitCode === null) await once(child, 'exit')
  }
  whole()
  assert.equal(hub.sent.get('file.gguf'), data.length, 'every byte was sent once')
})

test('another content than was meant is refused, and nothing of it is kept', async () => {
  const hex = '0'.repeat(64)
  await assert.rejects(get({ hash: { kind: 'sha256', hex } }), {
    code: 'bad-file',
    message: new RegExp(`not the content that was meant .*${sha256(data)}.*${hex}`),
  })
  assert.deepEqual(readdirSync(folder), [])
})

test('what was kept and is damaged is fetched once more', async () => {
  hub.faults = [hub.cutAfter(500_000), status(404)]
  await assert.rejects(get(), { code: 'not-found' })
  const part = readFileSync(`${target}.part`)
  part[1_000] = (part[1_000] as number) ^ 1
  writeFileSync(`${target}.part`, part)
  hub.faults = []
  await get()
  whole()
})

test('a part of another content is not built upon', async () => {
  hub.faults = [hub.cutAfter(500_000), status(404)]
  await assert.rejects(get(), { code: 'not-found' })
  const other = Buffer.from(bytesOf(6, 900_000))
  hub.files.set('file.gguf', other)
  hub.faults = []
  await get({ hash: { kind: 'sha256', hex: sha256(other) } })
  assert.equal(sha256(readFileSync(target)), sha256(other))
})

test('without a hash, a file that changes on the server begins anew', async () => {
  hub.faults = [hub.cutAfter(500_000), pass]
  const other = Buffer.from(bytesOf(6, 900_000))
  await get({ hash: undefined }, { onTrouble: () => void hub.files.set('file.gguf', other) })
  assert.equal(sha256(readFileSync(target)), sha256(other))
})

test('a server without ranges sends it all again', async () => {
  hub.ranges = false
  hub.faults = [
    ({ response, data }) => {
      response.writeHead(200, { 'content-length': data.length })
      response.write(data.subarray(0, 300_000), () => response.destroy())
      return 'done'
    },
    pass,
  ]
  await get()
  whole()
})

test('redirects are followed, and the secret stays with the first server', async () => {
  const cdn = new FakeHub()
  await cdn.start()
  try {
    cdn.files.set('file.gguf', data)
    const seen: (string | undefined)[] = []
    cdn.faults = [
      ({ request }) => {
        seen.push(request.headers.authorization)
        return 'pass'
      },
    ]
    hub.token = 'hf_secret'
    hub.redirect = cdn.url
    const url = `${hub.url}/some/model/resolve/c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00/file.gguf`
    await get({ url, secret: 'hf_secret' })
    whole()
    assert.deepEqual(seen, [undefined])
  } finally {
    await cdn.close()
  }
})

test('a circle of redirects ends', async () => {
  hub.faults = [status(302, { location: '/files/file.gguf' })]
  await assert.rejects(get(), { code: 'download', message: /redirects again and again/ })
})

test('a redirect out of the web is refused', async () => {
  hub.faults = [status(302, { location: 'file:///etc/passwd' })]
  await assert.rejects(get(), { code: 'download', message: /redirects to file:/ })
})

test('a server that is busy is left alone as long as it asks', async () => {
  hub.faults = [status(429, { 'retry-after': '0' }), status(503), pass]
  const told: string[] = []
  await get({}, { onTrouble: (sentence) => told.push(sentence) })
  whole()
  assert.match(told[0] as string, /too much to do \(429\); trying again/)
  assert.match(told[1] as string, /has trouble \(503\)/)
  assert.equal(retryAfter('7', 0), 7_000)
  assert.equal(retryAfter('Thu, 01 Jan 1970 00:00:05 GMT', 1_000), 4_000)
  assert.equal(retryAfter('soon', 0), undefined)
})

test('a server that asks for an hour is not waited for', async () => {
  hub.faults = [status(429, { 'retry-after': '3600' })]
  await assert.rejects(get(), { code: 'download', message: /asks to wait 60 minutes/ })
})

for (const [code, expected] of [
  [401, 'download'],
  [403, 'download'],
  [404, 'not-found'],
  [418, 'download'],
] as const)
  test(`status ${code} ends it at once`, async () => {
    hub.faults = [status(code)]
    await assert.rejects(get(), { code: expected })
    assert.equal(hub.asked.length, 1)
    assert.ok(!existsSync(target))
  })

test('a server that lies about the length is found out', async () => {
  await assert.rejects(get({ size: data.length + 5 }), {
    code: 'bad-file',
    message: /says it has 1300000 bytes, but it is of 1300005/,
  })
  // More is announced than ever comes.
  hub.faults = [
    ({ response, from, data }) => {
      response.writeHead(from > 0 ? 206 : 200, {
        'content-length': data.length + 100 - from,
        ...(from > 0 && {
          'content-range': `bytes ${from}-${data.length + 99}/${data.length + 100}`,
        }),
      })
      response.write(data.subarray(from), () => response.destroy())
      return 'done'
    },
  ]
  await assert.rejects(get(), { code: 'download', message: /tried 6 times/ })
  rmSync(`${target}.part`)
  // A stream without a length that is longer than the hub lists.
  hub.faults = [
    ({ response, data }) => {
      response.writeHead(200)
      response.end(Buffer.concat([data, data]))
      return 'done'
    },
  ]
  await assert.rejects(get({ size: data.length }), {
    code: 'bad-file',
    message: /longer than the 1300000 bytes/,
  })
})

test('a length that a server told wrongly is not held against it for ever', async () => {
  const lie: Fault = ({ response }) => {
    response.writeHead(200, { 'content-length': data.length + 1_000 })
    response.write(data, () => response.destroy())
    return 'done'
  }
  hub.faults = [lie]
  await assert.rejects(get(), { code: 'download' })
  hub.faults = [pass]
  await get()
  whole()
})

test('of a stream that says no length, and has no end, no more is taken than there is room for', async () => {
  let asked = 0
  const endless: Fault = ({ response }) => {
    response.writeHead(200)
    const bytes = Buffer.alloc(1 << 20)
    const more = () => {
      while (!response.destroyed && response.write(bytes));
    }
    response.on('drain', more)
    more()
    return 'done'
  }
  hub.faults = [endless]
  const room = async (bytes: number) => {
    asked += bytes
    if (asked > 200e6) throw new MdiError('disk-full', 'no room')
  }
  await assert.rejects(get({}, { room }), { code: 'disk-full' })
  assert.ok(statSync(`${target}.part`).size <= 200e6)
})

test('a part that was not asked for is refused', async () => {
  hub.faults = [
    hub.cutAfter(300_000),
    ({ response, data }) => {
      response.writeHead(206, { 'content-range': `bytes 0-${data.length - 1}/${data.length}` })
      response.end(data)
      return 'done'
    },
  ]
  await assert.rejects(get(), { code: 'bad-file', message: /another part/ })
})

test('a stream without a length comes whole', async () => {
  hub.faults = [
    ({ response, data }) => {
      response.writeHead(200)
      response.end(data)
      return 'done'
    },
  ]
  await get()
  whole()
})

test('room is asked for what is still to come, before it comes', async () => {
  const asked: number[] = []
  hub.faults = [hub.cutAfter(500_000), status(404)]
  const room = async (bytes: number): Promise<void> => {
    asked.push(bytes)
  }
  await assert.rejects(get({}, { room }), { code: 'not-found' })
  hub.faults = []
  const here = readFileSync(`${target}.part`).length
  await get({}, { room })
  assert.deepEqual(asked, [data.length, data.length - here])
  assert.ok(here > 0)
})

test('no server at all is told by its name', async () => {
  const wanted = remote()
  await hub.close()
  await assert.rejects(download(wanted, target, { retryMs: 1 }), {
    code: 'download',
    message: /^127\.0\.0\.1:\d+: it refuses connections; tried 6 times/,
  })
  hub = new FakeHub()
  await hub.start()
})
