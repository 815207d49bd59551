/** What the documentation of a plugin promises of one of its keys: a clause and the case that proves it in one. */
import type { Case, Context } from './case.ts'
import { type Clause, type Level, pluginKey } from './clauses/clause.ts'

/** Says whether it holds; the clause is known. */
export type Say = (holds: boolean, expected: string, seen: () => string) => boolean

export interface Behaviour {
  readonly clause: Clause
  readonly one: Case
}

/**
 * @param level MUST for what every release of the reference plugins since 1.0 documents, SHOULD for later keys and for
 * what operators ask for
 */
export function behaviour(
  [plugin, id, level]: readonly [string, string, Level],
  text: string,
  run: (context: Context, say: Say) => void
): Behaviour {
  const clause = pluginKey(plugin, id, level, text)
  const clauseId = clause.id
  const one: Case = {
    id: `${plugin}-${id}`,
    title: text,
    part: 'behaviour',
    clauses: [clauseId],
    plugins: [plugin],
    run: context => {
      context.requireKernel()
      run(context, (holds, expected, seen) => context.judge(clauseId, holds, expected, seen))
    }
  }
  return { clause, one }
}
