/** One ONNX Runtime session, with the options that all of ours share. */
import ort from 'onnxruntime-node'
import { quietRuntime } from './quiet.ts'

// For an engine in the main thread, as in tests.
quietRuntime()

export type Feeds = Record<string, ort.Tensor>
export type { InferenceSession, Tensor } from 'onnxruntime-node'

/**
 * Opens a model from memory whose weights stand in a file of `folder`, which the runtime
 * maps instead of copying.
 */
export const openSession = (
  model: Uint8Array,
  folder: string,
  threads: number,
): Promise<ort.InferenceSession> =>
  ort.InferenceSession.create(model, {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    extra: {
      session: {
        model_external_initializers_file_folder_path: folder,
        // A pool a session would spin against the others.
        intra_op: { allow_spinning: '0' },
      },
    },
  })

export const float = (data: Float32Array, dims: readonly number[]): ort.Tensor =>
  new ort.Tensor('float32', data, dims)
export const int32 = (values: readonly number[], dims: readonly number[]): ort.Tensor =>
  new ort.Tensor('int32', Int32Array.from(values), dims)
export const int64 = (values: readonly number[], dims: readonly number[]): ort.Tensor =>
  new ort.Tensor('int64', BigInt64Array.from(values, BigInt), dims)
/** The float data of an output. */
export const floats = (tensor: ort.Tensor | undefined): Float32Array => {
  if (!tensor || !(tensor.data instanceof Float32Array)) throw new Error('no float output')
  return tensor.data
}
