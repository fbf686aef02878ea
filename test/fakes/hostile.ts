/** Model files that are wrong in one place each. */
import { readGguf } from '../../services/model/gguf.ts'
import { memorySource } from '../../services/model/source.ts'
import { randomModel } from './model.ts'

/** Where a text begins. */
const find = (file: Uint8Array, text: string): number => {
  const at = Buffer.from(file.buffer, file.byteOffset, file.length).indexOf(text)
  if (at < 0) throw new Error(`no ${text} in the file`)
  return at
}

type Wrong = { file: Uint8Array; sentence: RegExp }

/** Files by what is wrong with them, with the sentence that a person must read. */
export const hostileFiles = async (): Promise<Record<string, Wrong>> => {
  const good = await randomModel({}, { type: 'Q4_0' })
  const { dataOffset } = await readGguf(memorySource(good))
  const changed = (change: (file: Uint8Array, view: DataView) => void): Uint8Array => {
    const file = good.slice()
    change(file, new DataView(file.buffer))
    return file
  }
  /** Of a tensor in the header: its name's place, then dimensions, type and offset. */
  const tensor = (name: string) => {
    const dimensions = find(good, name) + name.length
    const count = new DataView(good.buffer).getUint32(dimensions, true)
    const type = dimensions + 4 + 8 * count
    return { rows: dimensions + 4 + 8 * (count - 1), type, offset: type + 4 }
  }
  const q = tensor('blk.0.attn_q.weight')
  const k = tensor('blk.0.attn_k.weight')
  return {
    'an empty file': { file: new Uint8Array(0), sentence: /not a GGUF file/ },
    'no model at all': {
      file: Buffer.from('#!/bin/sh\nexit 0\n'.repeat(9)),
      sentence: /not a GGUF/,
    },
    'a header cut short': { file: good.slice(0, dataOffset >> 1), sentence: /cut short|ends/ },
    'weights cut short': {
      file: good.slice(0, good.length - 100),
      sentence: /cut short|ends|beyond/,
    },
    'another version': {
      file: changed((_, view) => view.setUint32(4, 1, true)),
      sentence: /version 1/,
    },
    'millions of keys': {
      file: changed((_, view) => view.setBigUint64(16, 5_000_000n, true)),
      sentence: /5000000|5,000,000|keys/,
    },
    'more tensors than there can be': {
      file: changed((_, view) => view.setBigUint64(8, 2n ** 60n, true)),
      sentence: /tensors/,
    },
    'a string far beyond the file': {
      // The first key's length.
      file: changed((_, view) => view.setBigUint64(24, 2n ** 62n, true)),
      sentence: /\d+ bytes|long|cut short|ends/,
    },
    'an architecture that is not built': {
      file: changed((file) =>
        file.set(Buffer.from('gptxx'), find(good, 'general.architecture') + 32),
      ),
      sentence: /gptxx/,
    },
    'a tensor type that is not known': {
      file: changed((_, view) => view.setUint32(q.type, 777, true)),
      sentence: /777/,
    },
    'a tensor type that is not built': {
      file: changed((_, view) => view.setUint32(q.type, 16, true)),
      sentence: /IQ2_XXS/,
    },
    'overlapping tensors': {
      file: changed((_, view) =>
        view.setBigUint64(q.offset, view.getBigUint64(k.offset, true), true),
      ),
      sentence: /overlap/,
    },
    'a tensor beyond the file': {
      file: changed((_, view) => view.setBigUint64(q.offset, 2n ** 40n, true)),
      sentence: /beyond|cut short|ends/,
    },
    'a shape that is not its keys': {
      file: changed((_, view) => view.setBigUint64(k.rows, 64n, true)),
      sentence: /blk\.0\.attn_k/,
    },
  }
}
