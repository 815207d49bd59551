/** Fills a template with a value. @source pkg.go.dev/text/template, "Actions", "Arguments", "Pipelines", "Variables" */
import { didYouMean } from '../nearest.ts'
import { FUNCTIONS, isTrue } from './functions.ts'
import { type BlockNode, type Node, type Operand, type Pipe, parsed } from './parse.ts'
import { notUnderstood } from './tokens.ts'

/** How values are looked into and shown. */
export interface Reading {
  /** The value of a field; a function is a method. @throws UsageError for a field that there cannot be */
  readonly field: (value: unknown, name: string) => unknown
  readonly textOf: (value: unknown) => string
}

/** @throws UsageError for what is no template, or does not fit the value */
export function filled(template: string, value: unknown, reading: Reading): string {
  const execution = new Execution(template, reading)
  execution.list(parsed(template), value, new Scope(undefined, [['', value]]))
  return execution.text
}

class Scope {
  readonly #outer: Scope | undefined
  readonly #own: Map<string, unknown>

  constructor(outer: Scope | undefined, own: readonly (readonly [string, unknown])[] = []) {
    this.#outer = outer
    this.#own = new Map(own)
  }

  declare(name: string, value: unknown): void {
    this.#own.set(name, value)
  }

  /** The innermost one that has it; undefined for none. */
  of(name: string): Scope | undefined {
    return this.#own.has(name) ? this : this.#outer?.of(name)
  }

  get(name: string): unknown {
    return this.#own.get(name)
  }
}

type Ending = 'break' | 'continue' | undefined

class Execution {
  readonly #template: string
  readonly #reading: Reading
  text = ''

  constructor(template: string, reading: Reading) {
    this.#template = template
    this.#reading = reading
  }

  list(nodes: readonly Node[], dot: unknown, scope: Scope): Ending {
    for (const node of nodes) {
      const ending = this.#node(node, dot, scope)
      if (ending !== undefined) return ending
    }
    return undefined
  }

  #node(node: Node, dot: unknown, scope: Scope): Ending {
    if (node.kind === 'text') {
      this.text += node.text
      return undefined
    }
    if (node.kind === 'break' || node.kind === 'continue') return node.kind
    if (node.kind !== 'show')
      return node.kind === 'range' ? this.#range(node, dot, scope) : this.#choice(node, dot, scope)
    const value = this.#pipe(node.pipe, dot, scope)
    this.#keep(node.pipe, [value], scope)
    if (node.pipe.variables.length === 0) this.text += this.#reading.textOf(value)
    return undefined
  }

  /** `if` and `with` */
  #choice(node: BlockNode, dot: unknown, scope: Scope): Ending {
    const inner = new Scope(scope)
    const value = this.#pipe(node.pipe, dot, inner)
    this.#keep(node.pipe, [value], inner)
    if (!isTrue(value)) return this.list(node.otherwise, dot, inner)
    return this.list(node.body, node.kind === 'with' ? value : dot, inner)
  }

  #range(node: BlockNode, dot: unknown, scope: Scope): Ending {
    const members = membersOf(this.#pipe(node.pipe, dot, scope))
    if (members.length === 0) return this.list(node.otherwise, dot, new Scope(scope))
    for (const member of members) {
      const inner = new Scope(scope)
      this.#keep(node.pipe, node.pipe.variables.length === 1 ? [member[1]] : member, inner)
      if (this.list(node.body, member[1], inner) === 'break') break
    }
    return undefined
  }

  #keep({ variables, isAssigned }: Pipe, values: readonly unknown[], scope: Scope): void {
    variables.forEach((name, i) => {
      const owner = isAssigned ? scope.of(name) : scope
      if (owner === undefined) throw this.#unknownVariable(name)
      owner.declare(name, values[i])
    })
  }

  #pipe(pipe: Pipe, dot: unknown, scope: Scope): unknown {
    let value: unknown
    pipe.commands.forEach((command, i) => {
      value = this.#command(command, { dot, scope, piped: i === 0 ? [] : [value] })
    })
    return value
  }

  #command(command: readonly Operand[], at: At): unknown {
    const [first, ...rest] = command
    if (first === undefined) return undefined
    const args = (): readonly unknown[] => [...rest.map(one => this.#operand(one, at, [])), ...at.piped]
    if (first.base.kind === 'function') return this.#reach(this.#call(first.base.name, args()), first.path, [])
    if (rest.length === 0 && at.piped.length === 0) return this.#operand(first, at, [])
    return this.#operand(first, at, args())
  }

  #call(name: string, args: readonly unknown[]): unknown {
    const call = FUNCTIONS.get(name)
    if (call === undefined) {
      const known = [...FUNCTIONS.keys()]
      const near = didYouMean(name, known)
      throw notUnderstood(this.#template, `there is no function ${name}${near}: there are ${known.join(', ')}`)
    }
    const value = call(args, this.#reading.textOf)
    if (value instanceof Error) throw notUnderstood(this.#template, `${name}: ${value.message}`)
    return value
  }

  /** @param args of a method, which the last field of the path is; none of anything else */
  #operand({ base, path }: Operand, at: At, args: readonly unknown[]): unknown {
    if (args.length > 0 && path.length === 0) throw notUnderstood(this.#template, 'only functions take arguments')
    if (base.kind === 'value') return base.value
    if (base.kind === 'function') return this.#reach(this.#call(base.name, []), path, args)
    if (base.kind === 'pipe') return this.#reach(this.#pipe(base.pipe, at.dot, at.scope), path, args)
    if (base.kind === 'dot') return this.#reach(at.dot, path, args)
    const owner = at.scope.of(base.name)
    if (owner === undefined) throw this.#unknownVariable(base.name)
    return this.#reach(owner.get(base.name), path, args)
  }

  #reach(value: unknown, path: readonly string[], args: readonly unknown[]): unknown {
    let here = value
    path.forEach((name, i) => {
      here = this.#reading.field(here, name)
      const own = i === path.length - 1 ? args : []
      if (typeof here === 'function') here = here(...own)
      else if (own.length > 0) throw notUnderstood(this.#template, `.${path.join('.')} takes no arguments`)
    })
    return here
  }

  #unknownVariable(name: string): Error {
    return notUnderstood(this.#template, `$${name} is not declared`)
  }
}

interface At {
  readonly dot: unknown
  readonly scope: Scope
  /** What the command before this one in a pipeline has said, if there is one. */
  readonly piped: readonly unknown[]
}

/** Those of an object by its keys' order, as Go has them. */
function membersOf(value: unknown): readonly (readonly [string | number, unknown])[] {
  if (Array.isArray(value)) return value.map((one, i) => [i, one])
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
}
