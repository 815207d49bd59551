/** What a release consists of: the one table of its files. */

import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { constants } from 'node:zlib'
import { ROOT } from '../project.ts'
import { pack, sha256 } from './archive.ts'
import { debianFile, packDebian } from './debian.ts'
import { type Built, componentsOfNative, componentsOfNode } from './executables.ts'
import { componentsOfImage, packImage } from './image.ts'
import { commandNpmTree, nativeNpmTree, npmFile, npmPackage, packNpm } from './npm.ts'
import { packRpm, rpmFile } from './rpm.ts'
import type { Component, Released } from './sbom.ts'
import { SYSTEM_PACKAGES } from './system-packages.ts'
import {
  below,
  documentTree,
  helpTree,
  licenseTree,
  pluginTree,
  programTree,
  type Tree,
  together,
  writeTree
} from './tree.ts'

export interface Target {
  readonly version: string
  readonly output: string
  /** The time of everything in the files, since 1970. */
  readonly seconds: number
  /** A trial is packed in a tenth of the time. */
  readonly isTrial: boolean
}

/** What `--only` names: a kind of file, or a package of distributions in all its kinds. */
export const FORMS = ['plugins', 'archive', 'npm', 'deb', 'rpm', 'image', ...SYSTEM_PACKAGES.map(one => one.name)]

interface Form {
  readonly name: string
  /** Of packages of distributions. */
  readonly package?: string
  readonly file: string
  readonly components: readonly Component[]
  /** @param directory an empty one to work in */
  readonly pack: (directory: string, output: string) => void | Promise<void>
}

/** All files of a release, of the executables that there are. */
function formsOf(all: readonly Built[], target: Target): readonly Form[] {
  const { version, seconds, isTrial } = target
  const gzipLevel = isTrial ? constants.Z_BEST_SPEED : constants.Z_BEST_COMPRESSION
  const archs = all.map(built => built.arch)
  return [
    ...all.flatMap(built => formsOfProcessor(built, target, gzipLevel)),
    {
      name: 'npm',
      file: npmFile('patchbay', version),
      components: [],
      pack: (directory, output) => packNpm(commandNpmTree(archs, version), { directory, output })
    },
    {
      name: 'image',
      file: `patchbay-${version}.oci.tar`,
      components: [...componentsOfNative(), ...all.flatMap(componentsOfNode), ...componentsOfImage()],
      pack: (directory, output) => packImage(all, { version, seconds, gzipLevel }, { directory, output })
    }
  ]
}

function formsOfProcessor(built: Built, target: Target, gzipLevel: number): readonly Form[] {
  const { arch } = built
  const { version, seconds } = target
  const packing = { version, seconds, gzipLevel }
  const native = componentsOfNative()
  const everything = [...native, ...componentsOfNode(built)]
  const archive = (tree: () => Tree | Promise<Tree>, prefix: string): Form['pack'] => {
    return async (directory, output) => {
      writeTree(await tree(), directory)
      pack(directory, output, { seconds, prefix }, gzipLevel)
    }
  }
  const full = `patchbay-${version}-linux-${arch}`
  const plugins = (): Tree => together(pluginTree(built), licenseTree(built.native.licenses))
  const whole = async (): Promise<Tree> =>
    together(programTree(built), documentTree(), below('share', await helpTree('plain')))
  return [
    {
      ...{ name: 'plugins', file: `patchbay-plugins-${version}-linux-${arch}.tar.gz`, components: native },
      pack: archive(plugins, '')
    },
    { name: 'archive', file: `${full}.tar.gz`, components: everything, pack: archive(whole, full) },
    {
      ...{ name: 'npm', file: npmFile(npmPackage(arch), version), components: everything },
      pack: (directory, output) => packNpm(nativeNpmTree(built, version), { directory, output })
    },
    ...SYSTEM_PACKAGES.flatMap((one): readonly Form[] => {
      const components = one.name === 'patchbay' ? everything : native
      return [
        {
          ...{ name: 'deb', package: one.name, file: debianFile(one, version, arch), components },
          pack: (directory, output) => packDebian(one, built, packing, { directory, output })
        },
        {
          ...{ name: 'rpm', package: one.name, file: rpmFile(one, version, arch), components },
          pack: (directory, output) => packRpm(one, built, packing, { directory, output })
        }
      ]
    })
  ]
}

/**
 * Packs a release.
 *
 * @param only of FORMS; all when it is empty
 */
export async function packAll(
  all: readonly Built[],
  target: Target,
  only: readonly string[]
): Promise<readonly Released[]> {
  const released: Released[] = []
  for (const form of formsOf(all, target)) {
    if (only.length > 0 && !only.includes(form.name) && !only.includes(form.package ?? '')) continue
    process.stderr.write(`packing ${form.file} ...\n`)
    const directory = mkdtempSync(join(ROOT, '.cache', 'release-'))
    const output = join(target.output, form.file)
    try {
      await form.pack(directory, output)
    } finally {
      rmSync(directory, { recursive: true })
    }
    released.push({ file: form.file, sha256: sha256(output), components: form.components })
  }
  return released
}
