/** A template's tree, named as in Jinja2. */

export type Target =
  | { kind: 'name'; name: string }
  | { kind: 'nsref'; name: string; attribute: string }
  | { kind: 'tuple'; items: Target[] }

export type Parameter = { name: string; default?: Expression }

/** What a call is given. */
export type Arguments = {
  positional: Expression[]
  named: [string, Expression][]
  /** `*args` and `**kwargs`. */
  spread?: Expression
  namedSpread?: Expression
}

export type Operator = 'add' | 'sub' | 'mul' | 'div' | 'floordiv' | 'mod' | 'pow'
export type Comparison = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge' | 'in' | 'notin'

export type Expression =
  | { kind: 'text'; value: string }
  | { kind: 'number'; value: number; float: boolean }
  | { kind: 'constant'; value: boolean | null }
  | { kind: 'name'; name: string }
  | { kind: 'list'; items: Expression[] }
  | { kind: 'tuple'; items: Expression[] }
  | { kind: 'dict'; items: [Expression, Expression][] }
  | { kind: 'attribute'; of: Expression; name: string }
  | { kind: 'item'; of: Expression; at: Expression }
  | { kind: 'slice'; parts: (Expression | undefined)[] }
  | { kind: 'call'; of: Expression; args: Arguments }
  | { kind: 'filter'; of: Expression | undefined; name: string; args: Arguments }
  | { kind: 'test'; of: Expression; name: string; args: Arguments; negated: boolean }
  | { kind: 'binary'; operator: Operator; left: Expression; right: Expression }
  | { kind: 'concat'; parts: Expression[] }
  | { kind: 'compare'; first: Expression; rest: [Comparison, Expression][] }
  | { kind: 'and' | 'or'; left: Expression; right: Expression }
  | { kind: 'not'; of: Expression }
  | { kind: 'sign'; negative: boolean; of: Expression }
  | { kind: 'if'; test: Expression; yes: Expression; no: Expression | undefined }

export type Statement =
  | { kind: 'data'; text: string }
  | { kind: 'output'; value: Expression }
  | { kind: 'set'; target: Target; value: Expression }
  | { kind: 'setblock'; target: Target; filter: Expression | undefined; body: Statement[] }
  | { kind: 'ifs'; branches: { test: Expression; body: Statement[] }[]; else: Statement[] }
  | {
      kind: 'for'
      target: Target
      in: Expression
      test: Expression | undefined
      recursive: boolean
      body: Statement[]
      else: Statement[]
    }
  | { kind: 'break' | 'continue' }
  | { kind: 'macro'; name: string; parameters: Parameter[]; body: Statement[] }
  | { kind: 'callblock'; call: Expression; parameters: Parameter[]; body: Statement[] }
  | { kind: 'filterblock'; filter: Expression; body: Statement[] }
  | { kind: 'with'; values: [Target, Expression][]; body: Statement[] }
  | { kind: 'scope'; body: Statement[] }
