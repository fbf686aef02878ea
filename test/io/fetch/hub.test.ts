/** Hubs that never come to an end. */
import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { hubFiles } from '../../../services/io/fetch/hub.ts'
import { limits } from '../../../services/limits.ts'

const source = { kind: 'hub', repo: 'some/model', revision: 'main', path: 'x.gguf' } as const
const COMMIT = 'c'.repeat(40)

const hubOf = async (t: TestContext, answer: RequestListener): Promise<string> => {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
const JSON_TYPE = { 'content-type': 'application/json' }

test('an answer without an end is given up', async (t) => {
  let sent = 0
  const endpoint = await hubOf(t, (_, response) => {
    response.writeHead(200, JSON_TYPE)
    const spaces = Buffer.alloc(1 << 20, 32)
    const more = () => {
      while (!response.destroyed && response.write(spaces)) sent += spaces.length
      sent += spaces.length
    }
    response.on('drain', more)
    more()
  })
  await assert.rejects(hubFiles(source, { endpoint, retryMs: 1 }), {
    code: 'download',
    message: /^127\.0\.0\.1:\d+ answers without an end\.$/,
  })
  assert.ok(sent < 3 * limits.hubAnswerBytes, `${sent} bytes`)
})

test('a list without an end is given up, of folders and of empty pages', async (t) => {
  for (const [page, reason] of [
    [
      Array.from({ length: 1_000 }, () => ({ type: 'directory', path: 'd', size: 0, oid: 'o' })),
      /has no file x\.gguf/,
    ],
    [[], /lists files without an end/],
  ] as const) {
    let pages = 0
    const endpoint: string = await hubOf(t, (request, response) => {
      if (request.url?.includes('/revision/'))
        return void response
          .writeHead(200, JSON_TYPE)
          .end(`{"_id":"x","id":"some/model","sha":"${COMMIT}"}`)
      pages += 1
      const link = `<${endpoint}/api/models/some/model/tree/${COMMIT}?page=${pages}>; rel="next"`
      response.writeHead(200, { ...JSON_TYPE, link }).end(JSON.stringify(page))
    })
    await assert.rejects(hubFiles(source, { endpoint, retryMs: 1 }), { message: reason })
    assert.ok(pages <= limits.hubAnswers, `${pages} pages`)
  }
})
