/** The product `x · Wᵀ` of a matrix in its runtime form, as nodes of a graph. */
import type { Arithmetic } from '../ports.ts'
import type { MatrixPlan, Piece } from './forms.ts'
import { DataType, type GraphBuilder } from './onnx.ts'

/** `accuracy_level` of `MatMulNBits`: 1 is float32 activations, 4 is 8-bit ones. */
const ACCURACY: Record<Arithmetic, number> = { exact: 1, fast: 4 }
const MICROSOFT = 'com.microsoft'

/** Builds products, sharing the blocks' sums of one x between all that need them. */
export class MatrixBuilder {
  readonly #graph: GraphBuilder
  readonly #file: string
  readonly #arithmetic: Arithmetic
  readonly #sums = new Map<string, string>()

  constructor(graph: GraphBuilder, file: string, arithmetic: Arithmetic) {
    this.#graph = graph
    this.#file = file
    this.#arithmetic = arithmetic
  }

  /**
   * @param x name of a `[rows, K]` float value
   * @returns name of the `[rows, N]` product
   */
  product(x: string, plan: MatrixPlan): string {
    if (plan.shape === 'f32') {
      const w = this.#weight('f32', plan.pieces.f32)
      return this.#graph.node('Gemm', [x, w], { attributes: { transB: 1 } })[0]
    }
    const { block } = plan.shape
    let y = this.#nbits(x, plan, plan.form === 'q8' ? 8 : 4, plan.pieces.codes, plan.pieces.scales)
    if (plan.form === 'q8split') {
      const zeros = this.#weight('zeros', plan.pieces.lowZeros)
      const low = this.#nbits(x, plan, 4, plan.pieces.lowCodes, plan.pieces.lowScales, zeros)
      y = this.#graph.node('Add', [y, low])[0]
    }
    if (plan.pieces.offsets === undefined) return y
    const offsets = this.#weight('offsets', plan.pieces.offsets)
    const sums = this.#blockSums(x, plan.columns, block)
    // y + sums · offsetsᵀ in one node: Gemm adds its third input.
    return this.#graph.node('Gemm', [sums, offsets, y], { attributes: { transB: 1 } })[0]
  }

  /** A vector of the record (a norm's weight), as a constant inside the model. */
  vector(hint: string, values: Float32Array): string {
    return this.#graph.constant(hint, DataType.float, [values.length], values)
  }

  #nbits(
    x: string,
    plan: MatrixPlan,
    bits: 4 | 8,
    codes: Piece | undefined,
    scales: Piece | undefined,
    zeros?: string,
  ): string {
    const inputs = [x, this.#weight('codes', codes), this.#weight('scales', scales)]
    if (zeros !== undefined) inputs.push(zeros)
    return this.#graph.node('MatMulNBits', inputs, {
      domain: MICROSOFT,
      attributes: {
        K: plan.columns,
        N: plan.rows,
        bits,
        block_size: plan.shape === 'f32' ? 32 : plan.shape.block,
        accuracy_level: ACCURACY[this.#arithmetic],
      },
    })[0]
  }

  #weight(hint: string, piece: Piece | undefined): string {
    if (!piece) throw new Error(`the form lacks its piece ${hint}`)
    const type = piece.type === 'float' ? DataType.float : DataType.uint8
    const at = { file: this.#file, offset: piece.offset, length: piece.bytes }
    return this.#graph.external(hint, type, piece.dims, at)
  }

  /** Sums of x over each block: `[rows, K] → [rows, K / block]`. */
  #blockSums(x: string, columns: number, block: number): string {
    const key = `${x}/${block}`
    const known = this.#sums.get(key)
    if (known !== undefined) return known
    const g = this.#graph
    const shape = BigInt64Array.of(-1n, BigInt(columns / block), BigInt(block))
    const [blocks] = g.node('Reshape', [x, g.constant('blocks', DataType.int64, [3], shape)])
    const axis = g.constant('axis', DataType.int64, [1], BigInt64Array.of(2n))
    const [sums] = g.node('ReduceSum', [blocks, axis], { attributes: { keepdims: 0 } })
    this.#sums.set(key, sums)
    return sums
  }
}
