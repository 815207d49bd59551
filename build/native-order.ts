/**
 * In which order functions lie in the native file. A start reads code in pieces of 64 KiB (the kernel's fault-around) and lines of
 * 64 bytes; what calls use lies together at the beginning, as they use it first, and what none of them used behind.
 *
 * native-order.txt is that order, by names that outlive changes of the source: scriptc numbers modules, closures and helpers
 * anew with every build. A module is named by its first function, and a helper lies behind the first function that names it.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './project.ts'

export const ORDER_FILE = join(ROOT, 'build', 'native-order.txt')

/** A closure, an initialiser of a module and what calls them all, a method of an array of one type, the keeping of one type of record. */
const NUMBERED = /_(?:fn|init_|arr_\w+_|union_narrow_|fn_adapt_|r)[0-9]+$|^sc_f__x25_main$/
const INITIALISER = /_init_[0-9]+$/
const OF_MODULE = /_m([0-9]+)_(\w+)$/

/** The list: names in the order of first use. */
export function orderedNames(): readonly string[] {
  return readFileSync(ORDER_FILE, 'utf8')
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
}

/** The functions of a program, by scriptc's numbers and without them. */
export class Functions {
  readonly #bodies: ReadonlyMap<string, string>
  /** The first function of each module. */
  readonly #modules = new Map<string, string>()
  readonly #byName = new Map<string, string[]>()

  /** @param llvm the program's text */
  constructor(llvm: string) {
    this.#bodies = bodiesOf(llvm)
    for (const symbol of this.#bodies.keys()) {
      const [, module = '', name = ''] = OF_MODULE.exec(symbol) ?? []
      if (!this.#modules.has(module)) this.#modules.set(module, name)
    }
    for (const symbol of this.#bodies.keys()) {
      const name = this.nameOf(symbol)
      this.#byName.set(name, [...(this.#byName.get(name) ?? []), symbol])
    }
  }

  /** `sc_f__x25_m_addVeth@hasInterface`; '' of a helper, whose number is all it has. Others' stand for themselves. */
  nameOf(symbol: string): string {
    if (NUMBERED.test(symbol)) return ''
    const [, module] = OF_MODULE.exec(symbol) ?? []
    if (module === undefined) return symbol
    return `${symbol.replace(/_m[0-9]+_/, '_m_').replace(/_x25_[0-9]+$/, '')}@${this.#modules.get(module) ?? ''}`
  }

  /** The symbols as the linker is to lay them, of the functions of those names and their helpers. */
  symbolOrder(names: readonly string[]): readonly string[] {
    const order = new Set<string>()
    for (const name of names) for (const symbol of this.#byName.get(name) ?? [name]) this.#lay(symbol, order)
    return [...order]
  }

  #lay(symbol: string, order: Set<string>): void {
    if (order.has(symbol)) return
    order.add(symbol)
    for (const [, helper = ''] of (this.#bodies.get(symbol) ?? '').matchAll(/@(sc_\w+)/g)) {
      if (this.#bodies.has(helper) && this.#isHelperOf(symbol, helper)) this.#lay(helper, order)
    }
  }

  /** An initialiser names all closures of its module, and calls few. */
  #isHelperOf(symbol: string, helper: string): boolean {
    return this.nameOf(helper) === '' && (!INITIALISER.test(symbol) || INITIALISER.test(helper))
  }
}

/** Every function of the text, with what is between its braces. */
function bodiesOf(llvm: string): ReadonlyMap<string, string> {
  const bodies = new Map<string, string>()
  for (const [, symbol = '', body = ''] of llvm.matchAll(/^define [^@\n]*@(\w+)\([^\n]*\{[^\n]*\n([\s\S]*?)^\}$/gm)) {
    bodies.set(symbol, body)
  }
  return bodies
}
