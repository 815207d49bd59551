/**
 * Debian packages by dpkg-deb.
 *
 * @source Debian policy 4.6: 5 (control), 6 (maintainer scripts), 12 (documentation)
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { DEBIAN_ARCHITECTURES } from '../foreign-packages.ts'
import type { Arch } from '../native-toolchain.ts'
import { ROOT } from '../project.ts'
import type { Built } from './executables.ts'
import type { SystemPackage, SystemPacking } from './system-packages.ts'
import { type Entry, type Tree, text, together, writeTree } from './tree.ts'

const MAINTAINER = 'Patchbay <patchbay@users.noreply.github.com>'

const REVISION = '1'

export function debianFile(wanted: SystemPackage, version: string, arch: Arch): string {
  return `${wanted.name}_${version}-${REVISION}_${DEBIAN_ARCHITECTURES[arch]}.deb`
}

/**
 * Makes a package.
 *
 * @param directory an empty one to work in
 */
export async function packDebian(
  wanted: SystemPackage,
  built: Built,
  { version, seconds, gzipLevel }: SystemPacking,
  { directory, output }: { readonly directory: string; readonly output: string }
): Promise<void> {
  const tree = together(
    await wanted.tree(built, 'debian'),
    documents(wanted, wanted.linked(built), { version, seconds })
  )
  const control = new Map<string, Entry>([
    ['DEBIAN/control', text(controlOf(wanted, { version, arch: built.arch, size: sizeOf(tree) }))],
    ...scriptsOf(wanted)
  ])
  writeTree(together(tree, control), directory)
  const child = spawnSync(
    'dpkg-deb',
    ['--root-owner-group', '-Zgzip', `-z${String(gzipLevel)}`, '--build', directory, output],
    {
      env: { PATH: process.env['PATH'] ?? '', SOURCE_DATE_EPOCH: String(seconds), LC_ALL: 'C' },
      encoding: 'utf8'
    }
  )
  if (child.status !== 0) throw new Error(`dpkg-deb: ${child.error?.message ?? child.stderr}`)
}

function controlOf(
  { name, summary, description, depends, standsFor }: SystemPackage,
  { version, arch, size }: { readonly version: string; readonly arch: Arch; readonly size: number }
): string {
  const others = standsFor.join(', ')
  const fields: readonly (readonly [string, string])[] = [
    ['Package', name],
    ['Version', `${version}-${REVISION}`],
    ['Architecture', DEBIAN_ARCHITECTURES[arch]],
    ['Maintainer', MAINTAINER],
    // In units of 1,024 bytes.
    ['Installed-Size', String(Math.ceil(size / 1024))],
    ['Depends', depends.debian.join(', ')],
    ['Suggests', name === 'patchbay' ? 'patchbay-cni' : 'patchbay'],
    ['Provides', others],
    ['Conflicts', others],
    ['Replaces', others],
    ['Section', 'net'],
    ['Priority', 'optional'],
    ['Description', `${summary}\n${description.map(line => ` ${line}\n`).join('')}`.trimEnd()]
  ]
  return fields.flatMap(([key, value]) => (value === '' ? [] : [`${key}: ${value}\n`])).join('')
}

function sizeOf(tree: Tree): number {
  let size = 0
  for (const entry of tree.values()) {
    if (entry.kind === 'file') size += readFileSync(entry.from).length
    if (entry.kind === 'text') size += entry.text.length
  }
  return size
}

/** What Debian wants to be told about every package. */
function documents(
  { name }: SystemPackage,
  linked: string | undefined,
  { version, seconds }: Pick<SystemPacking, 'version' | 'seconds'>
): Tree {
  const folder = `usr/share/doc/${name}`
  const date = new Date(seconds * 1000).toUTCString().replace('GMT', '+0000')
  const changes = `${name} (${version}-${REVISION}) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- ${MAINTAINER}  ${date}\n`
  const copyright = [
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/',
    'Upstream-Name: Patchbay',
    '',
    'Files: *',
    `Copyright: ${String(new Date(seconds * 1000).getUTCFullYear())} the authors of Patchbay`,
    'License: Apache-2.0',
    ' On Debian systems the whole text is in /usr/share/common-licenses/Apache-2.0.',
    ''
  ]
  const overrides = OVERRIDES[name] ?? []
  return new Map<string, Entry>([
    [`${folder}/copyright`, text(copyright.join('\n'))],
    [`${folder}/changelog.Debian.gz`, text(gzipSync(changes, { level: 9 }))],
    [`${folder}/changelog.gz`, text(gzipSync(readFileSync(join(ROOT, 'CHANGELOG.md')), { level: 9 }))],
    ...(linked === undefined ? [] : [[`${folder}/THIRD_PARTY_LICENSES`, text(linked)] as const]),
    [`usr/share/lintian/overrides/${name}`, text(overrides.map(line => `${line}\n`).join(''))]
  ])
}

/** What lintian finds and is meant to be so. */
const OVERRIDES: Readonly<Record<string, readonly string[]>> = {
  patchbay: [
    '# The plugins: one file that runs on any distribution is what it is for. A static PIE has no libraries to name.',
    'patchbay: statically-linked-binary *',
    'patchbay: shared-library-lacks-prerequisites *',
    '# Its names are links to it.',
    'patchbay: package-contains-hardlink *',
    '# A whole Node with the program at its end: stripping would cut that off, and it brings its own copies.',
    'patchbay: unstripped-binary-or-object *',
    'patchbay: embedded-library *',
    'patchbay: hardening-no-pie *',
    '# Units are not enabled here, and nothing is done where systemd does not run.',
    'patchbay: maintainer-script-calls-systemctl *',
    'patchbay: initial-upload-closes-no-bugs *'
  ],
  'patchbay-cni': [
    '# One file that runs on any distribution is what it is for. A static PIE has no libraries to name.',
    'patchbay-cni: statically-linked-binary *',
    'patchbay-cni: shared-library-lacks-prerequisites *',
    'patchbay-cni: package-contains-hardlink *',
    'patchbay-cni: initial-upload-closes-no-bugs *'
  ]
}

/** Each script does nothing where systemd does not run: in a container, or below dpkg --root. */
function scriptsOf({ scripts }: SystemPackage): readonly (readonly [string, Entry])[] {
  const onSystemd = (lines: readonly string[]): readonly string[] =>
    lines.length === 0 ? [] : ['if [ -d /run/systemd/system ]; then', ...lines.map(line => `  ${line} || :`), 'fi']
  const when = (test: string, lines: readonly string[]): readonly string[] =>
    lines.length === 0 ? [] : [`if ${test}; then`, ...lines.map(line => `  ${line}`), 'fi']
  const script = (...lines: readonly string[]): Entry => text(['#!/bin/sh', 'set -e', ...lines, ''].join('\n'), 0o755)
  const all = new Map([
    [
      'postinst',
      [
        ...when('[ "$1" = configure ]', onSystemd(scripts.installed)),
        ...when('[ "$1" = configure ] && [ -n "$2" ]', onSystemd(scripts.upgraded))
      ]
    ],
    ['prerm', when('[ "$1" = remove ]', onSystemd(scripts.removing))],
    [
      'postrm',
      [...when('[ "$1" = purge ]', scripts.purged), ...when('[ "$1" = remove ]', onSystemd(scripts.installed))]
    ]
  ])
  return [...all].flatMap(([name, lines]) =>
    lines.length === 0 ? [] : [[`DEBIAN/${name}`, script(...lines)] as const]
  )
}
