import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MdiError } from '../../services/errors.ts'
import { philox, uniform } from '../../services/model/philox.ts'
import {
  checkSampling,
  defaultSampling,
  logprobs,
  type SamplingParameters,
  sample,
} from '../../services/model/sampler.ts'

const off: SamplingParameters = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  penaltyWindow: 64,
  seed: 7,
}
const greedy = { ...off, temperature: 0 }
const row = (...values: number[]): Float32Array => Float32Array.from(values)
/** Which tokens come up in `steps` draws, and how often. */
const tally = (logits: Float32Array, parameters: SamplingParameters, steps = 2_000): number[] => {
  const counts = new Array<number>(logits.length).fill(0)
  for (let step = 0; step < steps; step++) {
    const token = sample(logits, parameters, step, [])
    counts[token] = (counts[token] ?? 0) + 1
  }
  return counts
}
const seen = (counts: number[]): number[] => counts.flatMap((n, id) => (n > 0 ? [id] : []))

test('philox gives the published known answers', () => {
  const hex = (words: number[]) => words.map((w) => w.toString(16).padStart(8, '0')).join(' ')
  assert.equal(hex(philox([0, 0, 0, 0], [0, 0])), '6627e8d5 e169c58d bc57ac4c 9b00dbd8')
  const f = 0xffffffff
  assert.equal(hex(philox([f, f, f, f], [f, f])), '408f276d 41c83b0e a20bc7c6 6d5451fd')
  assert.equal(
    hex(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])),
    'd16cfe09 94fdcceb 5001e420 24126ea1',
  )
})

test('uniform numbers are spread evenly over steps and over seeds', () => {
  for (const number of [(i: number) => uniform(42, i), (i: number) => uniform(i, 3)]) {
    const bins = new Array<number>(64).fill(0)
    let serial = 0
    let previous = 0.5
    const n = 64_000
    for (let i = 0; i < n; i++) {
      const u = number(i)
      assert.ok(u >= 0 && u < 1)
      bins[Math.floor(u * 64)] = (bins[Math.floor(u * 64)] ?? 0) + 1
      serial += (u - 0.5) * (previous - 0.5)
      previous = u
    }
    const chi = bins.reduce((sum, count) => sum + (count - 1_000) ** 2 / 1_000, 0)
    // 63 degrees of freedom: beyond these bounds once in ten thousand.
    assert.ok(chi > 28 && chi < 112, `chi-square ${chi}`)
    assert.ok(Math.abs(serial / n) < 0.002, `serial correlation ${serial / n}`)
  }
  assert.notEqual(uniform(1, 2), uniform(2, 1))
  assert.notEqual(uniform(2 ** 32, 0), uniform(0, 0))
  assert.notEqual(uniform(0, 2 ** 32), uniform(0, 0))
})

test('greedy takes the highest logit, and the lowest id of a tie', () => {
  assert.equal(sample(row(1, 5, 5, 2), greedy, 0, []), 1)
  assert.equal(sample(row(-3, -1, -2), greedy, 9, []), 1)
})

test('the same (seed, step, history, logits) give the same token; another seed another stream', () => {
  const logits = Float32Array.from({ length: 500 }, (_, i) => Math.sin(i))
  const stream = (seed: number) =>
    Array.from({ length: 50 }, (_, step) => sample(logits, { ...off, seed }, step, []))
  assert.deepEqual(stream(5), stream(5))
  assert.notDeepEqual(stream(5), stream(6))
})

test('sampling follows the probabilities, and temperature sharpens them', () => {
  const logits = row(Math.log(0.5), Math.log(0.3), Math.log(0.2))
  const counts = tally(logits, off, 20_000)
  for (const [id, p] of [0.5, 0.3, 0.2].entries())
    assert.ok(Math.abs((counts[id] ?? 0) / 20_000 - p) < 0.015, `${counts}`)
  const [a = 0, b = 0] = tally(logits, { ...off, temperature: 0.5 }, 20_000)
  assert.ok(Math.abs(a / b - (0.5 / 0.3) ** 2) < 0.25, `${a / b}`)
})

test('top-k keeps k tokens, ties to the lowest ids', () => {
  assert.deepEqual(seen(tally(row(1, 3, 2, 0, 2.5), { ...off, topK: 2 })), [1, 4])
  assert.deepEqual(seen(tally(row(1, 1, 1, 1, 1), { ...off, topK: 3 })), [0, 1, 2])
  assert.deepEqual(seen(tally(row(1, 1, 1), { ...off, topK: 99 })), [0, 1, 2])
  assert.deepEqual(seen(tally(row(0, 9, 0), { ...off, topK: 1, temperature: 100 })), [1])
})

test('top-p keeps the shortest prefix that reaches p', () => {
  const logits = row(Math.log(0.1), Math.log(0.5), Math.log(0.15), Math.log(0.25))
  assert.deepEqual(seen(tally(logits, { ...off, topP: 0.49 })), [1])
  assert.deepEqual(seen(tally(logits, { ...off, topP: 0.6 })), [1, 3])
  assert.deepEqual(seen(tally(logits, { ...off, topP: 0.8 })), [1, 2, 3])
  // After top-k the rest is renormalized: 0.5 of 0.75 reaches 0.6 alone.
  assert.deepEqual(seen(tally(logits, { ...off, topK: 2, topP: 0.6 })), [1])
  assert.deepEqual(seen(tally(row(1, 1, 1, 1), { ...off, topP: 0.5 })), [0, 1])
  assert.deepEqual(seen(tally(row(100, -100, -100), { ...off, topP: 0.999 })), [0])
})

test('min-p keeps what reaches that share of the best', () => {
  const logits = row(Math.log(0.1), Math.log(0.5), Math.log(0.15), Math.log(0.25))
  assert.deepEqual(seen(tally(logits, { ...off, minP: 0.4 })), [1, 3])
  assert.deepEqual(seen(tally(logits, { ...off, minP: 0.29 })), [1, 2, 3])
  assert.deepEqual(seen(tally(logits, { ...off, minP: 1 })), [1])
})

test('top-p agrees with a full sort on a large vocabulary', () => {
  const logits = Float32Array.from({ length: 128_256 }, (_, i) => 12 * uniform(1, i))
  const order = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b)
  const weights = order.map((id) => Math.exp(logits[id] ?? 0))
  const total = weights.reduce((a, b) => a + b, 0)
  let sum = 0
  let length = 0
  while (sum < 0.05 * total) sum += weights[length++] ?? 0
  const allowed = new Set(order.slice(0, length))
  for (let step = 0; step < 30; step++)
    assert.ok(allowed.has(sample(logits, { ...off, topP: 0.05 }, step, [])))
})

test('repetition penalty works by sign; presence once, frequency by count', () => {
  const p = (more: Partial<SamplingParameters>) => ({ ...greedy, ...more })
  assert.equal(sample(row(4, 3), p({ repetitionPenalty: 2 }), 0, [0]), 1)
  assert.equal(sample(row(-1, -1.5), p({ repetitionPenalty: 2 }), 0, [0]), 1)
  assert.equal(sample(row(4, 3), p({ presencePenalty: 1.5 }), 0, [0]), 1)
  assert.equal(sample(row(5, 3), p({ presencePenalty: 1.5 }), 0, [0, 0, 0]), 0)
  assert.equal(sample(row(5, 3), p({ frequencyPenalty: 0.9 }), 0, [0, 0, 0]), 1)
  assert.equal(sample(row(5, 3), p({ frequencyPenalty: 0.9 }), 0, [0, 0]), 0)
})

test('penalties look at the window only, and never change the logits given', () => {
  const logits = row(4, 3)
  const p = { ...greedy, repetitionPenalty: 2, penaltyWindow: 2 }
  assert.equal(sample(logits, p, 0, [0, 1, 1]), 0)
  assert.equal(sample(logits, p, 0, [0, 1]), 0, 'both are halved')
  assert.equal(sample(logits, { ...p, penaltyWindow: 1 }, 0, [1, 0]), 1)
  assert.equal(sample(logits, { ...p, penaltyWindow: 0 }, 0, [0]), 0)
  assert.equal(sample(logits, p, 0, [9, -1]), 0, 'ids outside of the vocabulary are passed over')
  assert.deepEqual([...logits], [4, 3])
})

test('NaN is never chosen, +∞ always, and a row without a number is refused', () => {
  const n = Number.NaN
  const inf = Number.POSITIVE_INFINITY
  for (const p of [
    off,
    greedy,
    { ...off, topK: 2 },
    { ...off, topP: 0.9 },
    { ...off, minP: 0.1 },
  ]) {
    assert.deepEqual(seen(tally(row(n, -inf, 1, n), p, 50)), [2])
    assert.deepEqual(seen(tally(row(1, inf, n, inf), p, 50)), [1])
    for (const bad of [row(n, n), row(-inf, -inf), row()])
      assert.throws(() => sample(bad, p, 0, []), { name: 'MdiError', code: 'bad-file' })
  }
  // Extremes that overflow or underflow when they are scaled.
  assert.equal(sample(row(3e38, -3e38), { ...off, temperature: 1e-3 }, 0, []), 0)
  assert.deepEqual(seen(tally(row(1, 2), { ...off, temperature: 1e-300 }, 20)), [1])
})

test('parameters are checked with a sentence that names them', () => {
  assert.deepEqual(checkSampling({}), defaultSampling)
  assert.equal(checkSampling({ topK: 5, seed: undefined }).topK, 5)
  const refused = (given: Parameters<typeof checkSampling>[0], sentence: string) =>
    assert.throws(
      () => checkSampling(given),
      (e) => e instanceof MdiError && e.code === 'bad-value' && e.message === sentence,
    )
  refused({ temperature: -1 }, 'temperature must be a number from 0 to 100, not -1.')
  refused({ topP: 0 }, 'topP must be a number above 0 and at most 1, not 0.')
  refused({ topK: 1.5 }, 'topK must be a whole number from 0 to 1048576, not 1.5.')
  refused({ temperature: Number.NaN }, 'temperature must be a number from 0 to 100, not NaN.')
  refused({ minP: '0.1' }, 'minP must be a number from 0 to 1, not "0.1".')
  refused({ seed: 2 ** 32 }, 'seed must be a whole number from 0 to 4294967295, not 4294967296.')
})

test('log-probabilities are summed in double precision', () => {
  const logits = row(1, 2, 3, Number.NaN)
  const whole = Math.log(Math.E + Math.E ** 2 + Math.E ** 3)
  const got = logprobs(logits, [2, 0, 3])
  assert.ok(Math.abs((got[0] ?? 0) - (3 - whole)) < 1e-12)
  assert.ok(Math.abs((got[1] ?? 0) - (1 - whole)) < 1e-12)
  assert.equal(got[2], Number.NEGATIVE_INFINITY)
  const even = new Float32Array(100_000).fill(80)
  assert.ok(Math.abs((logprobs(even, [5])[0] ?? 0) + Math.log(100_000)) < 1e-9)
  assert.throws(() => logprobs(logits, [4]), { code: 'bad-value' })
})
