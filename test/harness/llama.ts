/** The same file in llama.cpp, for comparison, where `node-llama-cpp` is installed. */
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Place } from './processes.ts'

const PROGRAM = `
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
const [folder, file, threads, prompt, tokens] = process.argv.slice(2)
const entry = createRequire(folder + '/package.json').resolve('node-llama-cpp')
const { getLlama } = await import(pathToFileURL(entry).href)
const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error' })
const model = await llama.loadModel({ modelPath: file })
const context = await model.createContext({ contextSize: 2048, threads: Number(threads) })
const sequence = context.getSequence()
const ids = Array.from({ length: Number(prompt) }, (_, i) => 3 + ((i * 31) % 250))
let first = 0
let count = 0
for await (const _ of sequence.evaluate(ids, { temperature: 1, topK: 40 })) {
  if (count === 0) first = performance.now()
  if (++count === Number(tokens)) break
}
console.log('RATE ' + ((count - 1) * 1000) / (performance.now() - first))
process.exit(0)
`

/** Tokens a second of one sequence. */
export const llamaRate = async (
  place: Place,
  folder: string,
  file: string,
  { threads, prompt, tokens }: { threads: number; prompt: number; tokens: number },
): Promise<number> => {
  const program = join(place.folder, 'llama.mjs')
  writeFileSync(program, PROGRAM)
  const words = [resolve(folder), resolve(file), threads, prompt, tokens].map(String)
  const service = place.command('llama.cpp', [process.execPath, program, ...words])
  service.start()
  const line = await service.line(/^RATE /)
  return Number(line.slice(5))
}
