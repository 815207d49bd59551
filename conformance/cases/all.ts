/** Every case there is. */
import { BEHAVIOURS } from '../behaviour-clauses.ts'
import type { Case } from '../case.ts'
import { GATE } from '../gate.ts'
import { ADD_CASES } from './add.ts'
import { CHECK_CASES } from './check.ts'
import { CONFIGURATION_CASES } from './configuration.ts'
import { CONVENTION_CASES } from './conventions.ts'
import { CROWD_CASES } from './crowds.ts'
import { DEL_CASES } from './del.ts'
import { DELEGATION_CASES } from './delegation.ts'
import { ENDURANCE_CASES } from './endurance.ts'
import { FAULT_CASES } from './faults.ts'
import { GC_AND_STATUS_CASES } from './gc-and-status.ts'
import { HOSTILE_CASES } from './hostile.ts'
import { OUTPUT_CASES } from './output.ts'
import { PARAMETER_CASES } from './parameters.ts'
import { RESULT_CASES } from './result.ts'
import { VERSION_CASES } from './version.ts'

export const CASES: readonly Case[] = [
  GATE,
  ...PARAMETER_CASES,
  ...CONFIGURATION_CASES,
  ...VERSION_CASES,
  ...OUTPUT_CASES,
  ...RESULT_CASES,
  ...ADD_CASES,
  ...DEL_CASES,
  ...CHECK_CASES,
  ...GC_AND_STATUS_CASES,
  ...DELEGATION_CASES,
  ...CONVENTION_CASES,
  ...BEHAVIOURS.map(({ one }) => one),
  ...CROWD_CASES,
  ...ENDURANCE_CASES,
  ...HOSTILE_CASES,
  ...FAULT_CASES
]
