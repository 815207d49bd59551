/**
 * The container image: the command, both engines, and the shared libraries that Node needs, with nothing else: no shell, no package
 * manager. `install` puts plugins into a directory of the host, `agent` serves it.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { LAYOUT_MEMBERS, type OciImage, writeImageLayout } from '../../lib/runtime/oci-image.ts'
import { foreignPackages } from '../foreign-packages.ts'
import { type Arch, foreignRoot } from '../native-toolchain.ts'
import { packPlain } from './archive.ts'
import type { Built } from './executables.ts'
import type { Component } from './sbom.ts'
import { type Entry, programTree, systemTree, type Tree, together, writeTree } from './tree.ts'

interface Libraries {
  /** Debian's name of the processor's folder. */
  readonly triplet: string
  /** Path of the program interpreter, which executables name. */
  readonly loader: string
}

const LIBRARIES: Readonly<Record<Arch, Libraries>> = {
  x64: { triplet: 'x86_64-linux-gnu', loader: 'lib64/ld-linux-x86-64.so.2' },
  arm64: { triplet: 'aarch64-linux-gnu', loader: 'lib/ld-linux-aarch64.so.1' }
}

/** What Node's executable needs of a system: Debian's packages, each with its libraries and licence. */
const PACKAGES: readonly { readonly name: string; readonly license: string; readonly files: readonly string[] }[] = [
  {
    name: 'libc6',
    license: 'LGPL-2.1-or-later',
    files: ['libc.so.6', 'libm.so.6', 'libdl.so.2', 'libpthread.so.0']
  },
  { name: 'libgcc-s1', license: 'GPL-3.0-or-later WITH GCC-exception-3.1', files: ['libgcc_s.so.1'] },
  { name: 'libstdc++6', license: 'GPL-3.0-or-later WITH GCC-exception-3.1', files: ['libstdc++.so.6'] },
  { name: 'libatomic1', license: 'GPL-3.0-or-later WITH GCC-exception-3.1', files: ['libatomic.so.1'] }
]

function imageName(version: string): string {
  return `localhost/patchbay:${version}`
}

export function componentsOfImage(): readonly Component[] {
  return PACKAGES.map(({ name, license }) => {
    const shown = spawnSync('dpkg-query', ['--show', name], { encoding: 'utf8' }).stdout
    const known = shown?.trim().split('\t')[1] ?? 'unknown'
    return { name, version: known, license, purl: `pkg:deb/debian/${name}@${known}` }
  })
}

/** Packs an image of all processors that were built for, as `docker load`, `podman load` and `ctr images import` take it. */
export function packImage(
  all: readonly Built[],
  { version, seconds, gzipLevel }: { readonly version: string; readonly seconds: number; readonly gzipLevel: number },
  { directory, output }: { readonly directory: string; readonly output: string }
): void {
  const images = all.map((built): OciImage => {
    const root = join(directory, built.arch)
    writeTree(imageTree(built), root)
    const layer = join(directory, `${built.arch}.tar`)
    packPlain(root, layer, { seconds })
    return {
      ...{ arch: built.arch, layer, gzipLevel, created: seconds, createdBy: 'patchbay release' },
      config: {
        Entrypoint: ['/usr/bin/patchbay'],
        Cmd: ['--help'],
        Env: ['PATH=/usr/bin'],
        WorkingDir: '/',
        Labels: {
          'org.opencontainers.image.title': 'patchbay',
          'org.opencontainers.image.version': version,
          'org.opencontainers.image.licenses': 'Apache-2.0'
        }
      }
    }
  })
  const layout = join(directory, 'layout')
  mkdirSync(layout)
  writeImageLayout(layout, imageName(version), images)
  packPlain(layout, output, { seconds, members: LAYOUT_MEMBERS })
}

function imageTree(built: Built): Tree {
  return together(systemTree(programTree(built)), librariesOf(built.arch))
}

/** Libraries, of this machine or of Debian's packages where it is another processor's, and their licences, the same for both. */
function librariesOf(arch: Arch): Tree {
  const { triplet, loader } = LIBRARIES[arch]
  const names = PACKAGES.map(one => one.name)
  const root = arch === process.arch ? '/' : foreignPackages(arch, names, foreignRoot(arch, 'glibc'))
  const file = (path: string, from: string, mode: number): [string, Entry] => [path, { kind: 'file', from, mode }]
  return new Map([
    file(loader, found(root, triplet, basename(loader)), 0o755),
    ...PACKAGES.flatMap(one => one.files).map(name =>
      file(`lib/${triplet}/${name}`, found(root, triplet, name), 0o644)
    ),
    ...names.map(name => file(`usr/share/doc/${name}/copyright`, copyrightOf(name), 0o644))
  ])
}

function found(root: string, triplet: string, name: string): string {
  const places = [`lib/${triplet}`, `usr/lib/${triplet}`, 'lib', 'lib64'].map(folder => join(root, folder, name))
  const path = places.find(place => existsSync(place))
  if (path === undefined) throw new Error(`release: ${name} is in none of ${places.join(', ')}`)
  return realpathSync(path)
}

function copyrightOf(name: string): string {
  const path = join('/usr/share/doc', name, 'copyright')
  if (!existsSync(path)) throw new Error(`release: ${path} is missing: the image is made on Debian`)
  return realpathSync(path)
}
