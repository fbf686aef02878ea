/** A process that downloads a file and tells how much of it is written; a test kills it. */
import { download } from '../../../services/io/fetch/download.ts'

const [url = '', path = '', hex = ''] = process.argv.slice(2)
await download({ url, hash: { kind: 'sha256', hex } }, path, {
  onProgress: (done) => process.stdout.write(`${done}\n`),
})
process.stdout.write('whole\n')
