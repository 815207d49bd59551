/** The command line of the suite. */
import { existsSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { PARTS, type Part } from './case.ts'
import { suggestion } from './nearest.ts'
import { readProfile } from './profile-file.ts'
import type { Profile } from './profiles.ts'
import { ALL_STANDARDS, DEFAULT_STANDARD, STANDARDS } from './standards.ts'
import { readWaivers, type Waiver } from './waivers.ts'

export interface PluginSet {
  readonly name: string
  readonly dir: string
  /** Its findings are shown but don't decide the exit status. */
  readonly isReference: boolean
  /** How often repetitive cases repeat, as a fraction of the full number. */
  readonly effort: number
}

export interface Options {
  readonly sets: readonly PluginSet[]
  /** Plugins to judge; all that have a profile when empty. */
  readonly plugins: readonly string[]
  readonly profiles: readonly Profile[]
  /** Names of what is judged by. */
  readonly standards: readonly string[]
  readonly waivers: readonly Waiver[]
  readonly parts: readonly Part[]
  /** Prefixes of case ids, clause ids. */
  readonly only: readonly string[]
  /** Prefixes of case ids, or `plugin/case`, with the reason. */
  readonly skip: readonly { readonly what: string; readonly reason: string }[]
  readonly jobs: number
  readonly seed: number
  readonly junit: string | undefined
  readonly json: string | undefined
  readonly html: string | undefined
  readonly ctrf: string | undefined
  readonly badge: string | undefined
  /** A case to run alone, with a shell in its world afterwards. */
  readonly shell: string | undefined
  /** Prints which lines of the specification are judged by what. */
  readonly coverage: boolean
  /** A SPEC.md to compare that table with. */
  readonly spec: string | undefined
  /** JSON reports of earlier runs to make reports from, instead of running anything. */
  readonly from: readonly string[]
  readonly list: boolean
  readonly quiet: boolean
}

export const USAGE = `usage: patchbay conformance --plugin-dir [NAME=]DIR... [options]

  --plugin-dir [NAME=]DIR  a directory of CNI plugins to judge; several are compared
  --reference [NAME=]DIR   one more to compare with; its findings don't decide the exit status
  --plugin NAME            only this plugin (may be repeated)
  --config FILE            configuration or profile of a plugin that the suite doesn't know: a JSON object with its type
  --profile NAME           what to judge by (may be repeated): spec-0.4, spec-1.0, spec-1.1, libcni-compat,
                           reference-keys, robustness, patchbay, or all; spec-1.1 when left out, all with --part or --only
  --part PART              protocol, behaviour, endurance or hostile (may be repeated; all when left out)
  --only PREFIX            only cases whose id, or whose clause's id, begins so (may be repeated)
  --skip ID=REASON         leave a case out (ID, or PLUGIN/ID), with a reason that is reported
  --jobs N                 cases at a time (4)
  --seed N                 of the random cases (chosen and printed when left out)
  --effort [NAME=]F        how much of endurance and hostile cases: quick (0.05), full (1), or a fraction; with the
                           name of a plugin set only there
  --waivers F              findings that are known, each with a reason and the day until which they are let pass
  --json F, --junit F, --ctrf F, --html F, --badge F   reports
  --from F                 reports from the JSON of earlier runs, without running anything (several are put together)
  --list                   clauses and cases, without running them
  --coverage [--spec F]    which lines of the specification are judged by which clauses; checked against a SPEC.md
  --shell CASE             runs one case (with --plugin) and opens a shell in its world before that is taken apart
  --quiet                  no progress
`

const many = { type: 'string', multiple: true } as const
const one = { type: 'string' } as const

const OPTIONS = {
  'plugin-dir': many,
  reference: many,
  plugin: many,
  config: many,
  part: many,
  only: many,
  skip: many,
  jobs: one,
  seed: one,
  effort: many,
  json: one,
  junit: one,
  html: one,
  ctrf: one,
  badge: one,
  profile: many,
  waivers: one,
  shell: one,
  coverage: { type: 'boolean' },
  spec: one,
  from: many,
  list: { type: 'boolean' },
  quiet: { type: 'boolean' }
} as const

/** @throws Error naming the option */
export function readOptions(argv: readonly string[]): Options {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS })
  const efforts = readEfforts(values.effort ?? [])
  const sets = (values['plugin-dir'] ?? []).map(text => pluginSet(text, false, efforts))
  for (const text of values.reference ?? []) {
    sets.push(pluginSet(text.includes('=') ? text : `reference=${text}`, true, efforts))
  }
  const profiles = (values.config ?? []).map(readProfile)
  const chosen = [...(values.part ?? []), ...(values.only ?? []), ...(values.shell === undefined ? [] : [values.shell])]
  return {
    sets,
    plugins: values.plugin ?? [],
    profiles,
    standards: readStandards(values.profile, chosen, profiles),
    waivers: values.waivers === undefined ? [] : readWaivers(values.waivers),
    parts: (values.part ?? []).flatMap(text => text.split(',')).map(asPart),
    only: values.only ?? [],
    skip: (values.skip ?? []).map(readSkip),
    jobs: wholeNumber('--jobs', values.jobs ?? '4'),
    seed: wholeNumber('--seed', values.seed ?? String(1 + (Date.now() % 1_000_000))),
    junit: values.junit,
    json: values.json,
    html: values.html,
    ctrf: values.ctrf,
    badge: values.badge,
    shell: values.shell,
    coverage: values.coverage ?? false,
    spec: values.spec,
    from: values.from ?? [],
    list: values.list ?? false,
    quiet: values.quiet ?? false
  }
}

function readSkip(text: string): { readonly what: string; readonly reason: string } {
  const at = text.indexOf('=')
  if (at < 1 || at === text.length - 1) throw new Error(`read --skip: ID=REASON expected, got ${JSON.stringify(text)}`)
  return { what: text.slice(0, at), reason: text.slice(at + 1) }
}

/** Whoever asks for a part or a case wants that judged, whatever it stands in. */
function readStandards(
  texts: readonly string[] | undefined,
  chosen: readonly string[],
  profiles: readonly Profile[]
): readonly string[] {
  const own = profiles.some(({ ownCases }) => ownCases !== undefined) ? ['own'] : []
  if (texts === undefined) return [...(chosen.length > 0 ? ALL_STANDARDS : [DEFAULT_STANDARD]), ...own]
  const names = texts.flatMap(text => text.split(',')).flatMap(text => (text === 'all' ? ALL_STANDARDS : [text]))
  const known = STANDARDS.map(({ name }) => name)
  for (const name of names) {
    if (!known.includes(name)) throw new Error(`read --profile: there is no ${name}${suggestion(name, known)}`)
  }
  return [...new Set([...names, ...own])]
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`read ${option}: a whole number from 1 expected, got ${text}`)
  return value
}

/** Of the whole run under the empty name. */
function readEfforts(texts: readonly string[]): ReadonlyMap<string, number> {
  return new Map(
    texts.map(text => {
      const at = text.lastIndexOf('=')
      return [text.slice(0, Math.max(at, 0)), fraction(text.slice(at + 1))]
    })
  )
}

const QUICK = 0.05

function fraction(text: string): number {
  const value = text === 'full' ? 1 : text === 'quick' ? QUICK : Number(text)
  if (text !== '' && value > 0 && value <= 10) return value
  throw new Error(`read --effort: quick, full or a fraction expected, got ${JSON.stringify(text)}`)
}

function pluginSet(text: string, isReference: boolean, efforts: ReadonlyMap<string, number>): PluginSet {
  const at = text.indexOf('=')
  const dir = resolve(at < 0 ? text : text.slice(at + 1))
  if (!existsSync(dir)) throw new Error(`read --plugin-dir: there is no directory ${dir}`)
  const name = at < 0 ? nameOf(dir) : text.slice(0, at)
  return { name, dir, isReference, effort: efforts.get(name) ?? efforts.get('') ?? QUICK }
}

/** `native` of dist/native/bin, `cni` of /usr/lib/cni. */
function nameOf(dir: string): string {
  return basename(dir) === 'bin' ? basename(dirname(dir)) : basename(dir)
}

function asPart(text: string): Part {
  const part = PARTS.find(name => name === text)
  if (part === undefined)
    throw new Error(`read --part: one of ${PARTS.join(', ')} expected, got ${text}${suggestion(text, PARTS)}`)
  return part
}
