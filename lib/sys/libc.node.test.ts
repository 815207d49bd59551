/** Numbers of system calls, as the headers of the kernel have them. */
import { existsSync, readFileSync } from 'node:fs'
import { assert, suite } from '../testing/suite.ts'
import { SYSTEM_CALLS } from './libc.node.ts'

const test = suite('lib/sys/libc.node')

/** Of Debian's linux-libc-dev; the first holds what arm64 has. */
const [GENERIC, X64] = ['/usr/include/asm-generic/unistd.h', '/usr/include/x86_64-linux-gnu/asm/unistd_64.h']

function numbersIn(path: string): ReadonlyMap<string, number> {
  const defined = readFileSync(path, 'utf8').matchAll(/^#define (?:__NR|__NR3264)_(\w+) (\d+)$/gm)
  return new Map([...defined].map(([, name = '', number]) => [name, Number(number)]))
}

const missing = [GENERIC, X64].find(path => !existsSync(path))

test.unless(
  missing === undefined ? undefined : `no ${missing}`,
  'numbers of system calls are those of both processors',
  () => {
    const [x64, generic] = [numbersIn(X64), numbersIn(GENERIC)]
    for (const [name, numbers] of Object.entries(SYSTEM_CALLS))
      assert.equal(numbers, [x64.get(name), generic.get(name)], name)
  }
)

test.run()
