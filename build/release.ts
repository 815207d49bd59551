/**
 * `npm run release`: archives for linux x64 and arm64, their checksums and their bill of materials, in dist/release.
 *
 *     npm run release -- [--allow-changes] [--from-dist] [--output DIR]
 *
 * The same commit gives the same bits, wherever and whenever it is built with the same clang and cross tools.
 * --from-dist: in seconds, of this processor's executables in dist/ as they are: to try the packing, not to be published.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { GRAMMAR } from '../cli/command-line.ts'
import { COMPLETIONS } from '../cli/completion-scripts.ts'
import { pages } from '../cli/man.ts'
import { pack, sha256 } from './archive.ts'
import { licensesOf } from './licenses.ts'
import { compileNative, compileToLlvm, inWorkshop, nativeLicenses } from './native-engine.ts'
import { foreignMusl } from './native-musl.ts'
import {
  ARCHS,
  type Arch,
  CLANG_ADVICE,
  type Clang,
  findClang,
  staticObstacle,
  staticToolchain,
  type Toolchain
} from './native-toolchain.ts'
import { bundledPackages, makeNodeExecutable } from './node-engine.ts'
import { NODE_BIN, pluginFolders, ROOT } from './project.ts'
import { billOfMaterials, type Component, npmComponent, type Released } from './sbom.ts'

/** The path of the bundle stays in the executable: the same one wherever the repository lies. */
const BUNDLING = '/var/tmp/patchbay-release'

/** What everybody needs who unpacks an archive. */
const DOCUMENTS: readonly string[] = ['LICENSE', 'CHANGELOG.md', 'README.md']

function git(...args: readonly string[]): string {
  const child = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' })
  if (child.status !== 0) throw new Error(`git ${args.join(' ')}: ${child.error?.message ?? child.stderr.trim()}`)
  return child.stdout.trim()
}

/** @throws Error saying what must be done first */
function checkReady(version: string, allowChanges: boolean): Clang {
  const clang = findClang()
  if (clang === undefined) throw new Error(`release: ${CLANG_ADVICE}`)
  if (process.arch !== 'x64') throw new Error('release: made on x64, from which arm64 is cross-compiled')
  const obstacle = staticObstacle(clang)
  if (obstacle !== undefined) throw new Error(`release: ${obstacle}`)
  if (!allowChanges && git('status', '--porcelain') !== '') {
    throw new Error('release: there are uncommitted changes: commit them, or try it out with --allow-changes')
  }
  checkChangelog(version)
  return clang
}

function checkChangelog(version: string): void {
  const heading = new RegExp(`^## (${version.replaceAll('.', '\\.')}\\b|Unreleased)`, 'm')
  if (!heading.test(readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8'))) {
    throw new Error(`release: CHANGELOG.md has no heading "## ${version}"`)
  }
}

/** The Node of another processor: exactly the lock file's, taken by npm, which checks its digest. */
function foreignNode(arch: Arch, workshop: string): string {
  if (arch === process.arch) return NODE_BIN
  const name = `node-linux-${arch}`
  const entry = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).packages[`node_modules/${name}`]
  if (entry?.integrity === undefined) throw new Error(`release: package-lock.json has no digest of ${name}`)
  const manifest = { name: 'base', version: '0.0.0', dependencies: { [name]: entry.version } }
  const { optional: _, ...locked } = entry
  const packages = { '': manifest, [`node_modules/${name}`]: locked }
  writeFileSync(join(workshop, 'package.json'), JSON.stringify(manifest))
  const lock = { name: 'base', version: '0.0.0', lockfileVersion: 3, requires: true, packages }
  writeFileSync(join(workshop, 'package-lock.json'), JSON.stringify(lock))
  const args = ['ci', '--force', '--os=linux', `--cpu=${arch}`, '--ignore-scripts', '--no-audit', '--no-fund']
  const child = spawnSync('npm', [...args, '--loglevel=error'], { cwd: workshop, encoding: 'utf8' })
  const path = join(workshop, 'node_modules', name, 'bin', 'node')
  if (child.status !== 0 || !existsSync(path)) throw new Error(`npm ci of ${name}: ${child.stderr}`)
  return path
}

/** A native executable and the licences of what is in it. */
interface Native {
  readonly file: string
  readonly licenses: string
}

interface Built {
  readonly native: Native
  readonly node: string
  /** npm packages in the Node engine. */
  readonly bundled: readonly string[]
}

async function buildFor(arch: Arch, native: Native, workshop: string): Promise<Built> {
  process.stderr.write(`building for linux ${arch} ...\n`)
  const node = join(workshop, 'patchbay')
  const nodePath = foreignNode(arch, workshop)
  mkdirSync(BUNDLING, { mode: 0o700 })
  try {
    const script = join(BUNDLING, 'patchbay.cjs')
    const bundled = await makeNodeExecutable({ script, output: node, arch, nodePath, useCodeCache: false })
    return { native, node, bundled }
  } finally {
    rmSync(BUNDLING, { recursive: true })
  }
}

/** The plugins alone, as the reference's archives hold them: to be unpacked into a directory of plugins. */
function stagePlugins(built: Built, stage: string): void {
  const multiCall = join(stage, 'patchbay-cni')
  place(built.native.file, multiCall)
  for (const { name } of pluginFolders()) linkSync(multiCall, join(stage, name))
  writeFileSync(join(stage, 'THIRD_PARTY_LICENSES'), built.native.licenses)
  copyFileSync(join(ROOT, 'LICENSE'), join(stage, 'LICENSE'))
}

/** The command with both engines: `patchbay install` finds the plugins beside itself. */
async function stageEverything(built: Built, stage: string): Promise<void> {
  for (const folder of ['node', 'native']) mkdirSync(join(stage, folder))
  place(built.node, join(stage, 'node', 'patchbay'))
  place(built.native.file, join(stage, 'native', 'patchbay-cni'))
  const nodePackages = [`node-linux-${process.arch}`, ...built.bundled]
  writeFileSync(join(stage, 'node', 'THIRD_PARTY_LICENSES'), licensesOf(nodePackages))
  writeFileSync(join(stage, 'native', 'THIRD_PARTY_LICENSES'), built.native.licenses)
  for (const name of DOCUMENTS) if (existsSync(join(ROOT, name))) copyFileSync(join(ROOT, name), join(stage, name))
  cpSync(join(ROOT, 'docs'), join(stage, 'docs'), { recursive: true })
  await stageHelp(join(stage, 'share'))
}

/** Manual pages and completion where man and the shells look for them below a prefix such as /usr/local. */
async function stageHelp(share: string): Promise<void> {
  const files = new Map([...(await pages(GRAMMAR))].map(([name, text]) => [`man/man1/${name}`, text]))
  for (const { path, text } of COMPLETIONS.values()) files.set(path, text)
  for (const [path, text] of files) {
    mkdirSync(dirname(join(share, path)), { recursive: true })
    writeFileSync(join(share, path), text, { mode: 0o644 })
  }
}

function place(file: string, path: string): void {
  copyFileSync(file, path)
  chmodSync(path, 0o755)
}

function componentsOfNative(): readonly Component[] {
  const shown = spawnSync('dpkg-query', ['--show', 'musl-dev'], { encoding: 'utf8' }).stdout
  const musl = shown?.trim().split('\t')[1] ?? 'unknown'
  return [
    npmComponent('@scriptc/runtime'),
    { name: 'ryu', version: 'as in @scriptc/runtime', license: 'Apache-2.0 OR BSL-1.0', purl: '' },
    { name: 'quickjs-ng libregexp', version: 'as in @scriptc/runtime', license: 'MIT', purl: '' },
    { name: 'musl', version: musl, license: 'MIT', purl: `pkg:deb/debian/musl-dev@${musl}` }
  ]
}

function componentsOfNode(arch: Arch, bundled: readonly string[]): readonly Component[] {
  const node = npmComponent(`node-linux-${process.arch}`)
  const name = `node-linux-${arch}`
  return [{ ...node, name, purl: `pkg:npm/${name}@${node.version}` }, ...bundled.map(npmComponent)]
}

interface Target {
  readonly version: string
  readonly output: string
  /** The time of everything in the archives, since 1970. */
  readonly seconds: number
}

interface Archive {
  readonly file: string
  /** The folder that everything in it is below; '' for none. */
  readonly prefix: string
  readonly components: readonly Component[]
  /** Puts what goes into it into a directory. */
  readonly stage: (directory: string) => void | Promise<void>
}

async function release({ output, seconds }: Target, { file, prefix, components, stage }: Archive): Promise<Released> {
  const directory = mkdtempSync(join(ROOT, '.cache', 'release-'))
  try {
    await stage(directory)
    pack(directory, join(output, file), seconds, prefix)
  } finally {
    rmSync(directory, { recursive: true })
  }
  return { file, sha256: sha256(join(output, file)), components }
}

/** Both archives of a processor. */
async function releaseFor(arch: Arch, built: Built, target: Target): Promise<readonly Released[]> {
  const native = componentsOfNative()
  const suffix = `${target.version}-linux-${arch}`
  const full = `patchbay-${suffix}`
  return [
    await release(target, {
      file: `patchbay-plugins-${suffix}.tar.gz`,
      prefix: '',
      components: native,
      stage: directory => stagePlugins(built, directory)
    }),
    await release(target, {
      file: `${full}.tar.gz`,
      prefix: full,
      components: [...native, ...componentsOfNode(arch, built.bundled)],
      stage: directory => stageEverything(built, directory)
    })
  ]
}

async function main(argv: readonly string[]): Promise<void> {
  const options = {
    'allow-changes': { type: 'boolean' },
    'from-dist': { type: 'boolean' },
    output: { type: 'string' }
  } as const
  const { values } = parseArgs({ args: [...argv], options })
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const isTrial = values['from-dist'] === true
  const clang = isTrial ? undefined : checkReady(version, values['allow-changes'] === true)
  const output = resolve(values.output ?? join(ROOT, 'dist', isTrial ? 'release-trial' : 'release'))
  const target = { version, output, seconds: Number(git('log', '-1', '--format=%ct')) }
  rmSync(output, { recursive: true, force: true })
  mkdirSync(output, { recursive: true })
  mkdirSync(join(ROOT, '.cache'), { recursive: true })
  const released = clang === undefined ? await releaseFromDist(target) : await releaseAll(clang, target)
  writeBill(target, released)
  const files = readdirSync(output).sort()
  writeFileSync(join(output, 'SHA256SUMS'), files.map(file => `${sha256(join(output, file))}  ${file}\n`).join(''))
  process.stdout.write(readFileSync(join(output, 'SHA256SUMS'), 'utf8'))
}

async function releaseAll(clang: Clang, target: Target): Promise<readonly Released[]> {
  const workshop = mkdtempSync(join(ROOT, '.cache', 'release-'))
  const released: Released[] = []
  try {
    const natives = buildNatives(clang, workshop)
    for (const arch of ARCHS) {
      const own = join(workshop, arch)
      mkdirSync(own)
      released.push(...(await releaseFor(arch, await buildFor(arch, natives[arch], own), target)))
    }
  } finally {
    rmSync(workshop, { recursive: true, force: true })
  }
  return released
}

async function releaseFromDist(target: Target): Promise<readonly Released[]> {
  const arch = ARCHS.find(one => one === process.arch)
  if (arch === undefined) throw new Error(`release: not made for ${process.arch}`)
  checkChangelog(target.version)
  const native = join(ROOT, 'dist', 'native', 'patchbay-cni')
  const node = join(ROOT, 'dist', 'node', 'patchbay')
  for (const path of [native, node])
    if (!existsSync(path)) throw new Error(`release: ${path} is missing: build it first`)
  const licenses = readFileSync(join(ROOT, 'dist', 'native', 'THIRD_PARTY_LICENSES'), 'utf8')
  return releaseFor(arch, { native: { file: native, licenses }, node, bundled: await bundledPackages() }, target)
}

function writeBill({ version, output, seconds }: Target, released: readonly Released[]): void {
  const bill = billOfMaterials(version, seconds * 1000, released)
  writeFileSync(join(output, `patchbay-${version}.cdx.json`), `${JSON.stringify(bill, undefined, 2)}\n`)
}

/** The native executables of all processors: one LLVM text, compiled for each. */
function buildNatives(clang: Clang, workshop: string): Readonly<Record<Arch, Native>> {
  return inWorkshop(own => {
    process.stderr.write('compiling the plugins ...\n')
    const program = compileToLlvm(join(own, 'main.ll'))
    const linked = (arch: Arch): Native => {
      process.stderr.write(`linking the plugins for ${arch} ...\n`)
      const file = join(workshop, `native-${arch}`)
      const tools = toolsFor(clang, arch)
      compileNative(tools, program, file)
      return { file, licenses: nativeLicenses(tools) }
    }
    return { x64: linked('x64'), arm64: linked('arm64') }
  })
}

/** The C library of another processor is fetched when it is not there. */
function toolsFor(clang: Clang, arch: Arch): Toolchain {
  if (arch !== process.arch) foreignMusl(clang, arch)
  return staticToolchain(clang, arch)
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
