/** The case that all others of a plugin rest on. */
import type { Case } from './case.ts'
import { describeOutcome, succeeded } from './plugin-call.ts'

/** Why the other cases are not run when this one fails. */
export const NEVER_WORKED = 'ADD never worked'

export const GATE: Case = {
  id: 'add-works',
  title: 'ADD succeeds, in one version at least',
  part: 'protocol',
  clauses: ['add.works'],
  run: context => {
    context.requireKernel()
    const versions = [...context.versions()].reverse()
    let seen = ''
    for (const [index, version] of versions.entries()) {
      const attachment = context.attachment()
      const outcome = context.call('ADD', attachment, { version })
      if (succeeded(outcome)) {
        context.judge('add.works', true, 'ADD succeeds', () => '')
        return
      }
      seen ||= describeOutcome(outcome)
      if (index < versions.length - 1) context.call('DEL', attachment, { version })
    }
    const needs = 'something that it needs may be missing: --config takes a profile with prepare'
    context.judge('add.works', false, 'ADD succeeds', () => `${NEVER_WORKED}: ${seen}; ${needs}`)
  }
}
