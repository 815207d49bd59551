/**
 * Takes out of a function's LLVM text the counting of what one of its variables holds anyway.
 *
 *     %t0 = load ptr, ptr %sc_l_name_0
 *     %t1 = call ptr @scr_str_retain_v(ptr %t0)
 *     %t2 = call zeroext i1 @scr_str_eq(ptr %t1, ptr %t9)   ->   %t2 = call zeroext i1 @scr_str_eq(ptr %t0, ptr %t9)
 *     call void @scr_str_release(ptr %t1)
 *
 * The variable has a reference of its own from its one value on until the function lets go of that. So another one is not needed
 * where every way from the first line leads to one that takes it back (a callee that keeps it, and lets go of it itself, has none),
 * and none of them comes by the end of the variable before. What is left alone: variables whose value is handed on as it is; and the first
 * text of a concatenation, which the runtime changes in place when nobody else has it.
 */

/** One reference more to the second name, which the first one is called then. */
export const RETAIN = /^ {2}(%t\d+) = call ptr @(?:scr_[a-z]+_retain_v|sc_retain_\w+|sc_rretain_r\d+)\(ptr (%t\d+)\)$/
/** One less. */
export const RELEASE = /^ {2}call void @(?:scr_[a-z]+_release(?:_v)?|sc_release_\w+|sc_rrelease_r\d+)\(ptr (%t\d+)\)$/
const LOAD = /^ {2}(%t\d+) = load ptr, ptr (%sc_l_\w+)$/
const STORE = /^ {2}store ptr ([^ ]+), ptr (%sc_l_\w+)$/
const LOOK = /^ {2}%t\d+ = (?:getelementptr|load|[fi]cmp) /
/** A pointer that goes where its way cannot be followed. */
const PASSED_ON = /^ {2}(?:store|ret|%t\d+ = (?:phi|select|insertvalue|call ptr @scr_str_concat\()) ?/
const BRANCH = /^ {2}(?:br|switch) /

/** A function's lines, and where its names and blocks are. */
class Body {
  readonly lines: readonly string[]
  readonly #uses = new Map<string, number[]>()
  readonly #labels = new Map<string, number>()
  readonly #variableOf = new Map<string, string>()
  /** Variables that hold a reference of their own, which nobody else takes over. */
  readonly #holding: ReadonlySet<string>

  constructor(text: string) {
    this.lines = text.split('\n')
    for (const [at, line] of this.lines.entries()) {
      for (const [name] of line.matchAll(/%t\d+/g)) this.#uses.set(name, [...(this.#uses.get(name) ?? []), at])
      const [, label] = /^([\w.]+):/.exec(line) ?? []
      if (label !== undefined) this.#labels.set(label, at)
      const [, name = '', variable = ''] = LOAD.exec(line) ?? []
      if (name !== '') this.#variableOf.set(name, variable)
    }
    this.#holding = this.#findHolding()
  }

  #findHolding(): ReadonlySet<string> {
    const released = new Set<string>()
    const others = new Set<string>()
    for (const line of this.lines) {
      const end = this.#variableOf.get(RELEASE.exec(line)?.[1] ?? '')
      if (end !== undefined) released.add(end)
      if (LOAD.test(line) || / = alloca /.test(line)) continue
      const [, , stored] = STORE.exec(line) ?? []
      for (const [variable] of line.matchAll(/%sc_l_\w+/g)) if (variable !== stored) others.add(variable)
    }
    for (const [name, variable] of this.#variableOf) if (!this.#isOnlyLookedAt(name)) others.add(variable)
    return new Set([...released].filter(variable => !others.has(variable)))
  }

  /** Counted or looked into, but not handed on. */
  #isOnlyLookedAt(name: string): boolean {
    return this.usesOf(name).every(at => {
      const line = this.lines[at] ?? ''
      return LOAD.exec(line)?.[1] === name || RETAIN.test(line) || RELEASE.test(line) || LOOK.test(line)
    })
  }

  usesOf(name: string): readonly number[] {
    return this.#uses.get(name) ?? []
  }

  /** Whether the reference that this line adds is one too many. */
  isIdle(at: number): boolean {
    const [, added = '', held = ''] = RETAIN.exec(this.lines[at] ?? '') ?? []
    const [, loaded, variable = ''] = LOAD.exec(this.lines[at - 1] ?? '') ?? []
    if (added === '' || loaded !== held || !this.#holding.has(variable)) return false
    return (
      !this.usesOf(added).some(use => PASSED_ON.test(this.lines[use] ?? '')) && this.#isTakenBack(at, added, variable)
    )
  }

  /** Whether all ways from there on come to where `added` is let go of, while the variable has its value. */
  #isTakenBack(start: number, added: string, variable: string): boolean {
    const seen = new Set<number>()
    const ways = [start + 1]
    for (let at = ways.pop(); at !== undefined; at = ways.pop()) {
      const end = this.#endOfWay(at, start, added, variable)
      if (end === undefined) return false
      for (const next of end) if (!seen.has(next)) ways.push(next)
      for (const next of end) seen.add(next)
    }
    return true
  }

  /** Where it goes on after this block: nowhere when it is taken back here; undefined when that is not so. */
  #endOfWay(from: number, start: number, added: string, variable: string): readonly number[] | undefined {
    for (let at = from; at !== start; at += 1) {
      const line = this.lines[at]
      if (line === undefined || line.startsWith('  ret ')) return undefined
      const released = RELEASE.exec(line)?.[1]
      if (released === added || line.startsWith('  unreachable')) return []
      if (released !== undefined && this.#variableOf.get(released) === variable) return undefined
      if (STORE.exec(line)?.[2] === variable) return undefined
      if (BRANCH.test(line))
        return [...line.matchAll(/label %([\w.]+)/g)].map(([, label = '']) => this.#labels.get(label) ?? -1)
    }
    return undefined
  }
}

/** @param text of one function, from `define` to `}` */
export function withoutHeld(text: string): string {
  const body = new Body(text)
  const names = new Map<string, string>()
  const gone = new Set<number>()
  for (const [at, line] of body.lines.entries()) {
    if (!body.isIdle(at)) continue
    const [, added = '', held = ''] = RETAIN.exec(line) ?? []
    names.set(added, held)
    gone.add(at)
    for (const use of body.usesOf(added)) if (RELEASE.exec(body.lines[use] ?? '')?.[1] === added) gone.add(use)
  }
  if (gone.size === 0) return text
  const kept = body.lines.filter((_line, at) => !gone.has(at))
  return kept.map(line => line.replaceAll(/%t\d+/g, name => names.get(name) ?? name)).join('\n')
}
