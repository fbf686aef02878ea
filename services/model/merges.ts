/**
 * Which pairs of tokens merge, and in which order. `@huggingface/tokenizers` keeps a JSON text
 * for each pair. For half a million pairs that is more memory than a small model's weights, so
 * here a pair is two numbers in a table.
 */

/** A merge as `tokenizer.json` has it: a pair, or one text with a space between. */
export type Merge = string | [string, string]

const parts = (merge: Merge): readonly [string, string] => {
  if (typeof merge !== 'string') return merge
  const [left = '', right = ''] = merge.split(' ', 2)
  return [left, right]
}

/** The same merges as texts, which take a third of the pairs' memory; a pair with a space stays. */
export const compactMerges = (merges: readonly unknown[]): unknown[] =>
  merges.map((merge) => {
    const pair = Array.isArray(merge) && merge.length === 2 ? (merge as [unknown, unknown]) : []
    const plain = pair.length === 2 && pair.every((p) => typeof p === 'string' && !p.includes(' '))
    return plain ? pair.join(' ') : merge
  })

/** Ranks of merges by their two tokens; of a merge that is named twice the later rank counts. */
export class MergeRanks {
  readonly #ids: ReadonlyMap<string, number>
  /** Parts of merges that are no tokens themselves. */
  readonly #others = new Map<string, number>()
  readonly #pairs: Int32Array
  /** Open addressing: a merge's rank plus 1, or 0 for an empty slot. */
  readonly #slots: Int32Array

  /** @param ids the vocabulary; it is kept, not copied */
  constructor(ids: ReadonlyMap<string, number>, merges: readonly Merge[]) {
    this.#ids = ids
    this.#pairs = new Int32Array(2 * merges.length)
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * merges.length + 2)))
    for (const [rank, merge] of merges.entries()) {
      const [left, right] = parts(merge).map((text) => this.#idFor(text)) as [number, number]
      this.#pairs[2 * rank] = left
      this.#pairs[2 * rank + 1] = right
      this.#slots[this.#slot(left, right)] = rank + 1
    }
  }

  /** The merge's rank, from 0. Undefined if the two do not merge. */
  rank(left: string, right: string): number | undefined {
    const a = this.#id(left)
    const b = a === undefined ? undefined : this.#id(right)
    if (a === undefined || b === undefined) return undefined
    const found = this.#slots[this.#slot(a, b)] as number
    return found === 0 ? undefined : found - 1
  }

  #id(text: string): number | undefined {
    return this.#ids.get(text) ?? this.#others.get(text)
  }

  /** Texts that are no tokens get negative numbers. */
  #idFor(text: string): number {
    const known = this.#id(text)
    if (known !== undefined) return known
    const id = -1 - this.#others.size
    this.#others.set(text, id)
    return id
  }

  /** The pair's slot, or the empty slot for it. */
  #slot(left: number, right: number): number {
    const mask = this.#slots.length - 1
    const mixed = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)
    let at = (mixed ^ (mixed >>> 15)) & mask
    for (;;) {
      const found = this.#slots[at] as number
      if (found === 0) return at
      const pair = 2 * (found - 1)
      if (this.#pairs[pair] === left && this.#pairs[pair + 1] === right) return at
      at = (at + 1) & mask
    }
  }
}
