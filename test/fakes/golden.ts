import { crc32 } from 'node:zlib'

/** The generator of test/golden/*.py: the upper bytes of a linear congruential generator. */
export const goldenBytes = (name: string, count: number): Uint8Array => {
  let state = crc32(name)
  return Uint8Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state >>> 24
  })
}
