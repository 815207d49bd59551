/**
 * Takes counting that comes to nothing out of a program's LLVM text.
 *
 * Literals are kept for ever (their count is -1, which nothing changes), and still scriptc has each use of one counted, and so the
 * letting go of nothing at all.
 *
 * Around each look into an object it writes one reference more before, and one less after:
 *
 *     %t1 = call ptr @sc_retain_X(ptr %t0)
 *     %t2 = getelementptr inbounds %X, ptr %t1, i64 0, i32 2
 *     %t3 = load double, ptr %t2                                 ->  %t2 = getelementptr inbounds %X, ptr %t0, i64 0, i32 2
 *     call void @sc_release_X(ptr %t1)                               %t3 = load double, ptr %t2
 *
 * Between the two nothing may be called that could let go of the object, so whoever holds it before holds it all the time; and
 * nobody else may have the pointer with the added reference. Then the count goes up and down again, and that is all.
 */
import { RELEASE, RETAIN, withoutHeld } from './held-values.ts'

/** Looks, and a length: they change no count. */
const LOOK = /^ {2}%t\d+ = (?:getelementptr|load|call double @scr_arr_len\() ?/
/** What else changes none. A store puts a value somewhere, and lets go of none. */
const CALCULATION =
  /^ {2}(?:store|%t\d+ = (?:[fi]cmp|f?(?:add|sub|mul|div|neg)|and|or|xor|[us]itofp|fpto[us]i|[sz]ext|trunc|select)) /
/** Between two references to one object there are at most a few looks. */
const FARTHEST = 24

const KEPT_FOR_EVER = /^@(sc_(?:lit|fc)_\w+) = internal global (?:\{[^}]*\}|%ScrClosure) \{ i64 -1,/gm
const RETAINED_LITERAL = /^ {2}(%t\d+) = call ptr @scr_(?:str|closure)_retain_v\(ptr (@sc_\w+)\)$/
const RELEASED_LITERAL = /^ {2}call void @scr_(?:str|closure)_release(?:_v)?\(ptr (@sc_\w+)\)$/
const RELEASED_NOTHING = /^ {2}call void @(?:scr_[a-z]+_release(?:_v)?|sc_release_\w+|sc_rrelease_r\d+)\(ptr null\)$/

/** @param llvm as scriptc writes it */
export function withoutIdleCounting(llvm: string): string {
  const kept = new Set([...llvm.matchAll(KEPT_FOR_EVER)].map(([, name = '']) => `@${name}`))
  return llvm.replaceAll(/^define .*?^}$/gms, body =>
    withoutPairs(withoutHeld(withoutPairs(withoutLiterals(body, kept))))
  )
}

/** @param kept the names of what is kept for ever */
function withoutLiterals(body: string, kept: ReadonlySet<string>): string {
  const literals = new Map<string, string>()
  const lines = body.split('\n').filter(line => {
    const [, name = '', literal = ''] = RETAINED_LITERAL.exec(line) ?? []
    if (!kept.has(literal)) return !RELEASED_NOTHING.test(line)
    literals.set(name, literal)
    return false
  })
  const named = lines.map(line => line.replaceAll(/%t\d+/g, name => literals.get(name) ?? name))
  return named.filter(line => !kept.has(RELEASED_LITERAL.exec(line)?.[1] ?? '')).join('\n')
}

function withoutPairs(body: string): string {
  let lines = body.split('\n')
  // A pair may stand in the way of the one around it.
  for (let before = -1; before !== lines.length; ) {
    before = lines.length
    lines = withoutInnermost(lines)
  }
  return lines.join('\n')
}

function withoutInnermost(lines: readonly string[]): string[] {
  const uses = countUses(lines)
  const kept: (string | undefined)[] = [...lines]
  for (let at = 0; at < lines.length; at += 1) {
    const [, added = '', held = ''] = RETAIN.exec(kept[at] ?? '') ?? []
    const end = added === '' ? -1 : endOfPair(kept, at, added, uses.get(added) ?? 0)
    if (end < 0) continue
    kept[at] = undefined
    kept[end] = undefined
    for (let i = at + 1; i < end; i += 1) kept[i] = kept[i]?.replaceAll(new RegExp(`${added}\\b`, 'g'), held)
  }
  return kept.filter(line => line !== undefined)
}

/** The line that takes the reference back; -1 when there is none that may go. `uses`: how often the function names `added`. */
function endOfPair(lines: readonly (string | undefined)[], start: number, added: string, uses: number): number {
  let left = uses - 1
  for (let i = start + 1; i < Math.min(lines.length, start + FARTHEST); i += 1) {
    const line = lines[i]
    if (line === undefined) continue
    const named = namedIn(line, added)
    if (RELEASE.exec(line)?.[1] === added) return left === 1 ? i : -1
    const isLook = LOOK.test(line)
    if (!isLook && (named > 0 || !(CALCULATION.test(line) || RETAIN.test(line)))) return -1
    left -= named
  }
  return -1
}

function namedIn(line: string, name: string): number {
  return (line.match(/%t\d+/g) ?? []).filter(one => one === name).length
}

function countUses(lines: readonly string[]): ReadonlyMap<string, number> {
  const uses = new Map<string, number>()
  for (const line of lines) for (const [name] of line.matchAll(/%t\d+/g)) uses.set(name, (uses.get(name) ?? 0) + 1)
  return uses
}
