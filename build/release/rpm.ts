/**
 * Packages for distributions with rpm, by rpmbuild.
 *
 * @source RPM spec file format; man 5 rpm-macrofile, 8 rpmbuild
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Arch } from '../native-toolchain.ts'
import type { Built } from './executables.ts'
import type { SystemPackage, SystemPacking } from './system-packages.ts'
import { below, licenseTree, type Tree, together, writeTree } from './tree.ts'

/** As rpm names processors. */
const ARCHITECTURES: Readonly<Record<Arch, string>> = { x64: 'x86_64', arm64: 'aarch64' }

const RELEASE = '1'

export function rpmFile(wanted: SystemPackage, version: string, arch: Arch): string {
  return `${wanted.name}-${version}-${RELEASE}.${ARCHITECTURES[arch]}.rpm`
}

/** As packDebian. */
export async function packRpm(
  wanted: SystemPackage,
  built: Built,
  { version, seconds, gzipLevel }: SystemPacking,
  { directory, output }: { readonly directory: string; readonly output: string }
): Promise<void> {
  const licenses = below(`usr/share/licenses/${wanted.name}`, licenseTree(wanted.linked(built)))
  const tree = together(await wanted.tree(built, 'rpm'), licenses)
  const [root, top] = [join(directory, 'root'), join(directory, 'top')]
  writeTree(tree, root)
  mkdirSync(top)
  const spec = join(directory, `${wanted.name}.spec`)
  writeFileSync(spec, specOf(wanted, version, tree, root))
  const payload = ['--define', `_binary_payload w${String(gzipLevel)}.gzdio`]
  const defines = [...payload, '--define', `_topdir ${top}`, '--define', `_dbpath ${join(top, 'db')}`]
  const args = ['-bb', '--quiet', '--target', `${ARCHITECTURES[built.arch]}-linux`, ...defines, spec]
  const child = spawnSync('rpmbuild', args, {
    env: { PATH: process.env['PATH'] ?? '', SOURCE_DATE_EPOCH: String(seconds), LC_ALL: 'C', HOME: directory },
    encoding: 'utf8'
  })
  if (child.status !== 0) throw new Error(`rpmbuild: ${child.error?.message ?? child.stderr}`)
  const folder = join(top, 'RPMS', ARCHITECTURES[built.arch])
  const [made] = readdirSync(folder)
  if (made === undefined) throw new Error(`rpmbuild: nothing in ${folder}`)
  copyFileSync(join(folder, made), output)
}

/** Nothing is compiled, stripped or guessed: the tree is packed as it is, and the same one to the same bits. */
const MACROS = `%global debug_package %{nil}
%global __os_install_post %{nil}
%global _build_id_links none
%global _buildhost patchbay
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1
%global source_date_epoch_from_changelog 0
`

function specOf(wanted: SystemPackage, version: string, tree: Tree, root: string): string {
  const { name, summary, description, depends, standsFor, scripts } = wanted
  const requires = depends.rpm.map(one => `Requires: ${one}\n`)
  const others = standsFor.flatMap(one => [`Provides: ${one}\n`, `Conflicts: ${one}\n`])
  return [
    MACROS,
    `Name: ${name}\nVersion: ${version}\nRelease: ${RELEASE}\nSummary: ${summary}\nLicense: Apache-2.0\n`,
    ...['AutoReqProv: no\n', ...requires, ...others],
    `\n%description\n${description.join('\n')}\n`,
    `\n%install\nmkdir -p %{buildroot}\ncp -a ${root}/. %{buildroot}\n`,
    script('post', '-ge 1', scripts.installed),
    // $1 counts the versions that will be there.
    script('posttrans', '-ge 1', scripts.upgraded),
    script('preun', '-eq 0', scripts.removing),
    script('postun', '-eq 0', scripts.installed),
    `\n%files\n${filesOf(tree)}`
  ].join('')
}

/** @param count a condition on how many versions of the package there will be */
function script(name: string, count: string, lines: readonly string[]): string {
  if (lines.length === 0) return ''
  const body = lines.map(line => `  ${line} || :\n`).join('')
  const counted = name === 'posttrans' ? '' : ` && [ "$1" ${count} ]`
  return `\n%${name}\nif [ -d /run/systemd/system ]${counted}; then\n${body}fi\n`
}

function filesOf(tree: Tree): string {
  const own = new Set(
    [...tree.keys()].map(path => /^(usr\/lib\/patchbay|usr\/share\/licenses\/[^/]+)\//.exec(path)?.[1] ?? '')
  )
  const directories = [...own].filter(path => path !== '').map(path => `%dir /${path}\n`)
  const files = [...tree].map(([path, entry]) => {
    const mode = entry.kind === 'file' || entry.kind === 'text' ? entry.mode.toString(8).padStart(4, '0') : '-'
    return `%attr(${mode}, root, root) "/${path}"\n`
  })
  return [...directories, ...files].join('')
}
