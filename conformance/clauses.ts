/**
 * What is asked of a plugin, one sentence each, in this project's own words. Every clause has at least one case (a test
 * sees to it). What only a runtime can break is not here.
 */
import { LIBCNI_CLAUSES, OWN_CLAUSES, ROBUSTNESS_CLAUSES } from './clauses/beyond.ts'
import type { Clause } from './clauses/clause.ts'
import { SPEC_CALLS } from './clauses/spec-calls.ts'
import { SPEC_OPERATIONS } from './clauses/spec-operations.ts'

/** Every clause but those of single plugins' keys. */
export const PROTOCOL_CLAUSES: readonly Clause[] = [
  ...SPEC_CALLS,
  ...SPEC_OPERATIONS,
  ...LIBCNI_CLAUSES,
  ...ROBUSTNESS_CLAUSES,
  ...OWN_CLAUSES
]
