/**
 * What the native engine is linked with beside the program: scriptc's runtime, from its own source, and our C of
 * lib/sys/native. For musl as LLVM code, which the linker optimizes together with the program; for glibc as objects.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Toolchain } from './native-toolchain.ts'
import { ROOT } from './project.ts'

const RUNTIME = 'node_modules/@scriptc/runtime'
const OURS = 'lib/sys/native'
const CACHE = join(ROOT, '.cache', 'native-objects')

/** Parts of the runtime that the program uses: a part too few is an undefined symbol to the linker, one too many is left out. */
const UNITS: readonly string[] = [
  ...['array', 'assert', 'async', 'bytes', 'bytes_io', 'child', 'closure', 'console', 'crypto_async', 'cycle', 'error'],
  ...['exception', 'ffi', 'json', 'lib', 'map', 'number', 'object', 'path', 'regex', 'string', 'union', 'url']
]
const OF_MUSL: readonly string[] = ['musl']
/** What a part is compiled with beside the rest: its own functions get other names, since ours stand before them (cycles.c, lists.c). */
const OF_UNIT: Readonly<Record<string, readonly string[]>> = {
  array: ['-Dscr_arr_get_ref=patchbay_rare_element', '-Dscr_arr_release=patchbay_release_last'],
  cycle: ['-Dscr_cyc_on_release=patchbay_note_candidate'],
  // Asked after every call that may throw: to look is as short as to call.
  exception: ['-Dscr_exc_pending=__attribute__((always_inline)) scr_exc_pending'],
  string: ['-Dscr_str_utf16_len=patchbay_long_length']
}
const REGULAR_EXPRESSIONS: readonly string[] = ['libregexp', 'libunicode']

/** What ends up in the executable beside our own code: scriptc's runtime with the number printing and regular expressions in it. */
export const LINKED: readonly string[] = [
  'scriptc',
  '@scriptc/runtime',
  '@scriptc/runtime/vendor/ryu',
  '@scriptc/runtime/vendor/quickjs-ng'
]

/** Sections of their own let the linker drop what nobody calls; nothing unwinds the stack, since exceptions are returned. */
const SECTIONS: readonly string[] = [
  '-ffunction-sections',
  '-fdata-sections',
  '-fno-asynchronous-unwind-tables',
  '-fno-unwind-tables'
]

/** What a mistake in a root program must not become: an address that is known, a return that is chosen, a write past the end. */
const HARDENING: readonly string[] = ['-fPIE', '-fstack-protector-strong', '-fstack-clash-protection']

/** scriptc's own switches for its runtime, whose objects are read through more than one type. */
const RUNTIME_SWITCHES: readonly string[] = ['-w', '-fno-math-errno', '-fno-strict-aliasing']

/**
 * The allocator must not be understood as a user of itself: a loop that clears memory after malloc is no calloc, and a short one
 * no memset.
 */
const OUR_SWITCHES: readonly string[] = [
  ...['-Wall', '-Wextra', '-Werror', '-isystem', `${RUNTIME}/src`],
  ...['-fno-builtin-malloc', '-fno-builtin-calloc', '-fno-builtin-memset']
]

/** Switches of everything that is compiled with these tools. */
export function commonSwitches({ triple, libc, sysroot }: Toolchain): readonly string[] {
  const target = [`--target=${triple}`, ...HARDENING, ...SECTIONS]
  if (libc === 'glibc') return [...target, '-D_FORTIFY_SOURCE=2']
  const headers = `${sysroot}/usr/include/${triple}`
  // musl has no checks of its own for what glibc's _FORTIFY_SOURCE checks.
  const checked = ['-include', `${OURS}/fortify.h`]
  return [...target, '-flto', '-nostdlibinc', '-isystem', headers, '-DSCR_MUSL', ...checked]
}

interface Source {
  readonly path: string
  readonly switches: readonly string[]
}

function sourcesFor({ libc }: Toolchain): readonly Source[] {
  const folders = [`-I${RUNTIME}/src`, `-I${RUNTIME}/vendor/quickjs-ng`]
  const switches = [...RUNTIME_SWITCHES, ...folders]
  const units = libc === 'musl' ? [...UNITS, ...OF_MUSL] : UNITS
  return [
    ...units.map(name => ({
      path: `${RUNTIME}/src/scr_${name}.c`,
      switches: [...switches, ...(OF_UNIT[name] ?? [])]
    })),
    ...REGULAR_EXPRESSIONS.map(name => ({ path: `${RUNTIME}/vendor/quickjs-ng/${name}.c`, switches })),
    ...ownSources().map(path => ({ path, switches: OUR_SWITCHES }))
  ]
}

/** Our C files, from the root. */
function ownSources(): readonly string[] {
  return readdirSync(join(ROOT, OURS))
    .filter(name => name.endsWith('.c'))
    .sort()
    .map(name => `${OURS}/${name}`)
}

/** Headers that any of the sources may include, and that are no C library's. */
function headersDigest(): string {
  const hash = createHash('sha256')
  const ours = readdirSync(join(ROOT, OURS)).filter(name => name.endsWith('.h'))
  const paths = [...ours.map(name => `${OURS}/${name}`), `${RUNTIME}/package.json`]
  for (const path of paths.sort()) hash.update(`${path}\0`).update(readFileSync(join(ROOT, path)))
  return hash.digest('hex')
}

/**
 * Compiles what is not in .cache yet.
 *
 * @returns the objects, in an order that is always the same
 * @throws Error with what clang says
 */
export function compileRuntime(tools: Toolchain): readonly string[] {
  mkdirSync(CACHE, { recursive: true })
  const headers = headersDigest()
  const objects = sourcesFor(tools).map(source => compileCached(tools, source, headers))
  forgetOthers(tools, new Set(objects.map(path => basename(path))))
  return objects
}

function compileCached(tools: Toolchain, { path, switches }: Source, headers: string): string {
  const args = [...switchesOfC(tools), ...switches]
  const digest = createHash('sha256').update(JSON.stringify([tools.clang.version, args, headers]))
  digest.update(readFileSync(join(ROOT, path)))
  const object = join(CACHE, `${tools.triple}.${basename(path)}.${digest.digest('hex').slice(0, 32)}.o`)
  if (existsSync(object)) return object
  const unfinished = `${object}.${String(process.pid)}`
  runClang(tools, [...args, '-c', path, '-o', unfinished])
  renameSync(unfinished, object)
  return object
}

function switchesOfC(tools: Toolchain): readonly string[] {
  return ['-std=c11', '-O2', '-D_GNU_SOURCE', '-pthread', ...commonSwitches(tools)]
}

/** Compiles one of our C files as those of the engine are. @returns `object` */
export function compileC(tools: Toolchain, source: string, object: string): string {
  runClang(tools, [...switchesOfC(tools), ...OUR_SWITCHES, '-c', source, '-o', object])
  return object
}

/** Objects of earlier sources or compilers. */
function forgetOthers({ triple }: Toolchain, kept: ReadonlySet<string>): void {
  for (const name of readdirSync(CACHE)) {
    if (name.startsWith(`${triple}.`) && name.endsWith('.o') && !kept.has(name))
      rmSync(join(CACHE, name), { force: true })
  }
}

/** Runs clang in the root, so that names of source files, which assertions print, say nothing of the repository's place. */
export function runClang({ clang }: Toolchain, args: readonly string[]): void {
  runTool(clang.path, args)
}

/** @throws Error with what the tool says */
export function runTool(program: string, args: readonly string[]): string {
  const child = spawnSync(program, args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 26 })
  if (child.status === 0) return child.stdout
  throw new Error(`${program} ${args.join(' ')}: ${child.error?.message ?? child.stderr}`)
}
