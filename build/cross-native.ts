/**
 * The native engine for another processor, made on this one: the LLVM text of the program knows no processor, and
 * scriptc's runtime is C that clang compiles for any. What is linked is what scriptc linked here, read from its link line.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Clang, PROGRAM_SWITCHES } from './native-engine.ts'
import { ROOT } from './project.ts'

const TRIPLE = 'aarch64-linux-gnu'
const RUNTIME = join(ROOT, 'node_modules', '@scriptc', 'runtime')
const VENDOR = join(RUNTIME, 'vendor')

/** Archives of the link line and the sources that they are made of. */
const ARCHIVES: ReadonlyMap<string, readonly string[]> = new Map([
  ['libscriptc-libregexp.a', ['quickjs-ng/libregexp.c', 'quickjs-ng/libunicode.c']]
])

/** scriptc's own switches for its runtime. */
const RUNTIME_SWITCHES: readonly string[] = [
  '-std=c11',
  '-w',
  '-O2',
  '-pthread',
  '-D_GNU_SOURCE',
  '-ffunction-sections',
  '-fdata-sections',
  '-fno-math-errno',
  '-fno-strict-aliasing'
]
/** Names of source files, which assertions print, without the place of the repository. */
const PLACELESS = `-ffile-prefix-map=${ROOT}=.`

/** Why it cannot be made here; undefined when it can. */
export function crossObstacle(): string | undefined {
  if (existsSync(`/usr/${TRIPLE}/lib/libc.a`) && existsSync(`/usr/bin/${TRIPLE}-ld`)) return undefined
  return 'apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross'
}

/**
 * Makes the statically linked executable for arm64.
 *
 * @param program the LLVM text; beside it `.link`, the words of the link line
 */
export function crossCompile(clang: Clang, program: string, output: string): void {
  const objects = `${output}.objects`
  mkdirSync(objects)
  const sources = readFileSync(`${program}.link`, 'utf8')
    .split('\n')
    .filter(word => /\.[oa]$/.test(word) && !word.includes('.scriptc-native-program-object-'))
    .flatMap(sourcesOf)
  const compiled = sources.map(source => {
    const object = join(objects, `${basename(source)}.o`)
    compile(
      clang,
      [...RUNTIME_SWITCHES, `-I${join(RUNTIME, 'src')}`, `-I${join(VENDOR, 'quickjs-ng')}`],
      source,
      object
    )
    return object
  })
  const main = join(objects, 'main.o')
  compile(clang, PROGRAM_SWITCHES, program, main)
  run(clang, ['-static', '-pthread', '-Wl,--gc-sections', '-Wl,-s', main, ...compiled, '-lm', '-o', output])
}

function sourcesOf(linked: string): readonly string[] {
  const name = basename(linked)
  const ofArchive = ARCHIVES.get(name)
  if (ofArchive !== undefined) return ofArchive.map(source => join(VENDOR, source))
  const source = join(RUNTIME, 'src', name.replace(/\.o$/, '.c'))
  if (linked.includes('/runtime/default/') && existsSync(source)) return [source]
  throw new Error(`compile for ${TRIPLE}: scriptc linked ${linked}, whose source is not known here`)
}

function compile(clang: Clang, switches: readonly string[], source: string, object: string): void {
  run(clang, [...switches, PLACELESS, '-c', source, '-o', object])
}

function run(clang: Clang, args: readonly string[]): void {
  const child = spawnSync(clang.path, ['-target', TRIPLE, ...args], { encoding: 'utf8', maxBuffer: 1 << 26 })
  if (child.status !== 0) throw new Error(`clang ${args.join(' ')}: ${child.error?.message ?? child.stderr}`)
}
