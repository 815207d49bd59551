/** Every clause that this suite brings along. */
import { BEHAVIOUR_CLAUSES } from './behaviour-clauses.ts'
import type { Clause } from './clauses/clause.ts'
import { PROTOCOL_CLAUSES } from './clauses.ts'

export const ALL_CLAUSES: readonly Clause[] = [...PROTOCOL_CLAUSES, ...BEHAVIOUR_CLAUSES]
