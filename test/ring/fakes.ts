/** Small frames, requests and results for the tests of the ring. */
import { packActivations } from '../../services/wire/codec.ts'
import type { KvOperation, Segment, VisitFrame } from '../../services/wire/frame.ts'
import type { Open } from '../../services/wire/requests.ts'

export const HIDDEN = 2

export const openOf = (id: string, change: Partial<Open> = {}): Open => ({
  id,
  model: 'tiny',
  tokens: [1, 2, 3],
  generated: 0,
  sampling: {
    temperature: 0,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
    presencePenalty: 0,
    frequencyPenalty: 0,
    penaltyWindow: 64,
    seed: 0,
  },
  maxTokens: 4,
  endIds: [],
  ...change,
})

export const segment = (sequence: number, position: number, rows = 1, wanted = 1): Segment => ({
  sequence,
  branch: 0,
  position,
  rows,
  wanted,
})

export const reset: KvOperation = { kind: 'reset', sequence: 0 }

export const visit = (number: number, change: Partial<VisitFrame> = {}): VisitFrame => {
  const rows = (change.segments ?? []).reduce((sum, s) => sum + s.rows, 0)
  return {
    kind: 'visit',
    epoch: 1,
    number,
    wire: 'fp32',
    segments: [],
    operations: [],
    rows,
    hidden: HIDDEN,
    body: packActivations(new Float32Array(rows * HIDDEN), 'fp32'),
    ...change,
  }
}
