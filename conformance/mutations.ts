/** Every broken plugin. */
import { CALL_MUTATIONS } from './mutations/calls.ts'
import { KEY_MUTATIONS } from './mutations/keys.ts'
import type { Mutation } from './mutations/mutation.ts'
import { OPERATION_MUTATIONS } from './mutations/operations.ts'

export const MUTATIONS: readonly Mutation[] = [...CALL_MUTATIONS, ...OPERATION_MUTATIONS, ...KEY_MUTATIONS]

/** The script as a file's content. */
export function mutationScript(one: Mutation, realPath: string): string {
  return `#!/bin/sh\nreal=${realPath}\n${one.script}\n`
}
