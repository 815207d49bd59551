/**
 * Debian's packages for another processor. They cannot be installed beside this machine's own, so they are fetched, through
 * apt, which checks their signatures, and unpacked below .cache; of the machine nothing changes.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runTool } from './native-runtime.ts'
import { type Arch, type Clang, foreignRoot, muslLibrary } from './native-toolchain.ts'

/** As Debian names processors. */
export const DEBIAN_ARCHITECTURES: Readonly<Record<Arch, string>> = { x64: 'amd64', arm64: 'arm64' }

/** musl and the compiler's helper functions, unless they are there. @throws Error with what apt says */
export function foreignMusl(clang: Clang, arch: Arch): void {
  const sysroot = foreignRoot(arch, 'musl')
  if (existsSync(muslLibrary(sysroot, arch))) return
  rmSync(sysroot, { recursive: true, force: true })
  foreignPackages(arch, ['musl-dev', `libclang-rt-${String(clang.major)}-dev`], sysroot)
}

/**
 * Fetches packages and unpacks them, unless the directory is there.
 *
 * @returns the directory
 * @throws Error with what apt says
 */
export function foreignPackages(arch: Arch, names: readonly string[], directory: string): string {
  if (existsSync(directory)) return directory
  process.stderr.write(`fetching ${names.join(', ')} for ${arch} ...\n`)
  const unfinished = `${directory}.${String(process.pid)}`
  const debs = join(unfinished, 'debs')
  mkdirSync(join(unfinished, 'lists', 'partial'), { recursive: true })
  mkdirSync(join(unfinished, 'cache', 'archives', 'partial'), { recursive: true })
  mkdirSync(debs)
  try {
    const apt = ['apt-get', '-q', ...privateState(unfinished, arch)]
    runTool('env', ['-C', debs, ...apt, 'update'])
    const wanted = names.map(name => `${name}:${DEBIAN_ARCHITECTURES[arch]}`)
    runTool('env', ['-C', debs, ...apt, 'download', ...wanted])
    for (const deb of readdirSync(debs)) runTool('dpkg-deb', ['--extract', join(debs, deb), join(unfinished, 'root')])
    renameSync(join(unfinished, 'root'), directory)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
  return directory
}

/** apt's lists and downloads, apart from the machine's: those know one processor only. */
function privateState(folder: string, arch: Arch): readonly string[] {
  const own = process.arch === 'arm64' ? 'arm64' : 'x64'
  const options = [
    `Dir::State::Lists=${folder}/lists`,
    `Dir::Cache=${folder}/cache`,
    'APT::Sandbox::User=root',
    `APT::Architectures::=${DEBIAN_ARCHITECTURES[own]}`,
    `APT::Architectures::=${DEBIAN_ARCHITECTURES[arch]}`
  ]
  return options.flatMap(option => ['-o', option])
}
