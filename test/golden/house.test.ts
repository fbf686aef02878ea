/**
 * The whole pipeline on the model in the box: file, import, store, engine, ring and text,
 * against an independent forward pass in numpy, whose greedy tokens are pinned.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openFile } from '../../services/io/file.ts'
import { type LocalRing, openLocal, openStore } from '../../services/lifecycle/local.ts'
import { importGguf } from '../../services/model/import.ts'
import { defaultSampling } from '../../services/model/sampler.ts'
import { textSpecFromGguf } from '../../services/model/text.ts'
import type { Answer, TextRequest } from '../../services/requests/generation.ts'
import type { Token } from '../../services/wire/requests.ts'

type Golden = {
  prompts: {
    messages: { role: string; content: string }[]
    text: string
    ids: number[]
    greedy: number[]
    /** At each step the best ids and their log-probabilities. */
    top: [number, number][][]
  }[]
}

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const file = at('firmware/model/house.gguf')
const pinned = at('firmware/model/eval/golden.json')
const skip = existsSync(file) && existsSync(pinned) ? false : 'the model in the box is not here'
/** The reference is rounded to five digits; the rest is the order of float sums. */
const TOLERANCE = 2e-4

const withRing = async (use: (ring: LocalRing) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'mdi-house-'))
  const entry = new URL('../../services/main.ts', import.meta.url)
  try {
    const store = await openStore(entry, folder)
    const source = await openFile(file)
    const { manifest } = await importGguf(source, store, { textSpec: textSpecFromGguf })
    await source.close()
    await store.close()
    const options = {
      folder,
      arithmetic: 'exact',
      threads: 1,
      context: 1_024,
      chunkRows: 64,
    } as const
    const ring = await openLocal(entry, manifest, options)
    try {
      await use(ring)
    } finally {
      await ring.close()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const ask = (
  ring: LocalRing,
  request: Pick<TextRequest, 'id' | 'input' | 'maxTokens' | 'score' | 'lineLogprob'>,
): Promise<{ answer: Answer; tokens: Token[] }> =>
  new Promise((resolve, reject) => {
    const tokens: Token[] = []
    const sampling = { ...defaultSampling, temperature: 0 }
    void ring.generations.submit(
      ring.model,
      { stop: [], sampling, ...request },
      {
        text: () => {},
        token: (token) => tokens.push(token),
        end: (answer) => resolve({ answer, tokens }),
        error: reject,
      },
    )
  })

test('the model in the box: pinned greedy tokens, and logits within tolerance', {
  skip,
}, async () => {
  const { prompts } = JSON.parse(readFileSync(pinned, 'utf8')) as Golden
  assert.equal(
    prompts.reduce((sum, p) => sum + p.greedy.length, 0),
    200,
  )
  await withRing(async (ring) => {
    await Promise.all(
      prompts.map(async ({ messages, text, ids, greedy, top }, n) => {
        const prompt = await ring.model.chat.prompt(messages)
        assert.equal(prompt.text, text)
        assert.deepEqual(prompt.ids, ids)
        const free = await ask(ring, {
          id: `greedy-${n}`,
          input: { messages },
          maxTokens: greedy.length,
          lineLogprob: true,
        })
        // The first line's probability is that of its tokens, the one that ends it among them.
        let line = ''
        let wanted = 0
        for (const [i, id] of greedy.entries()) {
          if (line.includes('\n')) break
          line = ring.model.tokenizer.decode(greedy.slice(0, i + 1))
          wanted += top[i]?.find(([other]) => other === id)?.[1] ?? Number.NaN
        }
        const { lineLogprob = Number.NaN } = free.answer
        assert.ok(Math.abs(lineLogprob - wanted) <= TOLERANCE * greedy.length, `${lineLogprob}`)
        assert.deepEqual(
          free.tokens.map((t) => t.token),
          greedy,
        )
        const score = greedy.map((next, i) => ({ ids: top[i]?.map(([id]) => id) ?? [], next }))
        const fed = await ask(ring, {
          id: `score-${n}`,
          input: { messages },
          maxTokens: score.length,
          score,
        })
        for (const [i, token] of fed.tokens.entries()) {
          for (const [k, [, wanted]] of (top[i] ?? []).entries())
            assert.ok(Math.abs((token.logprobs?.[k] ?? 0) - wanted) <= TOLERANCE, `step ${i}`)
        }
      }),
    )
  })
})
