/**
 * Builds dist/native: the plugins compiled to machine code.
 *
 *     plugins/main.ts --scriptc--> LLVM text --clang--+
 *     runtime and lib/sys/native, C ----------clang---+--ld.lld--> one static, position-independent file
 *
 * The LLVM text knows no processor, so the same one serves every architecture.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { inputsDigest, isUpToDate, publish, unfinished } from './executables.ts'
import { withoutIdleCounting } from './idle-counting.ts'
import { licensesOf } from './licenses.ts'
import { Functions, orderedNames } from './native-order.ts'
import { commonSwitches, compileRuntime, LINKED, runClang, runTool } from './native-runtime.ts'
import {
  CLANG_ADVICE,
  clangEnvironment,
  dynamicToolchain,
  findClang,
  muslLibrary,
  staticToolchain,
  type Toolchain
} from './native-toolchain.ts'
import { withProgress } from './progress.ts'
import { entryPoint, ROOT } from './project.ts'
import { sha256 } from './release/archive.ts'

/**
 * How the program is compiled: the plugins wait for the kernel, not for their own arithmetic, and a smaller file has fewer
 * pages to map at every start. Functions that turned out the same become one; what several branches begin or end with
 * stands there once.
 */
const PROGRAM_SWITCHES: readonly string[] = [
  '-Oz',
  '-Xclang',
  '-fmerge-functions',
  '-mllvm',
  '-hoist-common-insts',
  '-mllvm',
  '-sink-common-insts',
  '-Wno-override-module'
]

/** Where optimization ends with the compiler: what the linker does otherwise. */
const ALONE: readonly string[] = ['-mllvm', '-inline-threshold=-50', '-mllvm', '-enable-machine-outliner=always']

/** Runs scriptc, as scriptc-lists.ts changes it, in the repository's root. @returns its exit status and both outputs */
export function scriptc(
  args: readonly string[],
  env: NodeJS.ProcessEnv
): { readonly status: number; readonly output: string } {
  const program = join(ROOT, 'node_modules', 'scriptc', 'dist', 'bootstrap.js')
  const lists = join(import.meta.dirname, 'scriptc-lists.ts')
  const child = spawnSync(process.execPath, ['--no-warnings', '--import', lists, program, ...args], {
    cwd: ROOT,
    env,
    encoding: 'utf8',
    maxBuffer: 1 << 28
  })
  if (child.error !== undefined) throw new Error(`run scriptc: ${child.error.message}`)
  return { status: child.status ?? 1, output: child.stdout + child.stderr }
}

/**
 * Builds the native engine unless it is up to date.
 *
 * @param isStatic the released form; else it is linked with the host's libc
 * @returns whether it had to be built
 */
export async function buildNativeEngine(ifStale: boolean, isStatic: boolean): Promise<boolean> {
  const clang = findClang()
  if (clang === undefined) throw new Error(`build dist/native: no usable clang: ${CLANG_ADVICE}`)
  const tools = isStatic ? staticToolchain(clang, hostArch()) : dynamicToolchain(clang)
  const digest = inputsDigest('native', `${process.version} ${clang.version} ${libraryDigest(tools)}`)
  if (ifStale && isUpToDate('native', digest)) return false
  await withProgress('building the native engine', '2 minutes', () => compileAndPublish(tools, digest))
  return true
}

function compileAndPublish(tools: Toolchain, digest: string): void {
  const output = unfinished('native')
  try {
    inWorkshop(workshop => {
      const program = compileToLlvm(join(workshop, 'main.ll'))
      const built = join(workshop, 'patchbay-cni')
      compileNative(tools, program, built)
      renameSync(built, output)
    })
    publish('native', output, digest, nativeLicenses(tools))
  } finally {
    rmSync(output, { force: true })
  }
}

export function hostArch(): 'x64' | 'arm64' {
  return process.arch === 'arm64' ? 'arm64' : 'x64'
}

/** Which C library goes into the file; nothing of glibc does. */
function libraryDigest({ libc, sysroot, arch }: Toolchain): string {
  return libc === 'glibc' ? 'glibc' : `musl ${sha256(muslLibrary(sysroot, arch))}`
}

/** The licence texts that travel with an executable. */
export function nativeLicenses({ libc, sysroot }: Toolchain): string {
  const npm = licensesOf(LINKED)
  if (libc === 'glibc') return npm
  return `${npm}\n== musl ==\n\n${readFileSync(`${sysroot}/usr/share/doc/musl-dev/copyright`, 'utf8').trim()}\n`
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

/**
 * Compiles the plugins to LLVM text, for any processor.
 *
 * @param program the file to write
 * @returns `program`
 */
export function compileToLlvm(program: string): string {
  const clang = findClang()
  const env = clang === undefined ? process.env : clangEnvironment(clang)
  const entry = entryPoint('native')
  const result = scriptc(['build', entry, '--ffi', 'lib/sys/ffi.json', '--emit', 'llvm', '-o', program], env)
  if (result.status !== 0 || !existsSync(program)) throw new Error(`compile ${entry}: scriptc says\n${result.output}`)
  writeFileSync(program, adjusted(withoutIdleCounting(readFileSync(program, 'utf8'))))
  return program
}

/**
 * scriptc marks its functions for the address sanitizer, which keeps the optimizer from much and is used by nobody. They must be
 * marked for size, since -Oz means only what clang itself has parsed, and for the stack protector for the same reason. Nothing
 * unwinds the stack (exceptions are returned). And it says nothing of how seldom there is an exception: told, the optimizer
 * puts what follows one out of the way.
 */
function adjusted(llvm: string): string {
  const attributes = 'nounwind minsize optsize sspstrong "stack-probe"="inline-asm"'
  const marked = llvm.replaceAll(/^attributes #.*$/gm, line => line.replace('sanitize_address', attributes))
  const seldom = /^ {2}br i1 %\w+, label %exc\.u\d+, label %exc\.k\d+$/gm
  return `${marked.replaceAll(seldom, branch => `${branch}, !prof !900000`)}\n!900000 = !{!"branch_weights", i32 1, i32 4000}\n`
}

/**
 * Makes an executable of the LLVM text.
 *
 * @param program as compileToLlvm has left it
 */
export function compileNative(tools: Toolchain, program: string, output: string): void {
  const objects = compileRuntime(tools)
  const main = `${program}.${tools.triple}.o`
  const alone = tools.libc === 'glibc' ? ALONE : []
  runClang(tools, [
    ...commonSwitches(tools).filter(isForLlvm),
    ...PROGRAM_SWITCHES,
    ...alone,
    '-c',
    program,
    '-o',
    main
  ])
  linkNative(tools, [main, ...objects], output, writeOrder(program))
}

/** @returns the file that tells the linker in which order to lay functions */
function writeOrder(program: string): string {
  const order = `${program}.order`
  const symbols = new Functions(readFileSync(program, 'utf8')).symbolOrder(orderedNames())
  writeFileSync(order, `${symbols.join('\n')}\n`)
  return order
}

/** Links objects that were compiled with these tools. @param order see `writeOrder`; undefined for programs of tests */
export function linkNative(tools: Toolchain, objects: readonly string[], output: string, order?: string): void {
  if (tools.libc === 'musl') linkStatically(tools, objects, output, order)
  else linkDynamically(tools, objects, output)
}

/** Switches that are about C's headers mean nothing to LLVM text. */
function isForLlvm(word: string): boolean {
  return /^-(?:-target|f)/.test(word)
}

/** Addresses of functions are fixed before the program starts and cannot be written afterwards. */
const RELOCATED_FIRST: readonly string[] = ['-z', 'relro', '-z', 'now', '-z', 'noexecstack', '-z', 'noseparate-code']

function linkStatically(tools: Toolchain, objects: readonly string[], output: string, order: string | undefined): void {
  const library = muslLibrary(tools.sysroot, tools.arch)
  const part = (name: string) => join(dirname(library), name)
  const args = ['-static', '-pie', '--no-dynamic-linker', ...RELOCATED_FIRST]
  runTool(tools.linker, [
    ...args,
    ...['--gc-sections', '--build-id=none', tools.keepsNames === true ? '--strip-debug' : '--strip-all', '--lto-O2'],
    ...(order === undefined ? [] : ['--symbol-ordering-file', order, '--no-warn-symbol-ordering']),
    ...['-mllvm', '-hoist-common-insts', '-mllvm', '-sink-common-insts'],
    ...[part('rcrt1.o'), part('crti.o'), ...objects, library, tools.builtins, part('crtn.o'), '-o', output]
  ])
}

function linkDynamically(tools: Toolchain, objects: readonly string[], output: string): void {
  const passed = [...RELOCATED_FIRST, '--gc-sections', '--strip-all', '--build-id=none']
  runClang(tools, ['-pie', '-pthread', ...passed.flatMap(word => ['-Xlinker', word]), ...objects, '-lm', '-o', output])
}
