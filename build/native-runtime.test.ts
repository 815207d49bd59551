/** The C of the native engine, compiled as the engine is: the allocator's laws, and mistakes that must end the process. */
// time-out: 300 s
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'
import { inWorkshop, linkNative } from './native-engine.ts'
import { compileC } from './native-runtime.ts'
import {
  CLANG_ADVICE,
  dynamicToolchain,
  findClang,
  staticObstacle,
  staticToolchain,
  type Toolchain
} from './native-toolchain.ts'

const test = suite('build/native-runtime')
const TESTDATA = 'lib/sys/native/testdata'

const clang = findClang()
const missing = clang === undefined ? CLANG_ADVICE : undefined

/** The executables of both C libraries that can be made here. */
function toolchains(): readonly Toolchain[] {
  if (clang === undefined) return []
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64'
  return staticObstacle(clang) === undefined
    ? [dynamicToolchain(clang), staticToolchain(clang, arch)]
    : [dynamicToolchain(clang)]
}

function build(tools: Toolchain, workshop: string, sources: readonly string[]): string {
  const objects = sources.map((source, i) => compileC(tools, source, join(workshop, `${tools.libc}-${String(i)}.o`)))
  const output = join(workshop, tools.libc)
  linkNative(tools, objects, output)
  return output
}

test.unless(missing, 'the allocator: alignment, zeroing, growth, refusals, bounds; damage ends the process', () => {
  inWorkshop(workshop => {
    for (const tools of toolchains()) {
      const program = build(tools, workshop, ['lib/sys/native/allocator.c', `${TESTDATA}/allocator-laws.c`])
      const child = spawnSync(program, { encoding: 'utf8' })
      assert.is(child.stderr, '', tools.libc)
      assert.is(child.status, 0, `${tools.libc} ${child.signal ?? ''}`)
    }
  })
})

test.unless(missing, 'a copy past an array and what guards a return address written over end the process', () => {
  inWorkshop(workshop => {
    for (const tools of toolchains()) {
      const program = build(tools, workshop, [`${TESTDATA}/overflow.c`])
      const run = (mistake: string) => spawnSync(program, [mistake], { input: 'y'.repeat(4000) })
      assert.is(run('0').status, 0, tools.libc)
      for (const mistake of ['1', '2', '3', '4']) {
        const { signal } = run(mistake)
        assert.ok(signal !== null, `${tools.libc} ${mistake}`)
      }
    }
  })
})

test.run()
