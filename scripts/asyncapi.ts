/** Prints the AsyncAPI document of the control plane (`scripts/asyncapi`). */
import { readFileSync } from 'node:fs'
import { asyncApiDocument } from '../services/wire/asyncapi.ts'

const { version } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
) as { version: string }
process.stdout.write(`${JSON.stringify(asyncApiDocument(version), null, 2)}\n`)
