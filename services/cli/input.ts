/** Text that comes from standard input: UTF-8, or UTF-16 with its mark, as Windows' tools write it. */
import { Readable } from 'node:stream'
import { codeOf, MdiError } from '../errors.ts'

const wrong = (): MdiError =>
  new MdiError(
    'bad-value',
    'Standard input is not a text in UTF-8 (nor in UTF-16 with a byte-order mark): convert it.',
  )

/** The encoding that a text's first bytes tell. */
const encodingOf = (bytes: Uint8Array): string => {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le'
  return bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : 'utf-8'
}

/** Pieces of text, as their bytes come. @throws MdiError for what is no text */
const decoded = async function* (input: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let head: Uint8Array = new Uint8Array(0)
  let decoder: InstanceType<typeof TextDecoder> | undefined
  const decode = (bytes?: Uint8Array): string => {
    try {
      // The mark itself is left out.
      decoder ??= new TextDecoder(encodingOf(bytes ?? head), { fatal: true })
      const text = decoder.decode(bytes, { stream: bytes !== undefined })
      if (text.includes('\0')) throw wrong()
      return text
    } catch (error) {
      throw error instanceof MdiError ? error : wrong()
    }
  }
  try {
    for await (const part of input) {
      head = decoder ? part : Buffer.concat([head, part])
      if (!decoder && head.length < 2) continue
      yield decode(head)
    }
    if (!decoder && head.length > 0) yield decode(head)
    yield decode()
  } catch (error) {
    if (error instanceof MdiError) throw error
    throw new MdiError('bad-value', `Standard input cannot be read: ${codeOf(error) || error}.`, {
      cause: error,
    })
  }
}

/** All of it. @throws MdiError `bad-value` for what is no text */
export const readInput = async (input: AsyncIterable<Buffer> = process.stdin): Promise<string> => {
  let text = ''
  for await (const piece of decoded(input)) text += piece
  return text
}

/** Standard input as a stream of text; it fails with an MdiError. */
export const textInput = (input: AsyncIterable<Buffer> = process.stdin): Readable =>
  Readable.from(decoded(input))
