/** Where a model file's bytes come from. `io/file` opens files; tests use memory. */

/** Random access to the bytes of one file that does not change meanwhile. */
export interface ByteSource {
  /** Name for messages: the file's own, without its folder. */
  readonly name: string
  /** Length in bytes. */
  readonly size: number
  /** Exactly `length` bytes from `offset`; the caller has checked that they lie within `size`. */
  read(offset: number, length: number): Promise<Uint8Array>
}

/** A source whose bytes are in memory already. */
export const memorySource = (bytes: Uint8Array, name = 'memory'): ByteSource => ({
  name,
  size: bytes.length,
  read: async (offset, length) => bytes.subarray(offset, offset + length),
})
