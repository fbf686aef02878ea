/** A process that imports records for ever and tells each; the kill test ends it. */
import { SqliteStore } from '../../../services/io/store/client.ts'
import type { Manifest } from '../../../services/model/spec.ts'
import { bytesOf } from '../bytes.ts'

const [folder = '', first = '0'] = process.argv.slice(2)
const store = new SqliteStore(new URL('../entry.ts', import.meta.url), { folder })
await store.start()
const say = (line: string) => new Promise((resolve) => process.stdout.write(`${line}\n`, resolve))
for (let n = Number(first); ; n++) {
  const data = bytesOf(n, 4_500_000 + (n % 7) * 500_000)
  await say('begin')
  const writer = await store.createRecord()
  for (let at = 0; at < data.length; at += 1_500_000) {
    await writer.write(data.subarray(at, at + 1_500_000))
    await say('write')
  }
  const { sha256 } = await writer.finish()
  await say(`sealed ${sha256}`)
  await store.putModel({ name: `m${n}`, records: [{ sha256 }] } as unknown as Manifest)
  await store.setConfig('last', String(n))
  await say(`model m${n} ${n}`)
  if (n % 3 === 2) {
    await store.removeModel(`m${n}`)
    await say(`removed m${n} ${sha256}`)
  }
}
