/** Who may import whom (DESIGN: layers), as a table and a judge of one import. Pure: the files come from check-layers.ts. */

/** A folder's rule: which of ours it may import, as path beginnings, and whether npm packages are allowed. */
interface Layer {
  /** Path beginning; `*` stands for one folder name. */
  readonly of: string
  readonly mayImport: readonly string[]
  readonly packages: boolean
}

/** What every layer above the kernel may tell apart: refusals, by their code. */
const ERRORS = ['lib/sys/errors.ts', 'lib/netlink/kernel-error.ts']
/** The kernel in the words of `ip`, `nft` and `iptables`. */
const KERNEL = ['lib/net/', 'lib/nft/', 'lib/iptables/', 'lib/firewalld/', ...ERRORS]
const CHARACTERS = 'lib/bytes/characters.ts'
/** Values and files without a kernel. */
const VALUES = [
  'lib/bytes/compare.ts',
  CHARACTERS,
  'lib/ip/',
  'lib/hash/',
  'lib/config/',
  'lib/undo.ts',
  'lib/attachment.ts',
  'lib/state/'
]

/** A rule for files whose path begins with `of`. The first that fits counts. Everything may import its own folder. */
const LAYERS: readonly Layer[] = [
  { of: 'lib/bytes/', mayImport: [], packages: false },
  { of: 'lib/ip/', mayImport: ['lib/bytes/compare.ts', CHARACTERS], packages: false },
  { of: 'lib/hash/', mayImport: [], packages: false },
  { of: 'lib/undo.', mayImport: [], packages: false },
  { of: 'lib/attachment.', mayImport: [CHARACTERS], packages: false },
  { of: 'lib/config/', mayImport: ['lib/ip/', CHARACTERS], packages: false },
  { of: 'lib/sys/', mayImport: [], packages: false },
  { of: 'lib/netlink/', mayImport: ['lib/bytes/', 'lib/ip/', 'lib/sys/'], packages: false },
  {
    of: 'lib/iptables/',
    mayImport: ['lib/attachment.ts', 'lib/config/', 'lib/ip/', 'lib/hash/', 'lib/sys/', 'lib/netlink/kernel-error.ts'],
    packages: false
  },
  {
    of: 'lib/firewalld/',
    mayImport: ['lib/bytes/', 'lib/ip/', 'lib/sys/', 'lib/netlink/kernel-error.ts'],
    packages: false
  },
  {
    of: 'lib/nft/',
    mayImport: ['lib/attachment.ts', 'lib/bytes/', 'lib/netlink/', 'lib/sys/errors.ts', 'lib/ip/', 'lib/iptables/'],
    packages: false
  },
  { of: 'lib/net/', mayImport: ['lib/netlink/', 'lib/nft/', 'lib/sys/', 'lib/ip/', 'lib/hash/'], packages: false },
  {
    of: 'lib/state/',
    mayImport: ['lib/attachment.ts', CHARACTERS, 'lib/sys/', 'lib/config/', 'lib/ip/'],
    packages: false
  },
  {
    of: 'lib/cni/',
    mayImport: ['lib/attachment.ts', CHARACTERS, 'lib/config/', 'lib/ip/', 'lib/sys/', 'lib/undo.ts'],
    packages: false
  },
  {
    of: 'lib/runtime/',
    mayImport: ['lib/attachment.ts', 'lib/cni/', 'lib/config/', 'lib/ip/', 'lib/sys/', 'lib/state/'],
    packages: true
  },
  { of: 'lib/attach/', mayImport: ['lib/cni/', ...KERNEL, ...VALUES], packages: false },
  {
    of: 'lib/overlay/',
    mayImport: ['lib/attach/', 'lib/daemon/', 'lib/cni/', ...KERNEL, ...VALUES, 'lib/sys/'],
    packages: false
  },
  {
    of: 'lib/names/',
    mayImport: ['lib/attachment.ts', 'lib/config/', 'lib/ip/', 'lib/nft/', 'lib/sys/'],
    packages: false
  },
  { of: 'lib/ranges/', mayImport: ['lib/cni/', 'lib/config/', 'lib/ip/'], packages: false },
  {
    of: 'lib/daemon/',
    mayImport: ['lib/attachment.ts', 'lib/cni/', 'lib/config/', 'lib/ip/', 'lib/sys/'],
    packages: true
  },
  { of: 'lib/view/', mayImport: ['lib/'], packages: true },
  { of: 'lib/testing/', mayImport: ['lib/'], packages: true },
  { of: 'plugins/main.ts', mayImport: ['plugins/', 'ipam/', 'lib/cni/', 'lib/net/'], packages: false },
  { of: 'plugins/registry.ts', mayImport: ['plugins/', 'ipam/', 'lib/cni/', 'lib/net/'], packages: false },
  { of: 'plugins/names.ts', mayImport: ['plugins/registry.ts', 'lib/net/'], packages: false },
  { of: 'plugins/started-as.ts', mayImport: ['plugins/names.ts'], packages: false },
  {
    of: 'plugins/start.ts',
    mayImport: ['plugins/registry.ts', 'plugins/started-as.ts', 'lib/cni/', 'lib/net/'],
    packages: false
  },
  { of: 'plugins/restore.', mayImport: ['plugins/', 'lib/attach/', 'lib/net/'], packages: false },
  { of: 'plugins/removal.', mayImport: ['plugins/', 'lib/'], packages: false },
  { of: 'plugins/gateway.', mayImport: ['plugins/', 'lib/'], packages: false },
  {
    of: 'plugins/*/',
    mayImport: ['lib/attach/', 'lib/daemon/', 'lib/names/', 'lib/overlay/', 'lib/cni/', ...KERNEL, ...VALUES],
    packages: false
  },
  {
    of: 'ipam/*/',
    mayImport: ['lib/daemon/', 'lib/overlay/', 'lib/ranges/', 'lib/cni/', ...KERNEL, ...VALUES],
    packages: false
  },
  { of: 'agent/', mayImport: ['lib/', 'plugins/restore.ts'], packages: true },
  { of: 'dhcp/', mayImport: ['lib/'], packages: true },
  {
    of: 'cli/',
    mayImport: [
      'conformance/main.ts',
      'lib/',
      'agent/',
      'dhcp/',
      'plugins/main.ts',
      'plugins/names.ts',
      'plugins/portmap/table.ts',
      'plugins/registry.ts',
      'plugins/start.ts',
      'plugins/started-as.ts'
    ],
    packages: true
  },
  { of: 'conformance/', mayImport: ['lib/runtime/', 'lib/testing/'], packages: true },
  {
    of: 'fuzz/',
    mayImport: ['lib/', 'plugins/registry.ts', 'ipam/', 'agent/', 'dhcp/', 'build/project.ts'],
    packages: true
  },
  { of: 'build/', mayImport: ['lib/', 'plugins/', 'ipam/', 'cli/', 'agent/', 'conformance/'], packages: true }
]

/** What a test may import beyond its subject's layer. conformance keeps its own rule: it must not share our arithmetic. */
const TEST_MAY_IMPORT: readonly string[] = ['lib/']

interface Place {
  readonly layer: Layer
  /** The folder (or file) the layer's beginning stands for here, such as `plugins/bridge/`. */
  readonly folder: string
}

function placeOf(path: string): Place | undefined {
  for (const layer of LAYERS) {
    const pattern = new RegExp(`^${layer.of.replaceAll('.', '\\.').replace('*', '[^/]+')}`)
    const folder = pattern.exec(path)?.[0]
    if (folder !== undefined) return { layer, folder }
  }
  return undefined
}

/** One import of a file: `target` is a path from the root for ours, else the bare specifier. */
export interface Import {
  readonly from: string
  readonly specifier: string
  readonly target: string
}

/** Why this import is not allowed, or undefined. */
export function layerProblem({ from, specifier, target }: Import): string | undefined {
  const place = placeOf(from)
  if (place === undefined) return `${from}: no layer holds this file`
  const isTest = from.endsWith('.test.ts')
  if (specifier.startsWith('node:')) return undefined
  if (specifier === '#libc') {
    return from.startsWith('lib/sys/') || isTest ? undefined : `${from}: only lib/sys may import ${specifier}`
  }
  if (!specifier.startsWith('.')) {
    return place.layer.packages || isTest ? undefined : `${from}: imports the package ${specifier}: this layer has none`
  }
  if (!specifier.endsWith('.ts')) return `${from}: imports ${specifier}: write the .ts ending`
  if (target.endsWith('.test.ts')) return `${from}: imports a test, ${target}`
  if (target.startsWith(place.folder)) return undefined
  const allowed = [...place.layer.mayImport, ...(isTest && place.layer.of !== 'conformance/' ? TEST_MAY_IMPORT : [])]
  if (!isTest && target.startsWith('lib/testing/') && !['conformance/', 'build/', 'fuzz/'].includes(place.layer.of)) {
    return `${from}: imports ${target}: only tests, conformance, fuzz and build may`
  }
  if (allowed.some(beginning => target.startsWith(beginning))) return undefined
  return `${from}: imports ${target}: ${place.layer.of} may import ${place.layer.mayImport.join(', ') || 'nothing of ours'}`
}

/** What every import and re-export of a source text names, types included. Comments do not count. */
export function specifiersOf(source: string): readonly string[] {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
  const statements = /^(?:import|export)\s(?:[^'"`;]*?\sfrom\s+)?['"]([^'"\n]+)['"]|\bimport\(\s*['"]([^'"\n]+)['"]/gm
  return [...code.matchAll(statements)].map(match => match[1] ?? match[2] ?? '')
}

/** The first cycle among files, as a path that ends where it began, or undefined. */
export function findCycle(imports: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const done = new Set<string>()
  const path: string[] = []
  function visit(file: string): readonly string[] | undefined {
    const at = path.indexOf(file)
    if (at >= 0) return [...path.slice(at), file]
    if (done.has(file)) return undefined
    path.push(file)
    for (const next of imports.get(file) ?? []) {
      const cycle = visit(next)
      if (cycle !== undefined) return cycle
    }
    path.pop()
    done.add(file)
    return undefined
  }
  for (const file of imports.keys()) {
    const cycle = visit(file)
    if (cycle !== undefined) return cycle
  }
  return undefined
}
