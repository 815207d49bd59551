/** Reads a template's tokens: actions within actions, pipelines of commands. @source pkg.go.dev/text/template, "Actions" */
import { notUnderstood, type Token, tokensOf } from './tokens.ts'

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'show'; readonly pipe: Pipe }
  | { readonly kind: 'break' }
  | { readonly kind: 'continue' }
  | BlockNode

export interface BlockNode {
  readonly kind: Block
  readonly pipe: Pipe
  readonly body: readonly Node[]
  readonly otherwise: readonly Node[]
}

/** `$a, $b := command | command`: what each command says is the last argument of the next. */
export interface Pipe {
  readonly variables: readonly string[]
  /** `=`: they are there already. */
  readonly isAssigned: boolean
  readonly commands: readonly (readonly Operand[])[]
}

export interface Operand {
  readonly base:
    | { readonly kind: 'dot' }
    | { readonly kind: 'variable' | 'function'; readonly name: string }
    | { readonly kind: 'value'; readonly value: string | number | boolean | null }
    | { readonly kind: 'pipe'; readonly pipe: Pipe }
  /** Fields behind it: `$v.Name`, `(index .A 0).Name`. */
  readonly path: readonly string[]
}

const BLOCKS = ['if', 'with', 'range'] as const
type Block = (typeof BLOCKS)[number]

/** @throws UsageError */
export function parsed(template: string): readonly Node[] {
  const reader = new Reader(template, tokensOf(template))
  const { nodes, ending } = reader.list()
  if (ending !== '') throw notUnderstood(template, `{{${ending}}} ends nothing`)
  return nodes
}

class Reader {
  readonly #template: string
  readonly #tokens: readonly Token[]
  #place = 0

  constructor(template: string, tokens: readonly Token[]) {
    this.#template = template
    this.#tokens = tokens
  }

  /** Up to `{{end}}` or `{{else`, which is read; of `else` the rest is not. */
  list(): { readonly nodes: readonly Node[]; readonly ending: '' | 'end' | 'else' } {
    const nodes: Node[] = []
    for (let token = this.#next(); token !== undefined; token = this.#next()) {
      if (token.kind === 'text') nodes.push(token)
      else {
        const word = this.#peek()
        const name = word?.kind === 'word' ? word.text : ''
        if (name === 'end' || name === 'else') {
          this.#next()
          if (name === 'end') this.#close()
          return { nodes, ending: name }
        }
        nodes.push(this.#action(name))
      }
    }
    return { nodes, ending: '' }
  }

  #action(name: string): Node {
    const block = BLOCKS.find(one => one === name)
    if (block !== undefined) {
      this.#next()
      return this.#block(block)
    }
    if (name === 'break' || name === 'continue') {
      this.#next()
      this.#close()
      return { kind: name }
    }
    const pipe = this.#pipe()
    this.#close()
    return { kind: 'show', pipe }
  }

  #block(kind: Block): Node {
    const pipe = this.#pipe()
    this.#close()
    const { nodes, ending } = this.list()
    if (ending === '') throw notUnderstood(this.#template, `{{${kind}}} without {{end}}`)
    return { kind, pipe, body: nodes, otherwise: ending === 'else' ? this.#otherwise() : [] }
  }

  /** Behind `{{else`: another `if`, whose end is this one's too, or a list. */
  #otherwise(): readonly Node[] {
    const word = this.#peek()
    const block = word?.kind === 'word' ? BLOCKS.find(one => one === word.text) : undefined
    if (block !== undefined) {
      this.#next()
      return [this.#block(block)]
    }
    this.#close()
    const { nodes, ending } = this.list()
    if (ending !== 'end') throw notUnderstood(this.#template, '{{else}} without {{end}}')
    return nodes
  }

  #pipe(): Pipe {
    const { variables, isAssigned } = this.#variables()
    const commands = [this.#command()]
    while (this.#takes('|')) commands.push(this.#command())
    return { variables, isAssigned, commands }
  }

  #variables(): Pick<Pipe, 'variables' | 'isAssigned'> {
    const start = this.#place
    const variables: string[] = []
    for (let token = this.#peek(); token?.kind === 'variable'; token = this.#peek()) {
      variables.push(token.text)
      this.#next()
      if (this.#takes(':=')) return { variables, isAssigned: false }
      if (this.#takes('=')) return { variables, isAssigned: true }
      if (!this.#takes(',')) break
    }
    this.#place = start
    return { variables: [], isAssigned: false }
  }

  #command(): readonly Operand[] {
    const operands: Operand[] = []
    for (let operand = this.#operand(); operand !== undefined; operand = this.#operand()) operands.push(operand)
    if (operands.length === 0) throw notUnderstood(this.#template, 'a value is missing')
    return operands
  }

  #operand(): Operand | undefined {
    const token = this.#peek()
    const base = token === undefined ? undefined : this.#base(token)
    if (base === undefined) return undefined
    const path = token?.kind === 'field' && token.text !== '' ? [token.text] : []
    for (let next = this.#peek(); next?.kind === 'field' && next.isChained; next = this.#peek()) {
      path.push(next.text)
      this.#next()
    }
    return { base, path }
  }

  #base(token: Token): Operand['base'] | undefined {
    if (token.kind === 'sign' && token.text === '(') {
      this.#next()
      const pipe = this.#pipe()
      if (!this.#takes(')')) throw notUnderstood(this.#template, '( without )')
      return { kind: 'pipe', pipe }
    }
    if (token.kind !== 'field' && token.kind !== 'variable' && token.kind !== 'word' && token.kind !== 'value')
      return undefined
    this.#next()
    if (token.kind === 'field') return { kind: 'dot' }
    if (token.kind === 'value') return token
    return { kind: token.kind === 'word' ? 'function' : 'variable', name: token.text }
  }

  #close(): void {
    const token = this.#next()
    if (token?.kind === 'close') return
    const what = token !== undefined && 'text' in token ? token.text : 'a value'
    throw notUnderstood(this.#template, `${JSON.stringify(what)} is one too many`)
  }

  #takes(sign: string): boolean {
    const token = this.#peek()
    if (token?.kind !== 'sign' || token.text !== sign) return false
    this.#next()
    return true
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#place]
  }

  #next(): Token | undefined {
    this.#place += 1
    return this.#tokens[this.#place - 1]
  }
}
