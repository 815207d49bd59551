/** Builds dist/native: the plugins compiled to machine code by scriptc through clang. */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { inputsDigest, isUpToDate, publish, unfinished } from './executables.ts'
import { licensesOf } from './licenses.ts'
import { withProgress } from './progress.ts'
import { entryPoint, ROOT } from './project.ts'

/** The oldest clang that reads the code scriptc makes (opaque pointers). */
const OLDEST_CLANG = 15

export const CLANG_ADVICE =
  'install clang 15 or newer (Debian, Ubuntu: apt-get install clang-19), or set CLANG to its path'

/** What ends up in the executable beside our own code: scriptc's runtime with the number printing and regular expressions in it. */
export const LINKED: readonly string[] = [
  'scriptc',
  '@scriptc/runtime',
  '@scriptc/runtime/vendor/ryu',
  '@scriptc/runtime/vendor/quickjs-ng'
]

/** A clang that is new enough. */
export interface Clang {
  readonly path: string
  /** Its first line of --version. */
  readonly version: string
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
    if (major >= OLDEST_CLANG) return { path, version }
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

/**
 * How the program is compiled from the LLVM text that scriptc leaves, for any processor: functions that turned out the same
 * become one, and what several branches begin or end with stands there once.
 */
export const PROGRAM_SWITCHES: readonly string[] = [
  '-Oz',
  '-fPIC',
  '-ffunction-sections',
  '-fdata-sections',
  '-fno-asynchronous-unwind-tables',
  '-Xclang',
  '-fmerge-functions',
  '-mllvm',
  '-inline-threshold=-50',
  '-mllvm',
  '-hoist-common-insts',
  '-mllvm',
  '-sink-common-insts',
  '-mllvm',
  '-enable-machine-outliner=always',
  '-Wno-override-module'
]

/**
 * Small zeroed memory comes from where freed memory goes: glibc keeps what is freed in a cache for each thread, from
 * which its `malloc` takes, but until 2.41 not its `calloc`, by which the runtime makes every object. The linker
 * puts this in the place of calloc; sizes that a start seldom asks for go to the C library's own.
 */
const CACHED_CALLOC = `
define ptr @__wrap_calloc(i64 %count, i64 %size) "no-builtins" {
  %either = or i64 %count, %size
  %product = mul i64 %count, %size
  %are_small = icmp ult i64 %either, 1024
  %is_small = icmp ult i64 %product, 1024
  %use_cache = and i1 %are_small, %is_small
  br i1 %use_cache, label %cached, label %plain
cached:
  %memory = call ptr @malloc(i64 %product)
  %is_there = icmp ne ptr %memory, null
  br i1 %is_there, label %clear, label %done
clear:
  call void @llvm.memset.p0.i64(ptr %memory, i8 0, i64 %product, i1 false)
  br label %done
done:
  ret ptr %memory
plain:
  %other = call ptr @__real_calloc(i64 %count, i64 %size)
  ret ptr %other
}
declare ptr @malloc(i64)
declare ptr @__real_calloc(i64, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
`

/**
 * What the linker step does before it links: it compiles the program again, for size, over scriptc's own object.
 *
 * scriptc generates code at -O2 and offers nothing else. The plugins wait for the kernel, not for their own arithmetic,
 * and a file that is a fifth smaller has a fifth fewer pages to map at every start. The LLVM text that scriptc leaves
 * beside its output is the same program. Its functions are marked for the address sanitizer, which keeps the optimizer from
 * much and is used by nobody; they must be marked for size, since -Oz means only what clang itself has parsed. Nothing
 * unwinds the stack here (exceptions are returned): without `nounwind` a tenth of the file would say how to.
 */
const COMPILE_FOR_SIZE = `
for argument; do
  case "$argument" in */.scriptc-native-program-object-*.o) object=$argument ;; esac
done
if [ -n "$object" ] && [ -f "$PATCHBAY_PROGRAM" ]; then
  sed -i '/^attributes #/s/sanitize_address/nounwind minsize optsize/' "$PATCHBAY_PROGRAM" || exit 1
  "$PATCHBAY_CLANG" ${PROGRAM_SWITCHES.join(' ')} -c "$PATCHBAY_PROGRAM" -o "$object" || exit 1
  if command -v objcopy > /dev/null; then
    for argument; do
      case "$argument" in */scriptc-runtime-pack-link-*.o) objcopy -R .eh_frame -R .rela.eh_frame "$argument" || exit 1 ;; esac
    done
  fi
fi`

/**
 * The environment in which scriptc's last step makes the program small.
 *
 * @param program the LLVM text that scriptc will leave
 * @param isStatic links libc in, so that the file runs on any distribution: a plain build needs a libc at least as new as
 *   the one it was built with
 */
function linkingEnvironment(clang: Clang, program: string, isStatic: boolean): NodeJS.ProcessEnv {
  const env = clangEnvironment(clang)
  const linker = join(ROOT, '.cache', 'clang', isStatic ? 'link-static' : 'link')
  const calloc = `${program}.calloc`
  writeFileSync(`${calloc}.ll`, CACHED_CALLOC)
  const compileCalloc = `"$PATCHBAY_CLANG" -O2 -fPIC -Wno-override-module -c "$PATCHBAY_CALLOC.ll" -o "$PATCHBAY_CALLOC.o" || exit 1`
  const switches = `${isStatic ? '-static ' : ''}-Wl,-z,noseparate-code -Wl,--wrap=calloc`
  const link = `exec "$PATCHBAY_CLANG" ${switches} "$PATCHBAY_CALLOC.o" "$@"`
  const record = `printf '%s\\n' "$@" > "$PATCHBAY_PROGRAM.link"`
  writeFileSync(linker, `#!/bin/sh${COMPILE_FOR_SIZE}\n${record}\n${compileCalloc}\n${link}\n`, { mode: 0o755 })
  return {
    ...env,
    SCRIPTC_LINKER: linker,
    PATCHBAY_CLANG: clang.path,
    PATCHBAY_PROGRAM: program,
    PATCHBAY_CALLOC: calloc
  }
}

/** Runs scriptc in the repository's root. @returns its exit status and both outputs */
export function scriptc(
  args: readonly string[],
  env: NodeJS.ProcessEnv
): { readonly status: number; readonly output: string } {
  const program = join(ROOT, 'node_modules', 'scriptc', 'dist', 'bootstrap.js')
  const child = spawnSync(process.execPath, [program, ...args], {
    cwd: ROOT,
    env,
    encoding: 'utf8',
    maxBuffer: 1 << 28
  })
  if (child.error !== undefined) throw new Error(`run scriptc: ${child.error.message}`)
  return { status: child.status ?? 1, output: child.stdout + child.stderr }
}

/** Builds the native engine unless it is up to date, with its own libc inside if `isStatic`. @returns whether it had to be built */
export async function buildNativeEngine(ifStale: boolean, isStatic: boolean): Promise<boolean> {
  const clang = findClang()
  if (clang === undefined) throw new Error(`build dist/native: no usable clang: ${CLANG_ADVICE}`)
  const digest = inputsDigest('native', `${process.version} ${clang.version}${isStatic ? ' static' : ''}`)
  if (ifStale && isUpToDate('native', digest)) return false
  await withProgress('building the native engine', '2 minutes', () => compileAndPublish(clang, digest, isStatic))
  return true
}

function compileAndPublish(clang: Clang, digest: string, isStatic: boolean): void {
  const output = unfinished('native')
  try {
    inWorkshop(workshop => {
      const built = join(workshop, 'patchbay-cni')
      compileNative(clang, built, isStatic)
      renameSync(built, output)
    })
    publish('native', output, digest, licensesOf(LINKED))
  } finally {
    rmSync(output, { force: true })
  }
}

/** Hands `work` a directory that is gone afterwards. */
export function inWorkshop<T>(work: (workshop: string) => T): T {
  mkdirSync(join(ROOT, '.cache'), { recursive: true })
  const workshop = mkdtempSync(join(ROOT, '.cache', 'native-'))
  try {
    return work(workshop)
  } finally {
    rmSync(workshop, { recursive: true, force: true })
  }
}

/** The LLVM text that scriptc leaves beside its output. What was linked with it is listed in a `.link` beside that. */
export function programOf(output: string): string {
  return join(dirname(output), 'main.ll')
}

/** Compiles the plugins. */
export function compileNative(clang: Clang, output: string, isStatic: boolean): void {
  const program = programOf(output)
  const args = ['build', entryPoint('native'), '--ffi', 'lib/sys/ffi.json', '--strip', '-o', output]
  const result = scriptc(args, linkingEnvironment(clang, program, isStatic))
  if (result.status !== 0) throw new Error(`compile ${entryPoint('native')}: scriptc says\n${result.output}`)
  if (!existsSync(program)) throw new Error(`compile ${entryPoint('native')}: scriptc left no ${program}`)
}
