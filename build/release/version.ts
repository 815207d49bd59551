/**
 * `npm run release:version -- 0.2.0`: gives this tree a version, in every place that names one, and gives what CHANGELOG.md has under
 * "Unreleased" its heading. Without a version it says which places do not have that of package.json.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../project.ts'

/** Where the version stands; the pattern's middle is the version. */
interface Place {
  readonly file: string
  readonly pattern: RegExp
}

/** The one list. */
const PLACES: readonly Place[] = [
  { file: 'package.json', pattern: /(^ {2}"version": ")([^"]+)(")/gm },
  // Of the whole and of the first package, which are this one.
  { file: 'package-lock.json', pattern: /("name": "patchbay",\n +"version": ")([^"]+)(")/g },
  { file: 'lib/cni/version.ts', pattern: /(PATCHBAY_VERSION = ')([^']+)(')/g },
  { file: 'deploy/kubernetes/overlay.yaml', pattern: /(image: localhost\/patchbay:)(\S+)()/g },
  { file: 'deploy/kubernetes/pod-cidr.yaml', pattern: /(image: localhost\/patchbay:)(\S+)()/g }
]

const CHANGELOG = 'CHANGELOG.md'
const UNRELEASED = '## Unreleased'

function textOf(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}

/** Places that do not have the version, and versions that the changelog has no heading for. */
export function versionProblems(version: string): readonly string[] {
  const problems = PLACES.flatMap(({ file, pattern }) => {
    const found = [...textOf(file).matchAll(pattern)].map(match => match[2] ?? '')
    if (found.length === 0) return [`${file}: no version where one is looked for`]
    return found.filter(one => one !== version).map(one => `${file}: ${one}, not ${version}`)
  })
  return hasHeading(textOf(CHANGELOG), version) ? problems : [...problems, `${CHANGELOG}: no heading "## ${version}"`]
}

/** What is not released yet counts for the version that it will have. */
export function hasHeading(changelog: string, version: string): boolean {
  return new RegExp(`^## (${version.replaceAll('.', '\\.')} |Unreleased$)`, 'm').test(changelog)
}

/** @param date of the heading, as 2026-11-27 */
export function released(changelog: string, version: string, date: string): string {
  return changelog.replace(new RegExp(`^${UNRELEASED}$`, 'm'), `## ${version} (${date})`)
}

function give(version: string): void {
  if (!/^\d+\.\d+\.\d+$/.test(version)) throw new Error(`read version ${JSON.stringify(version)}: must be as 0.2.0`)
  for (const { file, pattern } of PLACES) {
    writeFileSync(join(ROOT, file), textOf(file).replaceAll(pattern, `$1${version}$3`))
  }
  const date = new Date().toISOString().slice(0, 10)
  writeFileSync(join(ROOT, CHANGELOG), released(textOf(CHANGELOG), version, date))
}

if (import.meta.main) {
  try {
    const [version] = process.argv.slice(2)
    if (version !== undefined) give(version)
    const problems = versionProblems(version ?? JSON.parse(textOf('package.json')).version)
    for (const problem of problems) process.stderr.write(`${problem}\n`)
    process.exitCode = problems.length === 0 ? 0 : 1
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
