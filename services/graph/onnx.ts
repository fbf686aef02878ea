/**
 * A small writer of ONNX models: the part of `onnx.proto3` (IR version 10) that a
 * decoder layer needs, encoded by protobufjs. Field numbers follow the ONNX
 * specification, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3.
 */
import protobuf from 'protobufjs/light.js'

/** ONNX element types (`TensorProto.DataType`). */
export const DataType = { float: 1, uint8: 2, int32: 6, int64: 7 } as const
export type DataType = (typeof DataType)[keyof typeof DataType]

const AttributeType = { float: 1, int: 2, string: 3, graph: 5, ints: 7 } as const
const EXTERNAL = 1

const root = protobuf.Root.fromJSON({
  nested: {
    StringEntry: {
      fields: { key: { type: 'string', id: 1 }, value: { type: 'string', id: 2 } },
    },
    Tensor: {
      fields: {
        dims: { rule: 'repeated', type: 'int64', id: 1 },
        dataType: { type: 'int32', id: 2 },
        name: { type: 'string', id: 8 },
        rawData: { type: 'bytes', id: 9 },
        externalData: { rule: 'repeated', type: 'StringEntry', id: 13 },
        dataLocation: { type: 'int32', id: 14 },
      },
    },
    Attribute: {
      fields: {
        name: { type: 'string', id: 1 },
        f: { type: 'float', id: 2 },
        i: { type: 'int64', id: 3 },
        s: { type: 'bytes', id: 4 },
        g: { type: 'Graph', id: 6 },
        ints: { rule: 'repeated', type: 'int64', id: 8 },
        type: { type: 'int32', id: 20 },
      },
    },
    Node: {
      fields: {
        input: { rule: 'repeated', type: 'string', id: 1 },
        output: { rule: 'repeated', type: 'string', id: 2 },
        name: { type: 'string', id: 3 },
        opType: { type: 'string', id: 4 },
        attribute: { rule: 'repeated', type: 'Attribute', id: 5 },
        domain: { type: 'string', id: 7 },
      },
    },
    Dimension: {
      fields: { dimValue: { type: 'int64', id: 1 }, dimParam: { type: 'string', id: 2 } },
    },
    Shape: { fields: { dim: { rule: 'repeated', type: 'Dimension', id: 1 } } },
    TensorType: {
      fields: { elemType: { type: 'int32', id: 1 }, shape: { type: 'Shape', id: 2 } },
    },
    Type: { fields: { tensorType: { type: 'TensorType', id: 1 } } },
    ValueInfo: { fields: { name: { type: 'string', id: 1 }, type: { type: 'Type', id: 2 } } },
    Graph: {
      fields: {
        node: { rule: 'repeated', type: 'Node', id: 1 },
        name: { type: 'string', id: 2 },
        initializer: { rule: 'repeated', type: 'Tensor', id: 5 },
        input: { rule: 'repeated', type: 'ValueInfo', id: 11 },
        output: { rule: 'repeated', type: 'ValueInfo', id: 12 },
      },
    },
    OperatorSet: {
      fields: { domain: { type: 'string', id: 1 }, version: { type: 'int64', id: 2 } },
    },
    Model: {
      fields: {
        irVersion: { type: 'int64', id: 1 },
        producerName: { type: 'string', id: 2 },
        graph: { type: 'Graph', id: 7 },
        opsetImport: { rule: 'repeated', type: 'OperatorSet', id: 8 },
      },
    },
  },
})
const Model = root.lookupType('Model')

/** An attribute's value: integers are written as INT, `{float}` as FLOAT. */
export type Attribute = number | { float: number } | { ints: readonly number[] } | string
/** A dimension: a number, or a name where it varies from call to call. */
export type Dim = number | string
/** Where an initializer's bytes stand: in a file beside the model. */
export type External = { file: string; offset: number; length: number }

const attribute = (name: string, value: Attribute): object => {
  if (typeof value === 'number') return { name, i: value, type: AttributeType.int }
  if (typeof value === 'string')
    return { name, s: new TextEncoder().encode(value), type: AttributeType.string }
  if ('float' in value) return { name, f: value.float, type: AttributeType.float }
  return { name, ints: [...value.ints], type: AttributeType.ints }
}

const valueInfo = (name: string, type: DataType, dims: readonly Dim[]): object => ({
  name,
  type: {
    tensorType: {
      elemType: type,
      shape: {
        dim: dims.map((d) => (typeof d === 'number' ? { dimValue: d } : { dimParam: d })),
      },
    },
  },
})

/** Collects nodes, initializers, inputs and outputs, and encodes them as one ONNX model. */
export class GraphBuilder {
  readonly #nodes: object[] = []
  readonly #initializers: object[] = []
  readonly #inputs: object[] = []
  readonly #outputs: object[] = []
  #names = 0

  /** A name not used before in this graph. */
  name(hint: string): string {
    return `${hint}_${this.#names++}`
  }

  input(name: string, type: DataType, dims: readonly Dim[]): string {
    this.#inputs.push(valueInfo(name, type, dims))
    return name
  }

  output(name: string, type: DataType, dims: readonly Dim[]): void {
    this.#outputs.push(valueInfo(name, type, dims))
  }

  /** A small constant, carried inside the model. */
  constant(
    hint: string,
    type: DataType,
    dims: readonly number[],
    values: Float32Array | Int32Array | BigInt64Array | Uint8Array,
  ): string {
    const name = this.name(hint)
    const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    this.#initializers.push({ dims: [...dims], dataType: type, name, rawData })
    return name
  }

  /** A weight that stays in its file and is mapped by the runtime. */
  external(hint: string, type: DataType, dims: readonly number[], at: External): string {
    const name = this.name(hint)
    this.#initializers.push({
      dims: [...dims],
      dataType: type,
      name,
      dataLocation: EXTERNAL,
      externalData: [
        { key: 'location', value: at.file },
        { key: 'offset', value: String(at.offset) },
        { key: 'length', value: String(at.length) },
      ],
    })
    return name
  }

  /**
   * Adds a node and returns the names of its outputs. An empty input name marks an
   * optional input that is not given; outputs may be named by the caller.
   */
  node(
    op: string,
    inputs: readonly string[],
    options: {
      outputs?: number | readonly string[]
      domain?: string
      attributes?: Record<string, Attribute>
    } = {},
  ): [string, ...string[]] {
    const wanted = options.outputs ?? 1
    const output =
      typeof wanted === 'number'
        ? Array.from({ length: wanted }, (_, i) => this.name(`${op}${i}`))
        : [...wanted]
    this.#nodes.push({
      input: [...inputs],
      output,
      name: this.name(op),
      opType: op,
      domain: options.domain ?? '',
      attribute: Object.entries(options.attributes ?? {}).map(([k, v]) => attribute(k, v)),
    })
    return output as [string, ...string[]]
  }

  /** Encodes the model (opset 21 and `com.microsoft` 1) as protobuf bytes. */
  encode(name: string): Uint8Array {
    return Model.encode(
      Model.fromObject({
        irVersion: 10,
        producerName: 'mdi-llm',
        opsetImport: [
          { domain: '', version: 21 },
          { domain: 'com.microsoft', version: 1 },
        ],
        graph: {
          name,
          node: this.#nodes,
          initializer: this.#initializers,
          input: this.#inputs,
          output: this.#outputs,
        },
      }),
    ).finish()
  }
}
