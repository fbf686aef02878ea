/** Carries a template out, by Jinja2's rules of scope. */
import { getAttribute, getItem, getSlice } from './access.ts'
import { binary, signed } from './arithmetic.ts'
import type { Arguments, Comparison, Expression, Parameter, Statement, Target } from './ast.ts'
import { TemplateError } from './errors.ts'
import { runFilter } from './filters.ts'
import { integer } from './given.ts'
import { LoopState } from './loop.ts'
import { macroOf } from './macro.ts'
import { toText } from './print.ts'
import { Scope } from './scope.ts'
import { runTest } from './tests.ts'
import { Text } from './text.ts'
import {
  Attributed,
  type Call,
  Callable,
  compare,
  contains,
  Dict,
  equal,
  Float,
  type Given,
  iterate,
  Namespace,
  orElse,
  Tuple,
  truthy,
  typeName,
  Undefined,
  type Value,
} from './values.ts'

/** What ends a loop's body early. */
type Jump = 'break' | 'continue' | undefined
type Output = Text[]
type ForStatement = Extract<Statement, { kind: 'for' }>

const compared: Readonly<Record<Comparison, (a: Value, b: Value) => boolean>> = {
  eq: (a, b) => equal(a, b),
  ne: (a, b) => !equal(a, b),
  lt: (a, b) => compare(a, b, '<') < 0,
  le: (a, b) => compare(a, b, '<=') <= 0,
  gt: (a, b) => compare(a, b, '>') > 0,
  ge: (a, b) => compare(a, b, '>=') >= 0,
  in: (a, b) => contains(b, a),
  notin: (a, b) => !contains(b, a),
}

export class Interpreter {
  /** A template's text under these variables. @throws TemplateError, TemplateSyntaxError */
  run(body: readonly Statement[], globals: Scope): Text {
    return this.#text(body, new Scope(globals))
  }

  /** What statements write, as a text of its own. */
  #text(body: readonly Statement[], scope: Scope): Text {
    const out: Output = []
    this.#body(body, scope, out)
    return Text.join(out)
  }

  #body(body: readonly Statement[], scope: Scope, out: Output): Jump {
    for (const statement of body) {
      const jump = this.#statement(statement, scope, out)
      if (jump) return jump
    }
    return undefined
  }

  #statement(statement: Statement, scope: Scope, out: Output): Jump {
    switch (statement.kind) {
      case 'data':
        out.push(new Text(statement.text))
        return undefined
      case 'output':
        out.push(toText(this.#value(statement.value, scope)))
        return undefined
      case 'set':
        this.#assign(statement.target, this.#value(statement.value, scope), scope)
        return undefined
      case 'setblock': {
        const text = this.#text(statement.body, new Scope(scope))
        const { filter } = statement
        this.#assign(statement.target, filter ? this.#filter(filter, scope, text) : text, scope)
        return undefined
      }
      case 'ifs': {
        const found = statement.branches.find(({ test }) => truthy(this.#value(test, scope)))
        return this.#body(found ? found.body : statement.else, scope, out)
      }
      case 'for':
        this.#for(statement, scope, out, 0)
        return undefined
      case 'break':
      case 'continue':
        return statement.kind
      case 'macro':
        scope.set(statement.name, this.#macro(statement.name, statement, scope))
        return undefined
      case 'callblock': {
        const caller = this.#macro('caller', statement, scope)
        out.push(toText(this.#call(statement.call, scope, caller)))
        return undefined
      }
      case 'filterblock': {
        const text = this.#text(statement.body, new Scope(scope))
        out.push(toText(this.#filter(statement.filter, scope, text)))
        return undefined
      }
      case 'with': {
        const inner = new Scope(scope)
        const values = statement.values.map(([, value]) => this.#value(value, scope))
        for (const [i, [target]] of statement.values.entries())
          this.#assign(target, values[i] as Value, inner)
        return this.#body(statement.body, inner, out)
      }
      case 'scope':
        return this.#body(statement.body, new Scope(scope), out)
    }
  }

  #macro(
    name: string,
    { parameters, body }: { parameters: Parameter[]; body: Statement[] },
    scope: Scope,
  ): Callable {
    return macroOf(name, parameters, body, scope, {
      text: (inner) => this.#text(body, inner),
      value: (expression, inner) => this.#value(expression, inner),
    })
  }

  #assign(target: Target, value: Value, scope: Scope): void {
    if (target.kind === 'name') scope.set(target.name, value)
    else if (target.kind === 'nsref') {
      const namespace = scope.get(target.name)
      if (!(namespace instanceof Namespace))
        throw new TemplateError('cannot assign attribute on non-namespace object')
      namespace.attributes.set(target.attribute, value)
    } else {
      if (value instanceof Undefined) throw value.fail()
      const items = iterate(value)
      const { length } = target.items
      if (items.length !== length)
        throw new TemplateError(
          items.length > length
            ? `too many values to unpack (expected ${length})`
            : `not enough values to unpack (expected ${length}, got ${items.length})`,
        )
      for (const [i, inner] of target.items.entries()) this.#assign(inner, items[i] as Value, scope)
    }
  }

  #for(loop: ForStatement, scope: Scope, out: Output, depth: number, over?: Value): void {
    const all = iterate(over === undefined ? this.#value(loop.in, scope) : over)
    const { test } = loop
    const items = test
      ? all.filter((item) => {
          const inner = new Scope(scope)
          this.#assign(loop.target, item, inner)
          return truthy(this.#value(test, inner))
        })
      : all
    const recurse: Call | undefined = loop.recursive
      ? ({ positional: [inner] }) => {
          const written: Output = []
          this.#for(loop, scope, written, depth + 1, inner as Value)
          return Text.join(written)
        }
      : undefined
    const state = new LoopState(items, depth, recurse)
    let passed = false
    for (const [i, item] of items.entries()) {
      const inner = new Scope(scope)
      inner.set('loop', state.at(i))
      this.#assign(loop.target, item, inner)
      const jump = this.#body(loop.body, inner, out)
      if (jump === 'break') break
      // As in Jinja2, a pass that was cut short does not count for `else`.
      if (jump !== 'continue') passed = true
    }
    if (!passed) this.#body(loop.else, new Scope(scope), out)
  }

  #arguments(args: Arguments, scope: Scope): Given {
    const positional = args.positional.map((arg) => this.#value(arg, scope))
    const named = new Map(args.named.map(([name, arg]) => [name, this.#value(arg, scope)]))
    if (args.spread) positional.push(...iterate(this.#value(args.spread, scope)))
    if (args.namedSpread) {
      const more = this.#value(args.namedSpread, scope)
      if (!(more instanceof Dict)) throw new TemplateError('argument after ** must be a mapping')
      for (const [key, value] of more.entries()) named.set(toText(key).value, value)
    }
    return { positional, named }
  }

  #filter(filter: Expression, scope: Scope, block?: Text): Value {
    if (filter.kind !== 'filter') return this.#value(filter, scope)
    const of = filter.of ? this.#filter(filter.of, scope, block) : (block as Text)
    return runFilter(filter.name, of, this.#arguments(filter.args, scope))
  }

  #call(expression: Expression, scope: Scope, caller?: Callable): Value {
    if (expression.kind !== 'call') throw new TemplateError('expected a call')
    const of = this.#value(expression.of, scope)
    const given = this.#arguments(expression.args, scope)
    const named = caller ? new Map([...given.named, ['caller', caller] as const]) : given.named
    if (of instanceof Undefined) throw of.fail()
    const call = of instanceof Callable || of instanceof Attributed ? of.call : undefined
    if (!call) throw new TemplateError(`'${typeName(of)}' object is not callable`)
    return call({ positional: given.positional, named })
  }

  #compare(first: Expression, rest: readonly [Comparison, Expression][], scope: Scope): boolean {
    let left = this.#value(first, scope)
    for (const [comparison, expression] of rest) {
      const right = this.#value(expression, scope)
      if (!compared[comparison](left, right)) return false
      left = right
    }
    return true
  }

  #value(expression: Expression, scope: Scope): Value {
    switch (expression.kind) {
      case 'text':
        return new Text(expression.value)
      case 'number':
        return expression.float ? new Float(expression.value) : expression.value
      case 'constant':
        return expression.value
      case 'name':
        return orElse(scope.get(expression.name), new Undefined(`'${expression.name}'`))
      case 'list':
        return expression.items.map((item) => this.#value(item, scope))
      case 'tuple':
        return new Tuple(expression.items.map((item) => this.#value(item, scope)))
      case 'dict':
        return new Dict(
          expression.items.map(([k, v]) => [this.#value(k, scope), this.#value(v, scope)] as const),
        )
      case 'attribute':
        return getAttribute(this.#value(expression.of, scope), expression.name)
      case 'item':
        return this.#item(expression.of, expression.at, scope)
      case 'slice':
        throw new TemplateError('a slice stands only in brackets')
      case 'call':
        return this.#call(expression, scope)
      case 'filter':
        return this.#filter(expression, scope)
      case 'test': {
        const value = this.#value(expression.of, scope)
        const passes = runTest(expression.name, value, this.#arguments(expression.args, scope))
        return passes !== expression.negated
      }
      case 'binary': {
        const left = this.#value(expression.left, scope)
        return binary(expression.operator, left, this.#value(expression.right, scope))
      }
      case 'concat':
        return Text.join(expression.parts.map((part) => toText(this.#value(part, scope))))
      case 'compare':
        return this.#compare(expression.first, expression.rest, scope)
      case 'and': {
        const left = this.#value(expression.left, scope)
        return truthy(left) ? this.#value(expression.right, scope) : left
      }
      case 'or': {
        const left = this.#value(expression.left, scope)
        return truthy(left) ? left : this.#value(expression.right, scope)
      }
      case 'not':
        return !truthy(this.#value(expression.of, scope))
      case 'sign':
        return signed(expression.negative, this.#value(expression.of, scope))
      case 'if':
        if (truthy(this.#value(expression.test, scope))) return this.#value(expression.yes, scope)
        return expression.no
          ? this.#value(expression.no, scope)
          : new Undefined('the inline if-expression has no else section and')
    }
  }

  #item(of: Expression, at: Expression, scope: Scope): Value {
    const value = this.#value(of, scope)
    if (at.kind !== 'slice') return getItem(value, this.#value(at, scope))
    const parts = at.parts.map((part) => part && this.#value(part, scope))
    for (const part of parts) if (part !== undefined && part !== null) integer(part, 0)
    return getSlice(value, parts)
  }
}
