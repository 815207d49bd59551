/**
 * `patchbay install --verify`: whether what `install` would put there is there, compared by checksum, and nobody but root could
 * have changed it.
 */
import { lstatSync, readFileSync, type Stats, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { digestOf, MULTI_CALL, planConfig } from './install-plan.ts'
import { jsonLine, type Output } from './output.ts'

/** What is wrong with a file; '' when nothing is. */
interface Finding {
  readonly path: string
  readonly problem: string
}

/** What was asked for, as `install` has it. */
export interface Installed {
  readonly directory: string
  readonly source: string
  readonly names: readonly string[]
  readonly network: { readonly path: string; readonly config: object } | undefined
  readonly units: readonly { readonly path: string; readonly text: string }[]
}

const OTHERS_WRITE = 0o022
const ALL_EXECUTE = 0o111

/** @returns the exit status: 1 when something is not as it was installed */
export function verify(installed: Installed, output: Output, asJson: boolean): number {
  const { directory, source, names, network, units } = installed
  const sha256 = digestOf(source)
  const programs = [MULTI_CALL, ...names].map(name => join(directory, name))
  const findings: readonly Finding[] = [
    { path: directory, problem: rightsProblem(directory) },
    ...programs.map(path => ({ path, problem: programProblem(path, sha256) })),
    ...(network === undefined ? [] : [{ path: network.path, problem: configProblem(network.path, network.config) }]),
    ...units.map(({ path, text }) => ({ path, problem: textProblem(path, text) }))
  ]
  const wrong = findings.filter(({ problem }) => problem !== '')
  if (asJson) output.out(jsonLine({ source, sha256, findings }))
  else {
    for (const { path, problem } of wrong) output.out(`wrong  ${path}: ${problem}\n`)
    output.out(`${findings.length - wrong.length} of ${findings.length} as installed; sha256 ${sha256}  ${source}\n`)
  }
  return wrong.length === 0 ? 0 : 1
}

/** A link to the program, or a copy of it. */
function programProblem(path: string, sha256: string): string {
  const there = statSync(path, { throwIfNoEntry: false })
  if (there === undefined) return missing(path)
  if (!there.isFile()) return 'is no file'
  const found = digestOf(path)
  if (found !== sha256) return `is another program, sha256 ${found}`
  if ((there.mode & ALL_EXECUTE) !== ALL_EXECUTE) return `cannot be executed, mode ${modeText(there)}`
  return rightsProblem(path)
}

/** Whoever may write a plugin is root as soon as a container starts. */
function rightsProblem(path: string): string {
  const there = statSync(path, { throwIfNoEntry: false })
  if (there === undefined) return missing(path)
  if (there.uid !== 0 && there.uid !== process.getuid?.()) return `belongs to user ${there.uid}`
  return (there.mode & OTHERS_WRITE) === 0 ? '' : `can be written by others, mode ${modeText(there)}`
}

function configProblem(path: string, config: object): string {
  const { action } = planConfig(path, config)
  if (action === 'create') return missing(path)
  return action === 'leave' ? rightsProblem(path) : 'is another network than install writes'
}

function textProblem(path: string, text: string): string {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return missing(path)
  return readFileSync(path, 'utf8') === text ? rightsProblem(path) : 'is another text than install writes'
}

function missing(path: string): string {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return 'is a link that leads nowhere'
  return lstatSync(dirname(path), { throwIfNoEntry: false }) === undefined
    ? 'is missing, with its directory'
    : 'is missing'
}

function modeText({ mode }: Stats): string {
  return (mode & 0o7777).toString(8).padStart(4, '0')
}
