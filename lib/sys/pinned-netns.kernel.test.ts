/**
 * A namespace on a file outlives its maker; judged by `nsenter` and `mountinfo`. A maker with mounts of its own:
 * agent/encryption/encryption.guest.test.ts.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NSENTER } from '../testing/namespace.ts'
import { programFromText } from '../testing/program.ts'
import { assert, suite } from '../testing/suite.ts'
import { unpinNetns } from './pinned-netns.ts'

const test = suite('lib/sys/pinned-netns')

const PIN = `
  import { newNetns } from './netns.ts'
  import { pinNetns } from './pinned-netns.ts'
  pinNetns(newNetns(), process.argv[2])`

function inDirectory(body: (path: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-pin-'))
  const path = join(directory, 'netns')
  try {
    body(path)
  } finally {
    spawnSync('umount', [path])
    rmSync(directory, { recursive: true })
  }
}

function isMounted(path: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${path} `)
}

function lookInside(path: string): void {
  const { status, stdout, stderr } = spawnSync(NSENTER, [`--net=${path}`, 'ip', '-br', 'link'], { encoding: 'utf8' })
  assert.is(status, 0, stderr)
  assert.match(stdout, /^lo +DOWN .*\n$/)
}

test('a namespace outlives its maker', () => {
  inDirectory(path => {
    const [program, ...args] = programFromText(PIN, import.meta.dirname)
    const made = spawnSync(program, [...args, path], { encoding: 'utf8' })
    assert.is(made.status, 0, made.stderr)
    assert.ok(isMounted(path))
    lookInside(path)
    unpinNetns(path)
    assert.not.ok(isMounted(path))
    assert.not.ok(existsSync(path))
    // Again: nothing is there.
    unpinNetns(path)
  })
})

test.run()
