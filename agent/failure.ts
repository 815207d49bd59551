/** Why a question cannot be answered well: what the plugin passes on to its runtime. */
import { INTERNAL, TRY_AGAIN_LATER } from '../lib/cni/error.ts'

export class AgentFailure extends Error {
  /** A code of the CNI specification, or a plugin's own from 100 on. */
  readonly code: number
  readonly details: string

  constructor(code: number, message: string, details = '') {
    super(message)
    this.name = 'AgentFailure'
    this.code = code
    this.details = details
  }
}

/** The registry cannot be asked at the moment. */
export function registryAway(reason: string): AgentFailure {
  return new AgentFailure(
    TRY_AGAIN_LATER,
    `reach the registry: ${reason}`,
    'containers that run go on; new ones can be attached when the registry is back'
  )
}

export function codeOf(error: unknown): number {
  return error instanceof AgentFailure ? error.code : INTERNAL
}
