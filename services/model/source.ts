/** Where a model file's bytes come from. `io/file` opens files; tests use memory. */

/** Random access to one file's bytes. The file must not change meanwhile. */
export interface ByteSource {
  /** Name for messages: the file's own, without its folder. */
  readonly name: string
  /** Length in bytes. */
  readonly size: number
  /** Differs where the content may have changed. */
  readonly version?: string
  /**
   * Exactly `length` bytes from `offset`; the caller has checked that they lie within `size`.
   * @param into memory that may be used for them, at least as long
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>
}

/** A source whose bytes are in memory already. */
export const memorySource = (bytes: Uint8Array, name = 'memory'): ByteSource => ({
  name,
  size: bytes.length,
  read: async (offset, length) => bytes.subarray(offset, offset + length),
})

/** Several sources one after the other; no read may span two. Its name is the first's. */
export const joined = (sources: readonly ByteSource[]): ByteSource => {
  const [first] = sources
  if (first && sources.length === 1) return first
  let size = 0
  const parts = sources.map((source) => {
    const start = size
    size += source.size
    return { source, start }
  })
  return {
    name: first?.name ?? 'nothing',
    size,
    version: sources.map((source) => source.version ?? '').join(),
    read: (offset, length, into) => {
      const part = parts.findLast((p) => p.start <= offset)
      if (!part) throw new RangeError(`${offset} is outside of ${size} bytes`)
      return part.source.read(offset - part.start, length, into)
    },
  }
}
