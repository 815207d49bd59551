import type { Clause } from './clauses.ts'

export const BEHAVIOUR_CLAUSES: readonly Clause[] = []
