/**
 * Cuts a template into tokens, as Jinja2's lexer does with `trim_blocks` and `lstrip_blocks`
 * on: https://github.com/pallets/jinja/blob/main/src/jinja2/lexer.py.
 */
import { TemplateSyntaxError } from './errors.ts'

export type LexemeType =
  | 'data'
  | 'variable_begin'
  | 'variable_end'
  | 'block_begin'
  | 'block_end'
  | 'name'
  | 'string'
  | 'integer'
  | 'float'
  | 'operator'
  | 'eof'

export type Lexeme = { type: LexemeType; value: string; line: number }

/** Longest first. */
const operators = [
  ...['**', '//', '==', '!=', '<=', '>='],
  ...['+', '-', '/', '*', '%', '~', '[', ']', '(', ')', '{', '}', '>', '<', '=', '.', ':', '|'],
  ...[',', ';'],
]
const closing: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' }

const tagBegin = /\{%([-+]?)\s*raw\s*(?:-%\}\s*|%\})|\{(%|\{|#)([-+]?)/g
const rawEnd = /\{%([-+]?)\s*endraw\s*(?:\+%\}|-%\}\s*|%\}\n?)/g
const commentEnd = /\+#\}|-#\}\s*|#\}\n?/g
const blockEnd = /\+%\}|-%\}\s*|%\}\n?/y
const variableEnd = /-\}\}\s*|\}\}/y
const blank = /\s+/y
const float = /(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy
const integer = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy
const string = /'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"/sy
const name = /[\p{L}\p{Nl}_][\p{L}\p{Nl}\p{Mn}\p{Mc}\p{Nd}\p{Pc}_]*/uy

const simpleEscapes: Readonly<Record<string, string>> = {
  ...{ n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' },
  ...{ '\\': '\\', "'": "'", '"': '"', '\n': '' },
}
const escapes =
  /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|N\{[^}]*\}|([^xuUN0-7])|(.))/gs

/** A string literal's text, by Python's rules; an escape that means nothing stays as it is. */
const literal = (text: string, line: number): string =>
  text.replace(escapes, (whole, ...found: (string | undefined)[]) => {
    const [x, u, long, octal, simple, wrong] = found
    const hex = x ?? u ?? long
    if (hex !== undefined) {
      const code = Number.parseInt(hex, 16)
      if (code > 0x10ffff) throw new TemplateSyntaxError(`illegal character ${whole}`, line)
      return String.fromCodePoint(code)
    }
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8))
    if (simple !== undefined) return simpleEscapes[simple] ?? whole
    if (wrong === undefined) throw new TemplateSyntaxError(`${whole} is not supported`, line)
    throw new TemplateSyntaxError(`truncated escape ${whole}`, line)
  })

class Lexer {
  readonly #source: string
  readonly #tokens: Lexeme[] = []
  #at = 0
  #line = 1
  /** Up to where lines were counted. */
  #counted = 0
  /** Whether what was read last ended a line. */
  #lineStarts = true

  constructor(source: string) {
    const unified = source.replace(/\r\n?/g, '\n')
    this.#source = unified.endsWith('\n') ? unified.slice(0, -1) : unified
  }

  read(): Lexeme[] {
    while (this.#at < this.#source.length) this.#data()
    this.#push('eof', '')
    return this.#tokens
  }

  #push(type: LexemeType, value: string): void {
    for (; this.#counted < this.#at; this.#counted++)
      if (this.#source.charCodeAt(this.#counted) === 10) this.#line += 1
    this.#tokens.push({ type, value, line: this.#line })
  }

  /** What stands before a tag, less the white space that the tag takes away. */
  #pushData(text: string, sign: string, strips: boolean): void {
    let data = text
    if (sign === '-') data = text.trimEnd()
    else if (sign !== '+' && strips) {
      const start = text.lastIndexOf('\n') + 1
      if ((start > 0 || this.#lineStarts) && /^\s+$/.test(text.slice(start)))
        data = text.slice(0, start)
    }
    if (data !== '') this.#push('data', data)
  }

  #move(end: number): void {
    this.#at = end
    this.#lineStarts = this.#source.charAt(end - 1) === '\n'
  }

  /** Text up to the next tag, and the tag. */
  #data(): void {
    tagBegin.lastIndex = this.#at
    const begin = tagBegin.exec(this.#source)
    const text = this.#source.slice(this.#at, begin?.index)
    if (!begin) {
      this.#push('data', text)
      this.#at = this.#source.length
      return
    }
    const [whole, rawSign, kind, tagSign] = begin
    this.#pushData(text, rawSign ?? tagSign ?? '', kind !== '{')
    this.#move(begin.index + whole.length)
    if (kind === undefined) this.#raw()
    else if (kind === '#') this.#comment()
    else this.#code(kind === '%')
  }

  #raw(): void {
    rawEnd.lastIndex = this.#at
    const end = rawEnd.exec(this.#source)
    if (!end) throw new TemplateSyntaxError('Missing end of raw directive', this.#line)
    this.#pushData(this.#source.slice(this.#at, end.index), end[1] ?? '', true)
    this.#move(end.index + end[0].length)
  }

  #comment(): void {
    commentEnd.lastIndex = this.#at
    const end = commentEnd.exec(this.#source)
    if (!end) throw new TemplateSyntaxError('Missing end of comment tag', this.#line)
    this.#move(end.index + end[0].length)
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#source)?.[0]
  }

  /** The inside of a tag, up to its end. */
  #code(block: boolean): void {
    this.#push(block ? 'block_begin' : 'variable_begin', '')
    const open: string[] = []
    const ending = block ? blockEnd : variableEnd
    for (;;) {
      const end = open.length === 0 ? this.#match(ending) : undefined
      if (end !== undefined) {
        this.#push(block ? 'block_end' : 'variable_end', '')
        this.#move(this.#at + end.length)
        return
      }
      if (this.#at >= this.#source.length)
        throw new TemplateSyntaxError('Unexpected end of template', this.#line)
      this.#token(open)
    }
  }

  #token(open: string[]): void {
    const space = this.#match(blank)
    if (space !== undefined) {
      this.#move(this.#at + space.length)
      return
    }
    const numbers = this.#source.charAt(this.#at - 1) === '.' ? undefined : this.#match(float)
    const found: [LexemeType, string | undefined][] = [
      ['float', numbers],
      ['integer', numbers === undefined ? this.#match(integer) : undefined],
      ['name', this.#match(name)],
      ['string', this.#match(string)],
    ]
    for (const [type, text] of found) {
      if (text === undefined) continue
      this.#push(type, type === 'string' ? literal(text.slice(1, -1), this.#line) : text)
      this.#move(this.#at + text.length)
      return
    }
    const operator = operators.find((o) => this.#source.startsWith(o, this.#at))
    if (operator === undefined)
      throw new TemplateSyntaxError(
        `unexpected char ${JSON.stringify(this.#source.charAt(this.#at))}`,
        this.#line,
      )
    const close = closing[operator]
    if (close !== undefined) open.push(close)
    else if (operator === ')' || operator === ']' || operator === '}') {
      const expected = open.pop()
      if (expected !== operator)
        throw new TemplateSyntaxError(`unexpected '${operator}'`, this.#line)
    }
    this.#push('operator', operator)
    this.#move(this.#at + operator.length)
  }
}

/** A template's tokens. @throws TemplateSyntaxError */
export const tokenize = (source: string): Lexeme[] => new Lexer(source).read()
