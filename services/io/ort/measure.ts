/**
 * Measures which runtime forms this CPU has quick kernels for. A form without one is
 * dequantized at every call: many times slower, so a short measurement decides safely.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  FileLayout,
  type Form,
  type FormChoice,
  fillPieces,
  planMatrix,
} from '../../graph/forms.ts'
import { MatrixBuilder } from '../../graph/matrix.ts'
import { DataType, GraphBuilder } from '../../graph/onnx.ts'
import type { Arithmetic } from '../../ports.ts'
import { float, openSession } from './session.ts'

const SIZE = 1024
const RUNS = 15
/**
 * Two products are chosen only where one is clearly slower: a CPU without a kernel for it takes three
 * times as long and more. Near a tie the noise of a measurement would change greedy answers.
 */
const MARGIN = 1.5

/** Milliseconds (median) of one row times a 1024 × 1024 matrix, by form. */
export type FormTimes = Record<'q4' | 'q8' | 'q8split', number>

/** Bytes of weights a second, by form. */
export const speedsOf = (times: FormTimes): Record<string, number> => {
  // Codes, and a float32 scale for each block of 32.
  const bytes = (bits: number) => (SIZE * SIZE * bits) / 8 + (SIZE * SIZE) / 8
  const rate = (n: number, ms: number) => Math.round((n * 1000) / Math.max(ms, 1e-3))
  return {
    q4: rate(bytes(4), times.q4),
    q8: rate(bytes(8), Math.min(times.q8, times.q8split)),
  }
}

/**
 * Times the forms under an arithmetic and chooses. All of them are exact in the weights.
 * @returns the choice, and the figures for the node's profile
 */
export const measureForms = async (
  arithmetic: Arithmetic,
): Promise<{ choice: FormChoice; times: FormTimes }> => {
  const folder = mkdtempSync(join(tmpdir(), 'mdi-forms-'))
  try {
    const q4 = await timeForm(folder, 'q4', arithmetic)
    const q8 = await timeForm(folder, 'q8', arithmetic)
    const q8split = await timeForm(folder, 'q8split', arithmetic)
    const choice: FormChoice = { arithmetic, q8: q8 <= MARGIN * q8split ? 'q8' : 'q8split' }
    return { choice, times: { q4, q8, q8split } }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const timeForm = async (
  folder: string,
  form: Exclude<Form, 'f32'>,
  arithmetic: Arithmetic,
): Promise<number> => {
  const bits = form === 'q4' ? 4 : 8
  const layout = new FileLayout()
  const choice: FormChoice = { arithmetic, q8: form === 'q4' ? 'q8' : form }
  const shape = { bits, block: 32, offsets: false } as const
  const plan = planMatrix([{ name: 'w', rows: SIZE }], SIZE, shape, choice, layout)
  const file = new Uint8Array(layout.bytes)
  const codes = Uint8Array.from({ length: (SIZE * SIZE * bits) / 8 }, (_, i) => (i * 37) & 255)
  const scales = new Float32Array((SIZE * SIZE) / 32).fill(0.01)
  for (const [name, data] of fillPieces(form, { codes, scales }))
    file.set(data, plan.pieces[name]?.offset)
  writeFileSync(join(folder, `${form}.bin`), file)
  const g = new GraphBuilder()
  g.input('x', DataType.float, ['T', SIZE])
  const y = new MatrixBuilder(g, `${form}.bin`, arithmetic).product('x', plan)
  g.output(y, DataType.float, ['T', SIZE])
  const session = await openSession(g.encode('form'), folder, 1)
  const x = float(
    Float32Array.from({ length: SIZE }, (_, i) => Math.sin(i)),
    [1, SIZE],
  )
  const times: number[] = []
  for (let i = 0; i < RUNS; i++) {
    const start = performance.now()
    await session.run({ x })
    if (i >= 3) times.push(performance.now() - start)
  }
  await session.release()
  times.sort((a, b) => a - b)
  return times[times.length >> 1] as number
}
