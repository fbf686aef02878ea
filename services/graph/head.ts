/** The final norm and the projection to the vocabulary: `[rows, hidden] → [rows, vocab]`. */
import type { ModelSpec } from '../model/spec.ts'
import type { Arithmetic } from '../ports.ts'
import type { MatrixPlan } from './forms.ts'
import { MatrixBuilder } from './matrix.ts'
import { DataType, GraphBuilder } from './onnx.ts'

export type HeadPlan = { norm: Float32Array; output: MatrixPlan }

/** Encodes the head's graph. @param file name of the runtime file, beside the model */
export const encodeHead = (
  spec: ModelSpec,
  plan: HeadPlan,
  arithmetic: Arithmetic,
  file: string,
): Uint8Array => {
  const g = new GraphBuilder()
  const m = new MatrixBuilder(g, file, arithmetic)
  g.input('x', DataType.float, ['T', spec.hidden])
  const norm = m.vector('norm', plan.norm)
  const [normed] = g.node('SimplifiedLayerNormalization', ['x', norm], {
    attributes: { epsilon: { float: spec.normEpsilon }, axis: -1 },
  })
  let logits = m.product(normed, plan.output)
  if (spec.logitSoftcap !== undefined) {
    const cap = g.constant('cap', DataType.float, [], Float32Array.of(spec.logitSoftcap))
    const [bent] = g.node('Tanh', [g.node('Div', [logits, cap])[0]])
    logits = g.node('Mul', [bent, cap])[0]
  }
  g.node('Identity', [logits], { outputs: ['logits'] })
  g.output('logits', DataType.float, ['T', spec.vocab])
  return g.encode('head')
}
