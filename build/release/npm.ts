/**
 * npm packages: `patchbay`, which starts the executable that the package of this host's processor brings. npm installs the one
 * whose os and cpu are the host's; nothing is compiled or fetched by a script.
 *
 * @source npm, package.json: os, cpu, optionalDependencies
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import type { Arch } from '../native-toolchain.ts'
import { ROOT } from '../project.ts'
import type { Built } from './executables.ts'
import { type Entry, licenseTree, programTree, type Tree, text, together, writeTree } from './tree.ts'

export function npmPackage(arch: Arch): string {
  return `@patchbay/linux-${arch}`
}

/** As `npm pack` names it. */
export function npmFile(name: string, version: string): string {
  return `${name.replace('@', '').replace('/', '-')}-${version}.tgz`
}

/** The package of a processor. */
export function nativeNpmTree(built: Built, version: string): Tree {
  const manifest = {
    ...common(version),
    name: npmPackage(built.arch),
    description: `Patchbay's executables for Linux on ${built.arch}; installed by the package patchbay`,
    os: ['linux'],
    cpu: [built.arch],
    preferUnplugged: true
  }
  return together(programTree(built), documents(manifest))
}

/** The package that people install. */
export function commandNpmTree(archs: readonly Arch[], version: string): Tree {
  const manifest = {
    ...common(version),
    name: 'patchbay',
    description: 'CNI plugins for Linux, and the command that creates, connects and shows container networks',
    os: ['linux'],
    bin: { patchbay: 'bin/patchbay.cjs' },
    optionalDependencies: Object.fromEntries(archs.map(arch => [npmPackage(arch), version]))
  }
  return together(documents(manifest), new Map([['bin/patchbay.cjs', text(STARTER, 0o755)]]))
}

function common(version: string): object {
  return { version, license: 'Apache-2.0', engines: { node: '>=18' } }
}

function documents(manifest: object): Tree {
  return new Map<string, Entry>([
    ['package.json', text(`${JSON.stringify(manifest, undefined, 2)}\n`)],
    ['README.md', text(readFileSync(join(ROOT, 'README.md')))],
    ...licenseTree()
  ])
}

/**
 * Whatever ends one of the two ends the other: the signal that a service manager sends to the starter must reach the agent, and
 * a shell must see how the program ended.
 */
const STARTER = `#!/usr/bin/env node
'use strict'
const { spawn } = require('node:child_process')

function executable() {
  const name = '@patchbay/' + process.platform + '-' + process.arch
  try {
    return require.resolve(name + '/node/patchbay')
  } catch {
    process.stderr.write(
      'patchbay: the package ' + name + ' is not installed: made for linux on x64 and arm64; ' +
        'npm leaves it out with --omit=optional or --no-optional\\n'
    )
    process.exit(1)
  }
}

const child = spawn(executable(), process.argv.slice(2), { stdio: 'inherit' })
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(signal, () => child.kill(signal))
child.on('error', error => {
  process.stderr.write('patchbay: ' + error.message + '\\n')
  process.exit(1)
})
child.on('exit', (code, signal) => {
  if (signal === null) process.exit(code)
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
})
`

/** Packs a tree as npm does, which gives every member the same time. */
export function packNpm(
  tree: Tree,
  { directory, output }: { readonly directory: string; readonly output: string }
): void {
  const [stage, packed] = [join(directory, 'package'), join(directory, 'packed')]
  writeTree(tree, stage)
  mkdirSync(packed)
  const args = ['pack', '--ignore-scripts', '--loglevel=error', '--pack-destination', packed]
  const child = spawnSync('npm', args, { cwd: stage, encoding: 'utf8' })
  const [made] = readdirSync(packed)
  if (child.status !== 0 || made === undefined) throw new Error(`npm pack: ${child.error?.message ?? child.stderr}`)
  renameSync(join(packed, made), output)
}
