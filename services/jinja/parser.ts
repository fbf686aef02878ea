/**
 * From tokens to statements, after https://github.com/pallets/jinja/blob/main/src/jinja2/parser.py,
 * with the tags that transformers adds: `break`, `continue` and `generation`.
 */
import type { Parameter, Statement, Target } from './ast.ts'
import { TemplateSyntaxError } from './errors.ts'
import { ExpressionParser } from './expressions.ts'
import { tokenize } from './lexer.ts'

class Parser extends ExpressionParser {
  /** Loops around what is read; `break` outside of one is wrong. */
  #loops = 0

  template(): Statement[] {
    const body = this.#statements([])
    if (this.current.type !== 'eof') throw this.fail(`unknown tag '${this.current.value}'`)
    return body
  }

  /** Statements up to a tag of those names, whose name is current then. */
  #statements(ends: readonly string[]): Statement[] {
    const body: Statement[] = []
    for (;;) {
      const token = this.current
      if (token.type === 'eof') {
        if (ends.length === 0) return body
        throw this.fail(`the template ends where ${ends.join(' or ')} is missing`)
      }
      this.next()
      if (token.type === 'data') body.push({ kind: 'data', text: token.value })
      else if (token.type === 'variable_begin') {
        body.push({ kind: 'output', value: this.tuple({ conditional: true }) })
        this.expectType('variable_end')
      } else {
        if (this.current.type === 'name' && ends.includes(this.current.value)) return body
        body.push(...this.#statement())
        this.expectType('block_end')
      }
    }
  }

  /** A tag's body: from its `%}` to one of the end tags. @returns which one came */
  #body(ends: readonly string[]): { body: Statement[]; end: string } {
    this.skipOperator(':')
    this.expectType('block_end')
    const body = this.#statements(ends)
    return { body, end: this.next().value }
  }

  #statement(): Statement[] {
    const tag = this.expectType('name')
    switch (tag.value) {
      case 'for':
        return [this.#for()]
      case 'if':
        return [this.#if()]
      case 'set':
        return [this.#set()]
      case 'macro':
        return [this.#macro()]
      case 'call':
        return [this.#call()]
      case 'filter': {
        const filter = this.filters(this.filter(undefined))
        return [{ kind: 'filterblock', filter, body: this.#body(['endfilter']).body }]
      }
      case 'with':
        return [this.#with()]
      case 'print':
        return this.#print()
      case 'break':
      case 'continue':
        if (this.#loops === 0) throw this.fail(`'${tag.value}' outside of a loop`)
        return [{ kind: tag.value }]
      case 'generation':
        // It tells a trainer where answers stand; the text is the same without it.
        return [{ kind: 'scope', body: this.#body(['endgeneration']).body }]
      default:
        throw new TemplateSyntaxError(`the tag '${tag.value}' is not supported`, tag.line)
    }
  }

  #for(): Statement {
    const target = this.target(['in'])
    this.expectName('in')
    const over = this.tuple({ conditional: false, ends: ['recursive'] })
    const test = this.skipName('if') ? this.expression() : undefined
    const recursive = this.skipName('recursive')
    this.#loops += 1
    const { body, end } = this.#body(['endfor', 'else'])
    this.#loops -= 1
    const otherwise = end === 'else' ? this.#body(['endfor']).body : []
    return { kind: 'for', target, in: over, test, recursive, body, else: otherwise }
  }

  #if(): Statement {
    const branches: { test: ReturnType<Parser['expression']>; body: Statement[] }[] = []
    for (;;) {
      const test = this.tuple({ conditional: false })
      const { body, end } = this.#body(['elif', 'else', 'endif'])
      branches.push({ test, body })
      if (end === 'elif') continue
      return { kind: 'ifs', branches, else: end === 'else' ? this.#body(['endif']).body : [] }
    }
  }

  #set(): Statement {
    const target = this.target([], true)
    if (this.skipOperator('='))
      return { kind: 'set', target, value: this.tuple({ conditional: true }) }
    const filter = this.isOperator('|') ? this.filters(undefined) : undefined
    return { kind: 'setblock', target, filter, body: this.#body(['endset']).body }
  }

  #signature(): Parameter[] {
    const parameters: Parameter[] = []
    this.expectOperator('(')
    while (!this.isOperator(')')) {
      if (parameters.length > 0) this.expectOperator(',')
      const name = this.storeName()
      if (this.skipOperator('=')) parameters.push({ name, default: this.expression() })
      else if (parameters.some((p) => p.default !== undefined))
        throw this.fail('non-default argument follows default argument')
      else parameters.push({ name })
    }
    this.expectOperator(')')
    return parameters
  }

  /** A macro's body stands in no loop, even where its definition does. */
  #apart(end: string): Statement[] {
    const loops = this.#loops
    this.#loops = 0
    const { body } = this.#body([end])
    this.#loops = loops
    return body
  }

  #macro(): Statement {
    const name = this.storeName()
    const parameters = this.#signature()
    return { kind: 'macro', name, parameters, body: this.#apart('endmacro') }
  }

  #call(): Statement {
    const parameters = this.isOperator('(') ? this.#signature() : []
    const call = this.expression()
    if (call.kind !== 'call') throw this.fail('expected call')
    return { kind: 'callblock', call, parameters, body: this.#apart('endcall') }
  }

  #with(): Statement {
    const values: [Target, ReturnType<Parser['expression']>][] = []
    while (this.current.type !== 'block_end') {
      if (values.length > 0) this.expectOperator(',')
      const target = this.target([])
      this.expectOperator('=')
      values.push([target, this.expression()])
    }
    return { kind: 'with', values, body: this.#body(['endwith']).body }
  }

  #print(): Statement[] {
    const printed: Statement[] = []
    while (this.current.type !== 'block_end') {
      if (printed.length > 0) this.expectOperator(',')
      printed.push({ kind: 'output', value: this.expression() })
    }
    return printed
  }
}

/** A template's statements. @throws TemplateSyntaxError */
export const parse = (source: string): Statement[] => new Parser(tokenize(source)).template()
