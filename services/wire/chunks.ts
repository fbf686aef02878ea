/** How something long is cut into chunks of `limits.chunkBytes`, for disks and for peers. */
import { MdiError } from '../errors.ts'
import { limits } from '../limits.ts'

/** How many chunks `bytes` have. */
export const chunkCount = (bytes: number): number => Math.ceil(bytes / limits.chunkBytes)

/** Where chunk `index` begins. */
export const chunkStart = (index: number): number => index * limits.chunkBytes

/** In which chunk a byte is. */
export const chunkOf = (offset: number): number => Math.floor(offset / limits.chunkBytes)

/** How long chunk `index` of `bytes` is. @throws MdiError `bad-value` beyond its end */
export const chunkLength = (bytes: number, index: number): number => {
  if (!Number.isSafeInteger(index) || index < 0 || index >= chunkCount(bytes))
    throw new MdiError('bad-value', `A record of ${bytes} bytes has no chunk ${index}.`)
  return Math.min(limits.chunkBytes, bytes - chunkStart(index))
}
