/** Which lines of the specification are judged by which clauses, and which by none, and why. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ALL_CLAUSES } from './all-clauses.ts'
import { CASES } from './cases/all.ts'
import { lineLink, SPEC_REVISION } from './clauses/clause.ts'
import { isListed } from './spec-lines.ts'
import { clausesByLine, OTHERS, TEXT_POINTS, type TextPoint } from './spec-text.ts'

/** Points that no clause judges although nothing excuses them; empty, or the suite has a gap. */
export function uncovered(): readonly TextPoint[] {
  const clauses = clausesByLine(ALL_CLAUSES)
  const judged = new Set(CASES.flatMap(one => one.clauses))
  return TEXT_POINTS.filter(
    ({ line, why, word }) =>
      why === undefined && word !== 'MAY' && !(clauses.get(line) ?? []).some(({ id }) => judged.has(id))
  )
}

function pointText(point: TextPoint): readonly string[] {
  const clauses = clausesByLine(ALL_CLAUSES).get(point.line) ?? []
  const head = `${String(point.line).padStart(4)} ${(point.word ?? '-').padEnd(6)} ${point.asks}`
  const ids = clauses.map(({ id, level }) => `${id} (${level})`).join(', ')
  const judged = ids !== '' ? ids : (point.why ?? (point.word === 'MAY' ? 'allows, asks nothing' : 'NOT JUDGED'))
  return [head, `            ${judged}`]
}

/** Lines of this text that hold a word of duty and are new or changed. */
function strangeLines(text: string): readonly string[] {
  const duty = /\b(must|should|may|shall|required|recommended|optional)\b/i
  return text.split('\n').flatMap((line, index) => {
    const strange = duty.test(line) && !isListed(line)
    return strange ? [`${String(index + 1).padStart(4)} new or changed: ${line.trim()}`] : []
  })
}

/** @param specPath a SPEC.md to compare with */
export function coverageText(specPath?: string): string {
  const lines = [
    `SPEC.md at ${SPEC_REVISION.tag} (commit ${SPEC_REVISION.commit}, sha256 ${SPEC_REVISION.sha256})`,
    `a line on the web: ${lineLink(229)}`,
    '',
    'what binds a plugin, by line:',
    ...TEXT_POINTS.flatMap(pointText),
    '',
    ...Object.entries(OTHERS).map(([whom, found]) => `binds ${whom}: lines ${found.join(', ')}`)
  ]
  if (specPath !== undefined) {
    const text = readFileSync(specPath, 'utf8')
    const same = createHash('sha256').update(text).digest('hex') === SPEC_REVISION.sha256
    const strange = strangeLines(text)
    lines.push(
      '',
      `${specPath}: ${same ? 'the pinned text' : 'NOT the pinned text'}, ${strange.length} sentences of duty that are new or changed`
    )
    lines.push(...strange)
  }
  const open = uncovered()
  lines.push('', `${TEXT_POINTS.length} points, ${open.length} of them neither judged nor excused`, '')
  return lines.join('\n')
}
