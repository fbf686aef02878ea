/** A template's tokens, as its parser goes through them. */
import { TemplateSyntaxError } from './errors.ts'
import type { Lexeme, LexemeType } from './lexer.ts'

/** Tokens one after the other, and what may be expected of them. */
export class TokenStream {
  readonly #tokens: readonly Lexeme[]
  #at = 0

  constructor(tokens: readonly Lexeme[]) {
    this.#tokens = tokens
  }

  /** The token after the current one. */
  get following(): Lexeme | undefined {
    return this.#tokens[this.#at + 1]
  }

  get current(): Lexeme {
    return this.#tokens[this.#at] as Lexeme
  }

  next(): Lexeme {
    const token = this.current
    if (token.type !== 'eof') this.#at += 1
    return token
  }

  fail(message: string): TemplateSyntaxError {
    return new TemplateSyntaxError(message, this.current.line)
  }

  unexpected(wanted: string): TemplateSyntaxError {
    const { type, value } = this.current
    const found = value === '' ? type.replace('_', ' of ') : `'${value}'`
    return this.fail(`expected ${wanted}, got ${found}`)
  }

  expectType(type: LexemeType): Lexeme {
    if (this.current.type !== type) throw this.unexpected(type.replace('_', ' of '))
    return this.next()
  }

  isOperator(value: string): boolean {
    return this.current.type === 'operator' && this.current.value === value
  }

  skipOperator(value: string): boolean {
    const is = this.isOperator(value)
    if (is) this.next()
    return is
  }

  expectOperator(value: string): void {
    if (!this.skipOperator(value)) throw this.unexpected(`'${value}'`)
  }

  isName(value: string): boolean {
    return this.current.type === 'name' && this.current.value === value
  }

  skipName(value: string): boolean {
    const is = this.isName(value)
    if (is) this.next()
    return is
  }

  expectName(value: string): void {
    if (!this.skipName(value)) throw this.unexpected(`'${value}'`)
  }
}
