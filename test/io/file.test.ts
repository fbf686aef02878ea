import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openFile } from '../../services/io/file.ts'

test('a file reads at any place; what cannot be read is said', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'mdi-file-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'a.gguf')
  await writeFile(path, Uint8Array.of(1, 2, 3, 4, 5))
  const file = await openFile(path)
  assert.equal(file.name, 'a.gguf')
  assert.equal(file.size, 5)
  assert.deepEqual(await file.read(1, 3), Uint8Array.of(2, 3, 4))
  await truncate(path, 2)
  await assert.rejects(file.read(1, 3), /a\.gguf became shorter/)
  await file.close()
  await assert.rejects(openFile(join(folder, 'b')), /Cannot read .*b: there is no such file\./)
  await assert.rejects(openFile(folder), /it is not a file\./)
  // Nobody writes into it, ever.
  const pipe = join(folder, 'tokenizer.json')
  execFileSync('mkfifo', [pipe])
  await assert.rejects(openFile(pipe), /it is not a file\./)
})
