/** The compilers of the native engine, the C library it is linked with, and what to install when one is missing. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, realpathSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { ROOT } from './project.ts'

/** The oldest clang that reads the code scriptc makes (opaque pointers). */
const OLDEST_CLANG = 15

export const CLANG_ADVICE =
  'install clang 15 or newer (Debian, Ubuntu: apt-get install clang-19 lld-19 musl-dev), or set CLANG to its path'

/** A clang that is new enough. */
export interface Clang {
  readonly path: string
  /** Its first line of --version. */
  readonly version: string
  readonly major: number
}

/** Finds a usable clang: $CLANG, then `clang`, then the highest `clang-N` of PATH. */
export function findClang(env: NodeJS.ProcessEnv = process.env): Clang | undefined {
  const folders = (env['PATH'] ?? '').split(delimiter).filter(folder => folder !== '')
  const numbered: { readonly path: string; readonly major: number }[] = []
  for (const folder of folders.filter(existsSync)) {
    for (const name of readdirSync(folder)) {
      const match = /^clang-([0-9]+)$/.exec(name)
      if (match !== null) numbered.push({ path: join(folder, name), major: Number(match[1]) })
    }
  }
  numbered.sort((a, b) => b.major - a.major)
  const asked = env['CLANG']
  const candidates = asked !== undefined && asked !== '' ? [asked] : ['clang', ...numbered.map(({ path }) => path)]
  for (const candidate of candidates) {
    const path = candidate.includes('/') ? candidate : folders.map(f => join(f, candidate)).find(existsSync)
    if (path === undefined) continue
    const { stdout, status } = spawnSync(path, ['--version'], { encoding: 'utf8' })
    if (status !== 0) continue
    const version = stdout.split('\n')[0] ?? ''
    const major = Number(/clang version ([0-9]+)\./.exec(version)?.[1])
    if (major >= OLDEST_CLANG) return { path, version, major }
  }
  return undefined
}

/** The environment in which scriptc finds this clang: it looks for the bare name `clang` in PATH. */
export function clangEnvironment(clang: Clang): NodeJS.ProcessEnv {
  const folder = join(ROOT, '.cache', 'clang')
  mkdirSync(folder, { recursive: true })
  const fresh = join(folder, `.clang.${process.pid}`)
  rmSync(fresh, { force: true })
  symlinkSync(clang.path, fresh)
  renameSync(fresh, join(folder, 'clang'))
  return { ...process.env, PATH: `${folder}${delimiter}${process.env['PATH'] ?? ''}` }
}

export type Arch = 'x64' | 'arm64'

export const ARCHS: readonly Arch[] = ['x64', 'arm64']

/**
 * `musl`: the released form, one static file that needs nothing of the host. `glibc`: linked to the host's own libc, for
 * machines that lack musl or lld.
 */
type Libc = 'musl' | 'glibc'

/** What an executable is made with. */
export interface Toolchain {
  readonly clang: Clang
  readonly arch: Arch
  readonly libc: Libc
  /** As clang names it. */
  readonly triple: string
  /** LLVM's own linker, of clang's version: only it reads what clang leaves for optimization across files. '' for glibc. */
  readonly linker: string
  /** Of musl: `usr/lib/<triple>` and `usr/include/<triple>` lie below it. */
  readonly sysroot: string
  /** The compiler's helper functions, a library; '' for glibc. */
  readonly builtins: string
  /** Whether the names of functions stay in the file, for who looks at how it runs. */
  readonly keepsNames?: boolean
}

const PROCESSORS: Readonly<Record<Arch, string>> = { x64: 'x86_64', arm64: 'aarch64' }

/** Where a C library for another processor is unpacked, since Debian's cannot be installed beside this one's. */
export function foreignRoot(arch: Arch, libc: Libc): string {
  return join(ROOT, '.cache', libc, arch)
}

/** What the static form needs beside clang, as an advice; undefined when it is all there. */
export function staticObstacle(clang: Clang): string | undefined {
  const missing: string[] = []
  if (!existsSync(muslLibrary('', 'x64')) && !existsSync(muslLibrary('', 'arm64'))) missing.push('musl-dev')
  if (findLinker(clang) === undefined) missing.push(`lld-${String(clang.major)}`)
  return missing.length === 0 ? undefined : `apt-get install ${missing.join(' ')}`
}

/**
 * The tools for a static executable.
 *
 * @throws Error saying what to install
 */
export function staticToolchain(clang: Clang, arch: Arch): Toolchain {
  const linker = findLinker(clang)
  const sysroot = ['', foreignRoot(arch, 'musl')].find(root => existsSync(muslLibrary(root, arch)))
  if (linker !== undefined && sysroot !== undefined) {
    const triple = `${PROCESSORS[arch]}-linux-musl`
    return { clang, arch, libc: 'musl', triple, linker, sysroot, builtins: builtinsOf(clang, arch, sysroot) }
  }
  throw new Error(`link the native engine statically for ${arch}: ${staticObstacle(clang) ?? 'its musl is missing'}`)
}

/** The tools for an executable of this machine. */
export function dynamicToolchain(clang: Clang): Toolchain {
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64'
  return { clang, arch, libc: 'glibc', triple: `${PROCESSORS[arch]}-linux-gnu`, linker: '', sysroot: '', builtins: '' }
}

/** musl's libc.a. Everything else of musl that is linked lies beside it. */
export function muslLibrary(sysroot: string, arch: Arch): string {
  return `${sysroot}/usr/lib/${PROCESSORS[arch]}-linux-musl/libc.a`
}

/** Numbers of 128 bits and their arithmetic, which printf needs, are functions of the compiler: for this machine gcc's. */
function builtinsOf({ path, major }: Clang, arch: Arch, sysroot: string): string {
  if (sysroot === '') return spawnSync(path, ['-print-libgcc-file-name'], { encoding: 'utf8' }).stdout.trim()
  const version = String(major)
  return `${sysroot}/usr/lib/llvm-${version}/lib/clang/${version}/lib/linux/libclang_rt.builtins-${PROCESSORS[arch]}.a`
}

function findLinker(clang: Clang): string | undefined {
  const home = dirname(realpathSync(clang.path))
  const candidates = [join(home, 'ld.lld'), `/usr/bin/ld.lld-${String(clang.major)}`, '/usr/bin/ld.lld']
  return candidates.find(path => {
    if (!existsSync(path)) return false
    const { stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' })
    return stdout.includes(`LLD ${String(clang.major)}.`)
  })
}
