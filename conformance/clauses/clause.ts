/** What a clause is: one sentence that a case can judge, where it is written, and how much it binds. */
import { atLeast, VERSIONS, type Version } from '../versions.ts'

/**
 * MUST and SHOULD as in the text that the clause cites. CUSTOM: written as no duty, but programs in use depend on it.
 */
export type Level = 'MUST' | 'SHOULD' | 'CUSTOM'

/** Gravest first. */
export const LEVELS: readonly Level[] = ['MUST', 'SHOULD', 'CUSTOM']

/**
 * Where a clause is written. `spec`: SPEC.md. `libcni`: the conventions beside it, and what the library that nearly all
 * runtimes and plugins are built on does. `reference`: the documentation of the reference plugins' keys. `robustness`:
 * what hosts in production need and no text says. `ours`: what this project asks of its own plugins. `own`: cases that the
 * author of a plugin brought along.
 */
export type Source = 'spec' | 'libcni' | 'reference' | 'robustness' | 'ours' | 'own'

/** How much a clause binds in each version: a level holds from its version on, undefined means that it says nothing. */
export type Force = readonly (readonly [Version, Level | undefined])[]

export interface Clause {
  readonly id: string
  readonly source: Source
  /** Document and section. */
  readonly section: string
  /** The section on the web, of the pinned revision. */
  readonly link: string
  /** Lines of SPEC.md at the pinned revision that the clause stands for. */
  readonly lines: readonly number[]
  /** How much it binds in the newest version. */
  readonly level: Level
  /** The first version of the specification that says so. */
  readonly since: Version
  readonly force: Force
  readonly text: string
}

/** The revision of the specification that clauses cite. */
export const SPEC_REVISION = {
  tag: 'spec-v1.1.0',
  commit: 'df52e9460d3a819920b63e28c4d5d6f12bed6758',
  sha256: '6091c71b3a5a1691efbd7695f07d2b4681221c733a7bd1dd7acbbfa078b3b38a'
}

const SPEC_URL = `https://github.com/containernetworking/cni/blob/${SPEC_REVISION.tag}/SPEC.md`
const CONVENTIONS_URL = `https://github.com/containernetworking/cni/blob/${SPEC_REVISION.tag}/CONVENTIONS.md`
const LIBCNI_URL = `https://github.com/containernetworking/cni/tree/${SPEC_REVISION.tag}`

/** Sections of SPEC.md by the words that this suite uses for them, with their anchors. */
const SECTIONS = {
  Configuration: 'configuration-format',
  'Plugin configuration': 'plugin-configuration-objects',
  Versions: 'version-considerations',
  Overview: 'overview-1',
  Parameters: 'parameters',
  Errors: 'errors',
  ADD: 'add-add-container-to-network-or-apply-modifications',
  DEL: 'del-remove-container-from-network-or-un-apply-modifications',
  CHECK: 'check-check-containers-networking-is-as-expected',
  STATUS: 'status-check-plugin-status',
  VERSION: 'version-probe-plugin-version-support',
  GC: 'gc-clean-up-any-stale-resources',
  Lifecycle: 'lifecycle--ordering',
  Delegation: 'delegated-plugin-protocol',
  'Delegation procedure': 'delegated-plugin-execution-procedure',
  'ADD success': 'add-success',
  'Delegated plugins (IPAM)': 'delegated-plugins-ipam',
  'VERSION success': 'version-success',
  Error: 'error'
} as const

export type Section = keyof typeof SECTIONS

/** A line of the pinned SPEC.md on the web. */
export function lineLink(line: number): string {
  return `${SPEC_URL}?plain=1#L${line}`
}

export function forceOf(clause: Pick<Clause, 'force'>, version: Version): Level | undefined {
  return clause.force.findLast(([since]) => atLeast(version, since))?.[1]
}

function newest(force: Force): { readonly level: Level; readonly since: Version } {
  const level = force.findLast(([, one]) => one !== undefined)?.[1] ?? 'CUSTOM'
  return { level, since: force[0]?.[0] ?? VERSIONS[0] }
}

/** `MUST since 1.0.0` as a force. */
export function since(version: Version, level: Level): Force {
  return [[version, level]]
}

export function spec(id: string, force: Level | Force, at: readonly [Section, ...number[]], text: string): Clause {
  const [section, ...lines] = at
  const forces = typeof force === 'string' ? since('0.1.0', force) : force
  return {
    id,
    source: 'spec',
    section: `SPEC ${section}`,
    link: `${SPEC_URL}#${SECTIONS[section]}`,
    lines,
    ...newest(forces),
    force: forces,
    text
  }
}

export function libcni(id: string, force: Level | Force, where: string, text: string): Clause {
  const forces = typeof force === 'string' ? since('0.1.0', force) : force
  const link = where === 'CONVENTIONS' ? CONVENTIONS_URL : `${LIBCNI_URL}/${where}`
  return { id, source: 'libcni', section: where, link, lines: [], ...newest(forces), force: forces, text }
}

export function robustness(id: string, level: Level, text: string, from: Version = '0.1.0'): Clause {
  const link = 'docs/conformance.md#robustness'
  const force = since(from, level)
  return { id, source: 'robustness', section: 'Robustness', link, lines: [], ...newest(force), force, text }
}

export function ours(id: string, level: Level, text: string, from: Version = '0.1.0'): Clause {
  const link = 'docs/conformance.md#profiles'
  const force = since(from, level)
  return { id, source: 'ours', section: 'Patchbay', link, lines: [], ...newest(force), force, text }
}

const KINDS: Readonly<Record<string, string>> = {
  'host-local': 'ipam',
  static: 'ipam',
  portmap: 'meta',
  firewall: 'meta',
  tuning: 'meta',
  bandwidth: 'meta',
  sbr: 'meta',
  vrf: 'meta'
}

/** Plugins that only this project has. */
const OWN_PLUGINS = ['vxlan']

/** What the documentation of a plugin promises of a key. */
export function pluginKey(plugin: string, id: string, level: Level, text: string): Clause {
  const own = OWN_PLUGINS.includes(plugin)
  const force = since('0.3.0', level)
  return {
    id: `${plugin}.${id}`,
    source: own ? 'ours' : 'reference',
    section: `${plugin} plugin`,
    link: own
      ? `plugins/${plugin}/README.md`
      : `https://www.cni.dev/plugins/current/${KINDS[plugin] ?? 'main'}/${plugin}/`,
    lines: [],
    ...newest(force),
    force,
    text
  }
}
