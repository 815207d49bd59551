/** The executables of a release: for both processors from the source, or those of dist/ for a trial. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { foreignMusl } from '../foreign-packages.ts'
import { compileNative, compileToLlvm, inWorkshop, nativeLicenses } from '../native-engine.ts'
import { ARCHS, type Arch, type Clang, staticToolchain, type Toolchain } from '../native-toolchain.ts'
import { bundledPackages, makeNodeExecutable } from '../node-engine.ts'
import { NODE_BIN, ROOT } from '../project.ts'
import { type Component, npmComponent } from './sbom.ts'

/** The path of the bundle stays in the executable: the same one wherever the repository lies. */
const BUNDLING = '/var/tmp/patchbay-release'

/** A native executable and the licences of what is in it. */
interface Native {
  readonly file: string
  readonly licenses: string
}

export interface Built {
  readonly arch: Arch
  readonly native: Native
  readonly node: string
  /** npm packages in the Node engine. */
  readonly bundled: readonly string[]
}

/** Compiles for every processor, into a directory that is the caller's. */
export async function builtForAll(clang: Clang, workshop: string): Promise<readonly Built[]> {
  const natives = buildNatives(clang, workshop)
  const all: Built[] = []
  for (const arch of ARCHS) {
    const own = join(workshop, arch)
    mkdirSync(own)
    process.stderr.write(`building for linux ${arch} ...\n`)
    all.push(await buildFor(arch, natives[arch], own))
  }
  return all
}

/** What dist/ holds. @throws Error when that is not both engines */
export async function builtBefore(): Promise<Built> {
  const arch = ARCHS.find(one => one === process.arch)
  if (arch === undefined) throw new Error(`release: not made for ${process.arch}`)
  const file = join(ROOT, 'dist', 'native', 'patchbay-cni')
  const node = join(ROOT, 'dist', 'node', 'patchbay')
  for (const path of [file, node]) if (!existsSync(path)) throw new Error(`release: ${path} is missing: build it first`)
  const licenses = readFileSync(join(ROOT, 'dist', 'native', 'THIRD_PARTY_LICENSES'), 'utf8')
  return { arch, native: { file, licenses }, node, bundled: await bundledPackages() }
}

async function buildFor(arch: Arch, native: Native, workshop: string): Promise<Built> {
  const node = join(workshop, 'patchbay')
  const nodePath = foreignNode(arch, workshop)
  mkdirSync(BUNDLING, { mode: 0o700 })
  try {
    const script = join(BUNDLING, 'patchbay.cjs')
    const bundled = await makeNodeExecutable({ script, output: node, arch, nodePath, withCodeCache: false })
    return { arch, native, node, bundled }
  } finally {
    rmSync(BUNDLING, { recursive: true })
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
export function toolsFor(clang: Clang, arch: Arch): Toolchain {
  if (arch !== process.arch) foreignMusl(clang, arch)
  return staticToolchain(clang, arch)
}

export function componentsOfNative(): readonly Component[] {
  const shown = spawnSync('dpkg-query', ['--show', 'musl-dev'], { encoding: 'utf8' }).stdout
  const musl = shown?.trim().split('\t')[1] ?? 'unknown'
  return [
    npmComponent('@scriptc/runtime'),
    { name: 'ryu', version: 'as in @scriptc/runtime', license: 'Apache-2.0 OR BSL-1.0', purl: '' },
    { name: 'quickjs-ng libregexp', version: 'as in @scriptc/runtime', license: 'MIT', purl: '' },
    { name: 'musl', version: musl, license: 'MIT', purl: `pkg:deb/debian/musl-dev@${musl}` }
  ]
}

export function componentsOfNode({ arch, bundled }: Built): readonly Component[] {
  const node = npmComponent(`node-linux-${process.arch}`)
  const name = `node-linux-${arch}`
  return [{ ...node, name, purl: `pkg:npm/${name}@${node.version}` }, ...bundled.map(npmComponent)]
}
