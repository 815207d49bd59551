/**
 * Broken plugins, one per class of clause: shell scripts around a plugin that works. The suite's own test demands that
 * each is caught, because a judge that never finds anything proves nothing.
 */

export interface Mutation {
  /** What is wrong with it. */
  readonly name: string
  readonly plugin: string
  /**
   * A script in which `$real` is the plugin that works and `real` runs it; what it prints and its exit status are what
   * the judge sees.
   */
  readonly script: string
  readonly caseId: string
  /** The clause that must be found broken. */
  readonly clause: string
}

export function mutation(
  [clause, caseId]: readonly [string, string],
  name: string,
  script: string,
  plugin = 'bridge'
): Mutation {
  return { name, plugin, script, caseId, clause }
}

/** Passes the real output through sed. */
export function edited(expression: string, verbs = 'ADD'): string {
  return `case "$CNI_COMMAND" in ${verbs}) ;; *) exec "$real";; esac
out=$("$real"); status=$?
printf '%s' "$out" | tr -d '\\n' | sed -E '${expression}'
exit $status`
}

/** Passes the input through sed. Every verb has this script for its caller: a plugin may ask who calls it. */
export function fed(expression: string, verbs = '*'): string {
  return `case "$CNI_COMMAND" in ${verbs}) sed -E '${expression}' | "$real";; *) "$real";; esac`
}

export const MEMORY = '/run/patchbay-conformance/mutation-$CNI_CONTAINERID-$CNI_IFNAME'
