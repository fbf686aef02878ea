/** The variable `loop` within a `for`. */
import { TemplateError } from './errors.ts'
import { Attributed, type Call, Callable, equal, Undefined, type Value } from './values.ts'

export class LoopState {
  readonly #items: readonly Value[]
  readonly #depth: number
  readonly #recurse: Call | undefined
  /** What `loop.changed` was given last. */
  #last: readonly Value[] | undefined

  constructor(items: readonly Value[], depth: number, recurse: Call | undefined) {
    this.#items = items
    this.#depth = depth
    this.#recurse = recurse
  }

  /** `loop` at one of the items. */
  at(index: number): Attributed {
    const { length } = this.#items
    const item = (i: number): Value => this.#items[i] as Value
    const previous = index > 0 ? item(index - 1) : new Undefined('there is no previous item; it')
    const next = index + 1 < length ? item(index + 1) : new Undefined('there is no next item; it')
    const cycle = new Callable('cycle', ({ positional }) => {
      if (positional.length === 0) throw new TemplateError('no items for cycling given')
      return positional[index % positional.length] as Value
    })
    const changed = new Callable('changed', ({ positional }) => {
      const last = this.#last
      this.#last = positional
      const same = last?.length === positional.length
      return !(same && last.every((value, i) => equal(value, positional[i] as Value)))
    })
    const attributes = new Map<string, Value>([
      ['index', index + 1],
      ['index0', index],
      ['revindex', length - index],
      ['revindex0', length - index - 1],
      ['first', index === 0],
      ['last', index === length - 1],
      ['length', length],
      ['depth', this.#depth + 1],
      ['depth0', this.#depth],
      ['previtem', previous],
      ['nextitem', next],
      ['cycle', cycle],
      ['changed', changed],
    ])
    return new Attributed('LoopContext', attributes, this.#recurse)
  }
}
