/** Findings that are known and let pass for a time: a file of reasons, each with an end. */
import { readFileSync } from 'node:fs'
import { isObject, parsed } from './json.ts'
import type { CaseResult } from './run-case.ts'

export interface Waiver {
  /** Id of a clause. */
  readonly clause: string
  /** Only of this plugin. */
  readonly plugin?: string
  readonly reason: string
  /** The last day, as 2027-01-31. */
  readonly until: string
}

/** @throws Error naming the entry */
export function readWaivers(path: string): readonly Waiver[] {
  const list = parsed(readFileSync(path, 'utf8'))
  if (!Array.isArray(list)) throw new Error(`read --waivers ${path}: a JSON list expected`)
  return list.map((one: unknown, index) => {
    const fail = (expected: string): never => {
      throw new Error(`read --waivers ${path}: entry ${index + 1}: ${expected} expected`)
    }
    if (!isObject(one)) return fail('an object')
    const { clause, plugin, reason, until } = one
    if (typeof clause !== 'string') return fail('clause, the id of one,')
    if (typeof reason !== 'string' || reason.trim() === '') return fail('a reason')
    if (typeof until !== 'string' || !/^\d{4}-\d{2}-\d{2}$/.test(until)) return fail('until, a day such as 2027-01-31,')
    if (plugin !== undefined && typeof plugin !== 'string') return fail('plugin as a text')
    return { clause, reason, until, ...(typeof plugin === 'string' ? { plugin } : {}) }
  })
}

/** The result with its waived findings marked. @param today as 2027-01-31 */
export function withWaivers(result: CaseResult, waivers: readonly Waiver[], today: string): CaseResult {
  const find = (clause: string) =>
    waivers.find(
      one => one.clause === clause && one.until >= today && (one.plugin === undefined || one.plugin === result.plugin)
    )
  const findings = result.findings.map(finding => {
    const waiver = find(finding.clause)
    return waiver === undefined ? finding : { ...finding, waived: `${waiver.reason} (until ${waiver.until})` }
  })
  return { ...result, findings }
}
