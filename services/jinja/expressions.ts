/** Reads expressions from tokens; operators bind as in Jinja2. */
import type { Arguments, Comparison, Expression, Operator, Target } from './ast.ts'
import { TokenStream } from './stream.ts'

const comparisons: Readonly<Record<string, Comparison>> = {
  ...{ '==': 'eq', '!=': 'ne', '<': 'lt', '<=': 'le', '>': 'gt', '>=': 'ge' },
}
const products: Readonly<Record<string, Operator>> = {
  ...{ '*': 'mul', '/': 'div', '//': 'floordiv', '%': 'mod' },
}
/** Names that cannot be assigned to. */
const constants = ['true', 'false', 'none', 'True', 'False', 'None']
/** Expressions within each other at most: a template may not end the stack. */
const DEPTH = 200

export class ExpressionParser extends TokenStream {
  #depth = 0

  /** A name that is assigned to. */
  storeName(): string {
    const { value } = this.expectType('name')
    if (constants.includes(value)) throw this.fail(`can't assign to '${value}'`)
    return value
  }

  /** What is assigned to: a name, several, or an attribute of a namespace. */
  target(ends: readonly string[], namespaces = false): Target {
    const items: Target[] = []
    let tuple = false
    for (;;) {
      if (items.length > 0) this.expectOperator(',')
      if (items.length > 0 && this.#tupleEnds(ends)) break
      items.push(this.#oneTarget(namespaces))
      if (!this.isOperator(',')) break
      tuple = true
    }
    return tuple ? { kind: 'tuple', items } : (items[0] as Target)
  }

  #oneTarget(namespaces: boolean): Target {
    if (this.skipOperator('(')) {
      const inner = this.target([], namespaces)
      this.expectOperator(')')
      return inner
    }
    const name = this.storeName()
    if (!namespaces || !this.skipOperator('.')) return { kind: 'name', name }
    return { kind: 'nsref', name, attribute: this.expectType('name').value }
  }

  #tupleEnds(ends: readonly string[]): boolean {
    const { type, value } = this.current
    if (type === 'variable_end' || type === 'block_end' || this.isOperator(')')) return true
    return type === 'name' && ends.includes(value)
  }

  /** An expression, or several with commas: a tuple. */
  tuple(options: {
    conditional: boolean
    ends?: readonly string[]
    parentheses?: boolean
  }): Expression {
    const { conditional, ends = [], parentheses = false } = options
    const items: Expression[] = []
    let tuple = false
    for (;;) {
      if (items.length > 0) this.expectOperator(',')
      if (this.#tupleEnds(ends)) break
      items.push(conditional ? this.expression() : this.#or())
      if (!this.isOperator(',')) break
      tuple = true
    }
    if (!tuple && items[0]) return items[0]
    if (!tuple && !parentheses) throw this.unexpected('an expression')
    return { kind: 'tuple', items }
  }

  expression(): Expression {
    this.#depth += 1
    if (this.#depth > DEPTH) throw this.fail('expressions are nested too deeply')
    let found = this.#or()
    while (this.skipName('if')) {
      const test = this.#or()
      const otherwise = this.skipName('else') ? this.expression() : undefined
      found = { kind: 'if', test, yes: found, no: otherwise }
    }
    this.#depth -= 1
    return found
  }

  #or(): Expression {
    let left = this.#and()
    while (this.skipName('or')) left = { kind: 'or', left, right: this.#and() }
    return left
  }

  #and(): Expression {
    let left = this.#not()
    while (this.skipName('and')) left = { kind: 'and', left, right: this.#not() }
    return left
  }

  #not(): Expression {
    if (!this.skipName('not')) return this.#compare()
    this.#depth += 1
    if (this.#depth > DEPTH) throw this.fail('expressions are nested too deeply')
    const of = this.#not()
    this.#depth -= 1
    return { kind: 'not', of }
  }

  #comparison(): Comparison | undefined {
    const { type, value } = this.current
    if (type === 'operator') {
      const found = comparisons[value]
      if (found) this.next()
      return found
    }
    if (this.skipName('in')) return 'in'
    const after = this.following
    if (!this.isName('not') || after?.type !== 'name' || after.value !== 'in') return undefined
    this.next()
    this.next()
    return 'notin'
  }

  #compare(): Expression {
    const first = this.#sum()
    const rest: [Comparison, Expression][] = []
    for (let found = this.#comparison(); found; found = this.#comparison())
      rest.push([found, this.#sum()])
    return rest.length === 0 ? first : { kind: 'compare', first, rest }
  }

  #sum(): Expression {
    let left = this.#concat()
    for (;;) {
      const operator = this.isOperator('+') ? 'add' : this.isOperator('-') ? 'sub' : undefined
      if (!operator) return left
      this.next()
      left = { kind: 'binary', operator, left, right: this.#concat() }
    }
  }

  #concat(): Expression {
    const parts = [this.#product()]
    while (this.skipOperator('~')) parts.push(this.#product())
    return parts.length === 1 ? (parts[0] as Expression) : { kind: 'concat', parts }
  }

  #product(): Expression {
    let left = this.#power()
    for (;;) {
      const operator = this.current.type === 'operator' ? products[this.current.value] : undefined
      if (!operator) return left
      this.next()
      left = { kind: 'binary', operator, left, right: this.#power() }
    }
  }

  #power(): Expression {
    let left = this.#unary()
    while (this.skipOperator('**'))
      left = { kind: 'binary', operator: 'pow', left, right: this.#unary() }
    return left
  }

  #unary(filtered = true): Expression {
    const negative = this.isOperator('-')
    let found: Expression
    if (negative || this.isOperator('+')) {
      this.next()
      this.#depth += 1
      if (this.#depth > DEPTH) throw this.fail('expressions are nested too deeply')
      found = { kind: 'sign', negative, of: this.#unary(false) }
      this.#depth -= 1
    } else found = this.#primary()
    found = this.#postfix(found)
    return filtered ? this.#filtersAndTests(found) : found
  }

  #primary(): Expression {
    const { type, value } = this.current
    if (type === 'name') {
      this.next()
      if (value === 'true' || value === 'True') return { kind: 'constant', value: true }
      if (value === 'false' || value === 'False') return { kind: 'constant', value: false }
      if (value === 'none' || value === 'None') return { kind: 'constant', value: null }
      return { kind: 'name', name: value }
    }
    if (type === 'string') {
      let text = ''
      while (this.current.type === 'string') text += this.next().value
      return { kind: 'text', value: text }
    }
    if (type === 'integer' || type === 'float') {
      this.next()
      return { kind: 'number', value: Number(value.replaceAll('_', '')), float: type === 'float' }
    }
    if (this.skipOperator('(')) {
      const inner = this.tuple({ conditional: true, parentheses: true })
      this.expectOperator(')')
      return inner
    }
    if (this.skipOperator('[')) return { kind: 'list', items: this.#items(']') }
    if (this.skipOperator('{')) return this.#dict()
    throw this.unexpected('an expression')
  }

  #items(end: string): Expression[] {
    const items: Expression[] = []
    while (!this.isOperator(end)) {
      if (items.length > 0) this.expectOperator(',')
      if (this.isOperator(end)) break
      items.push(this.expression())
    }
    this.expectOperator(end)
    return items
  }

  #dict(): Expression {
    const items: [Expression, Expression][] = []
    while (!this.isOperator('}')) {
      if (items.length > 0) this.expectOperator(',')
      if (this.isOperator('}')) break
      const key = this.expression()
      this.expectOperator(':')
      items.push([key, this.expression()])
    }
    this.expectOperator('}')
    return { kind: 'dict', items }
  }

  #postfix(of: Expression): Expression {
    let found = of
    for (;;) {
      if (this.skipOperator('.')) found = this.#dotted(found)
      else if (this.skipOperator('[')) found = this.#subscript(found)
      else if (this.isOperator('(')) found = { kind: 'call', of: found, args: this.#arguments() }
      else return found
    }
  }

  #dotted(of: Expression): Expression {
    const { type, value } = this.next()
    if (type === 'name') return { kind: 'attribute', of, name: value }
    if (type !== 'integer') throw this.fail('expected name or number')
    return { kind: 'item', of, at: { kind: 'number', value: Number(value), float: false } }
  }

  #subscript(of: Expression): Expression {
    const args: Expression[] = []
    while (!this.isOperator(']')) {
      if (args.length > 0) this.expectOperator(',')
      args.push(this.#subscripted())
    }
    this.expectOperator(']')
    return {
      kind: 'item',
      of,
      at: args.length === 1 ? (args[0] as Expression) : { kind: 'tuple', items: args },
    }
  }

  #subscripted(): Expression {
    const parts: (Expression | undefined)[] = []
    if (this.isOperator(':')) parts.push(undefined)
    else {
      const first = this.expression()
      if (!this.isOperator(':')) return first
      parts.push(first)
    }
    while (parts.length < 3 && this.skipOperator(':'))
      parts.push(
        this.isOperator(']') || this.isOperator(',') || this.isOperator(':')
          ? undefined
          : this.expression(),
      )
    return { kind: 'slice', parts }
  }

  #arguments(): Arguments {
    const args: Arguments = { positional: [], named: [] }
    const wrong = () => this.fail('invalid syntax for function call expression')
    this.expectOperator('(')
    for (let first = true; !this.isOperator(')'); first = false) {
      if (!first) this.expectOperator(',')
      if (this.isOperator(')')) break
      const after = this.following
      if (this.skipOperator('*')) {
        if (args.spread || args.namedSpread) throw wrong()
        args.spread = this.expression()
      } else if (this.skipOperator('**')) {
        if (args.namedSpread) throw wrong()
        args.namedSpread = this.expression()
      } else if (
        this.current.type === 'name' &&
        after?.type === 'operator' &&
        after.value === '='
      ) {
        if (args.namedSpread) throw wrong()
        const key = this.next().value
        this.next()
        args.named.push([key, this.expression()])
      } else {
        if (args.spread || args.namedSpread || args.named.length > 0) throw wrong()
        args.positional.push(this.expression())
      }
    }
    this.expectOperator(')')
    return args
  }

  #filtersAndTests(of: Expression): Expression {
    let found = of
    for (;;) {
      if (this.isOperator('|')) found = this.filters(found)
      else if (this.isName('is')) found = this.#test(found)
      else if (this.isOperator('(')) found = { kind: 'call', of: found, args: this.#arguments() }
      else return found
    }
  }

  /** One filter, whose `|` has been read. @param of undefined: the block's text */
  filter(of: Expression | undefined): Expression {
    const name = this.#dottedName()
    const args = this.isOperator('(') ? this.#arguments() : { positional: [], named: [] }
    return { kind: 'filter', of, name, args }
  }

  /** One filter after the other. */
  filters(of: Expression | undefined): Expression {
    let found = of
    while (this.skipOperator('|')) found = this.filter(found)
    return found as Expression
  }

  #dottedName(): string {
    let { value } = this.expectType('name')
    while (this.skipOperator('.')) value += `.${this.expectType('name').value}`
    return value
  }

  #test(of: Expression): Expression {
    this.next()
    const negated = this.skipName('not')
    const name = this.#dottedName()
    const { type, value } = this.current
    const begins =
      type === 'string' ||
      type === 'integer' ||
      type === 'float' ||
      (type === 'operator' && (value === '[' || value === '{')) ||
      (type === 'name' && !['else', 'or', 'and'].includes(value))
    let args: Arguments = { positional: [], named: [] }
    if (this.isOperator('(')) args = this.#arguments()
    else if (begins) {
      if (this.isName('is')) throw this.fail('You cannot chain multiple tests with is')
      args.positional.push(this.#postfix(this.#primary()))
    }
    return { kind: 'test', of, name, args, negated }
  }
}
