/**
 * musl and the compiler's helper functions for another processor. Debian cannot install them beside this machine's own, so
 * their packages are fetched, through apt, which checks their signatures, and unpacked below .cache; of the machine nothing
 * changes.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runTool } from './native-runtime.ts'
import { type Arch, type Clang, foreignSysroot, muslLibrary } from './native-toolchain.ts'

/** As Debian names processors. */
const DEBIAN: Readonly<Record<Arch, string>> = { x64: 'amd64', arm64: 'arm64' }

/**
 * Fetches them unless they are there.
 *
 * @throws Error with what apt says
 */
export function foreignMusl(clang: Clang, arch: Arch): void {
  const sysroot = foreignSysroot(arch)
  if (existsSync(muslLibrary(sysroot, arch))) return
  process.stderr.write(`fetching musl for ${arch} ...\n`)
  const unfinished = `${sysroot}.${String(process.pid)}`
  const debs = join(unfinished, 'debs')
  mkdirSync(join(unfinished, 'lists', 'partial'), { recursive: true })
  mkdirSync(join(unfinished, 'cache', 'archives', 'partial'), { recursive: true })
  mkdirSync(debs)
  try {
    const apt = ['apt-get', '-q', ...privateState(unfinished, arch)]
    runTool('env', ['-C', debs, ...apt, 'update'])
    const names = ['musl-dev', `libclang-rt-${String(clang.major)}-dev`].map(name => `${name}:${DEBIAN[arch]}`)
    runTool('env', ['-C', debs, ...apt, 'download', ...names])
    for (const deb of readdirSync(debs)) runTool('dpkg-deb', ['--extract', join(debs, deb), join(unfinished, 'root')])
    rmSync(sysroot, { recursive: true, force: true })
    renameSync(join(unfinished, 'root'), sysroot)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
}

/** apt's lists and downloads, apart from the machine's: those know one processor only. */
function privateState(folder: string, arch: Arch): readonly string[] {
  const own = process.arch === 'arm64' ? 'arm64' : 'x64'
  const options = [
    `Dir::State::Lists=${folder}/lists`,
    `Dir::Cache=${folder}/cache`,
    'APT::Sandbox::User=root',
    `APT::Architectures::=${DEBIAN[own]}`,
    `APT::Architectures::=${DEBIAN[arch]}`
  ]
  return options.flatMap(option => ['-o', option])
}
