/** `patchbay doctor`: what is wrong with the host's container networks, why, and what to do. */
import { DEFAULT_CONFIG } from '../../agent/config.ts'
import { DEFAULT_SOCKET } from '../../lib/overlay/agent-call.ts'
import { DEFAULT_STATE_DIR } from '../../lib/state/journal.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import { visible } from '../../lib/view/visible.ts'
import type { Call } from '../call.ts'
import { didYouMean } from '../nearest.ts'
import { jsonLine, UsageError } from '../output.ts'
import { CHECKS } from './checks.ts'
import { type FactPlaces, Facts } from './facts.ts'
import type { Check, Finding, Severity } from './finding.ts'

/** A finding, and the check that found it. */
interface Found extends Finding {
  readonly check: string
}

/** As Nagios and its like read them: 0 fine, 1 warning, 2 critical. */
const STATUS: Readonly<Record<Severity, number>> = { note: 0, warning: 1, error: 2 }

/** @source containers.conf(5), cni_plugin_dirs */
export const PODMAN_BIN_DIRS = [
  '/usr/local/libexec/cni',
  '/usr/libexec/cni',
  '/usr/local/lib/cni',
  '/usr/lib/cni',
  '/opt/cni/bin'
]

export async function doctor(call: Call): Promise<number> {
  const { output } = call
  const places = {
    ...call.place,
    stateDir: call.text('state-dir') ?? DEFAULT_STATE_DIR,
    otherBinDirs: call.has('bin-dir') ? [] : PODMAN_BIN_DIRS,
    agentConfig: call.text('config') ?? DEFAULT_CONFIG,
    agentSocket: call.text('agent-socket') ?? DEFAULT_SOCKET,
    netns: call.text('netns')
  }
  const names = call.texts('check')
  return withFindings(places, names, async (found, facts) => {
    const asJson = call.text('output') === 'json' || call.asJson
    const say = asJson ? output.err : output.out
    const fixed = call.has('fix') ? await fix(found, say, call.has('dry-run')) : []
    const made = chosen(names).map(one => one.name)
    if (asJson) output.out(jsonLine({ checks: made, findings: found.map(one => toJson(one, fixed)) }))
    else output.out(report(made.length, found, facts))
    return Math.max(0, ...found.filter(one => !fixed.includes(one)).map(one => STATUS[one.severity]))
  })
}

/**
 * Runs the checks of these names, or all.
 *
 * @param body gets what they found, whose fixes work until it ends
 */
export async function withFindings<T>(
  places: FactPlaces,
  names: readonly string[],
  body: (found: readonly Found[], facts: Facts) => Promise<T>
): Promise<T> {
  const checks = chosen(names)
  const facts = new Facts(places)
  try {
    return await body(await examine(checks, facts), facts)
  } finally {
    facts.close()
  }
}

/** Without names, all of them. @throws UsageError for a name that no check has */
function chosen(wanted: readonly string[]): readonly Check[] {
  const known = CHECKS.map(check => check.name)
  const unknown = wanted.find(name => !known.includes(name))
  if (unknown !== undefined) {
    const message = `read --check ${JSON.stringify(unknown)}: there is no such check${didYouMean(unknown, known)}`
    throw new UsageError(message, `checks are ${known.join(', ')}`)
  }
  return wanted.length === 0 ? CHECKS : CHECKS.filter(check => wanted.includes(check.name))
}

/** A check that fails is itself a finding: the others go on. */
async function examine(checks: readonly Check[], facts: Facts): Promise<readonly Found[]> {
  const found: Found[] = []
  for (const check of checks) {
    try {
      found.push(...(await check.find(facts)).map(one => ({ ...one, check: check.name })))
    } catch (error) {
      found.push({
        check: check.name,
        severity: 'warning',
        what: `check ${check.name} could not be made`,
        evidence: [messageOf(error)],
        remedy: 'run it as root: sudo patchbay doctor'
      })
    }
  }
  return found
}

/** Shows each before it is done. @returns those that were done */
async function fix(found: readonly Found[], say: (text: string) => void, isDry: boolean): Promise<readonly Found[]> {
  const done: Found[] = []
  for (const one of found) {
    if (one.fix === undefined) continue
    say(`${isDry ? 'would fix' : 'fix'}: ${visible(one.fix.words)}\n`)
    if (isDry) continue
    try {
      await one.fix.apply()
      done.push(one)
    } catch (error) {
      say(`  it failed: ${visible(messageOf(error))}\n`)
    }
  }
  return done
}

function toJson({ check, severity, what, evidence, remedy, fix: possible }: Found, fixed: readonly Found[]): object {
  const isFixed = fixed.some(one => one.check === check && one.what === what)
  return {
    check,
    severity,
    what,
    evidence,
    remedy,
    ...(possible === undefined ? {} : { fix: possible.words, fixed: isFixed })
  }
}

function report(checks: number, found: readonly Found[], { view }: Facts): string {
  const hidden = view.namespaces.filter(one => one.problem !== '').length
  const lines = found.flatMap(one => [
    `${one.severity}: ${one.what} [${one.check}]`,
    ...one.evidence.map(text => `    seen: ${text}`),
    `    do:   ${one.remedy}`,
    ...(one.fix === undefined ? [] : ['    --fix does it']),
    ''
  ])
  const count = (severity: Severity): string => String(found.filter(one => one.severity === severity).length)
  const sum = `${String(checks)} checks: ${count('error')} errors, ${count('warning')} warnings, ${count('note')} notes`
  const blind = hidden === 0 ? [] : [`${String(hidden)} namespaces could not be read: run it as root`]
  return `${[...lines, ...blind, sum].map(visible).join('\n')}\n`
}
